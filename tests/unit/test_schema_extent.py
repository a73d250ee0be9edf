"""Schemas that look at one value more often than can be waited for: told before any event is held against them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from definition_steps import flaws_of, put
from obverse.core.schema_extent import TooFar, check_extent

TWICE = "holds a value against more than 10000 schemas"
DEEP = "leads through more than 200 schemas for one value"
CIRCLE = "refers to itself for one and the same value"
NODE = {"$ref": "#/$defs/node"}


def chained(levels: int, make: Any) -> dict[str, Any]:
    """A schema of which each level refers to the next one as `make` does."""
    levelled = {f"l{level}": make({"$ref": f"#/$defs/l{level + 1}"}) for level in range(levels)}
    return {"$ref": "#/$defs/l0", "$defs": {**levelled, f"l{levels}": {"required": ["x"]}}}


def within(one: Any) -> dict[str, Any]:
    return {"allOf": [one]}


def recursive(node: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**NODE, "$defs": {"node": node}, **more}


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        *((chained(40, lambda one, word=word: {word: [one, one]}), TWICE) for word in ("allOf", "anyOf", "oneOf")),
        (chained(40, lambda one: {"if": one, "then": one}), TWICE),
        (chained(40, lambda one: {"dependentSchemas": {"a": one, "b": one}}), TWICE),
        (chained(40, lambda one: {"properties": {"a": one}, "patternProperties": {"a": one}}), TWICE),
        (chained(40, lambda one: {"items": {"allOf": [one, one]}}), TWICE),
        (chained(201, lambda one: {"not": one}), DEEP),
        (chained(40_000, within), DEEP),
        (recursive({"allOf": [{"properties": {"c": NODE}}, {"properties": {"c": NODE}}]}), TWICE),
        (recursive({"properties": {"c": NODE}, "allOf": [{"additionalProperties": NODE}]}), TWICE),
        (recursive({"properties": {"c": NODE}, "items": NODE, "contains": NODE}), TWICE),
        (recursive({"anyOf": [NODE, {"type": "null"}]}), CIRCLE),
        ({"properties": {"a": {"allOf": [{"anyOf": [{"$ref": "#/properties/a"}]}]}}}, CIRCLE),
        ({"properties": {f"p{n}": {"$ref": f"#/$defs/l{199 - n}"} for n in range(200)}, **chained(300, within)}, DEEP),
        ({"$ref": "#"}, CIRCLE),
        (
            {"$dynamicAnchor": "n", "properties": {"c": {"anyOf": [{"$dynamicRef": "#n"}, {"$dynamicRef": "#n"}]}}},
            TWICE,
        ),
        (recursive({"$anchor": "n", "items": {"allOf": [{"$ref": "#n"}, {"$ref": "#n"}]}}), TWICE),
        (
            {"$id": "https://a.example/b/c", "items": {"allOf": [{"$ref": "/b/c"}, {"$ref": "c#"}]}},
            TWICE,
        ),
        ({"$defs": {"a/b": {"items": {"allOf": [{"$ref": "#/$defs/a~1b"}] * 2}}}, "$ref": "#/$defs/a~1b"}, TWICE),
    ],
)
def test_a_schema_that_doubles_or_goes_round_is_refused(schema: dict[str, Any], what: str) -> None:
    with pytest.raises(TooFar, match=what):
        check_extent(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": {f"p{place}": NODE for place in range(20_000)}, "$defs": {"node": {"type": "string"}}},
        {"enum": ["a", {"$ref": "#"}], "properties": {"$ref": {"type": "string"}}, "const": {"$id": "http://["}},
        {"anyOf": [{"const": place} for place in range(5_000)]},
        {"items": [{"type": "string"}, {"$ref": "#/items/0"}], "properties": {"a": {"$ref": "#/items/9"}}},
        chained(99, within),
        chained(390, lambda one: {"properties": {"a": one, "b": one}, "additionalProperties": one}),
        recursive({"properties": {"left": NODE, "right": NODE}, "items": NODE, "additionalProperties": NODE}),
        recursive({"anyOf": [{"type": "string"}, {"properties": {"children": {"items": NODE}}}]}),
        recursive({"anyOf": [{"type": "array", "items": NODE}, {"type": "object", "additionalProperties": NODE}]}),
        recursive({"oneOf": [{"properties": {"left": NODE, "right": NODE}}, {"properties": {"of": NODE}}]}),
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    ],
)
def test_a_schema_that_looks_at_each_value_a_few_times_is_taken(schema: dict[str, Any]) -> None:
    check_extent(schema)


def test_a_plan_with_such_a_schema_is_refused_with_its_place(tmp_path: Path) -> None:
    schema = chained(40, lambda one: {"anyOf": [one, one]})
    spec = {"version": "1.0", "calls": [{"event": "A", "schema": schema}]}
    tree = {"version": "obverse/v1", "kind": "tracking_plan", "metadata": {"name": "shop"}, "spec": spec}
    put(tmp_path, a=yaml.safe_dump(tree, sort_keys=False))
    (flaw,) = flaws_of(tmp_path)
    assert (flaw.line, flaw.rule) == (10, "OB016")
    assert f"spec.calls[0].schema: {TWICE}; refer to each of them once" in flaw.what

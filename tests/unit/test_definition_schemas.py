"""Editors complete and check documents by JSON Schemas, which are made of the shapes that documents are read with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml
from hypothesis import given

from condition_steps import TREES
from definition_steps import BUYERS, CHECKS, ORDERS, PLAN, SPENT
from obverse.core.conditions import BadCondition, as_tree, parse, parse_event
from obverse.core.conditions.schema import CONDITION, EVENT_CONDITION, condition_schemas
from obverse.core.documents import SPECS
from obverse.core.documents.schemas import schemas

SCHEMAS = schemas(CHECKS.kinds)
DOCS = [
    re.sub(r"[0-9a-f]{8}…", "f" * 64, text)  # a hash that is not written out
    for path in sorted(Path("docs").glob("*.md"))
    for block in re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    for text in re.split(r"^---$", block, flags=re.MULTILINE)
    if "version: obverse/v1" in text
]
"""Every document that people are shown."""
DEMO = sorted(Path("src/obverse/apps/demo/definitions").rglob("*.yml"))


def one_of_all() -> Any:
    """The schema of any kind, with those that it refers to beside it."""
    return jsonschema_rs.validator_for(
        SCHEMAS["definition"], retriever=lambda address: SCHEMAS[address.rpartition("/")[2].partition(".")[0]]
    )


def test_every_kind_has_one() -> None:
    assert SCHEMAS.keys() == {*SPECS, "definition"}


@pytest.mark.parametrize(
    "text", [ORDERS, SPENT, BUYERS, PLAN, *DOCS, *(path.read_text(encoding="utf-8") for path in DEMO)]
)
def test_a_good_document_is_good_to_an_editor_too(text: str) -> None:
    tree = yaml.safe_load(text)
    for validator in (jsonschema_rs.validator_for(SCHEMAS[tree["kind"]]), one_of_all()):
        assert [error.message for error in validator.iter_errors(tree)] == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (ORDERS.replace("v1", "v2"), ["version"]),
        (ORDERS.replace("event", "evnt"), ["spec"]),
        (ORDERS.replace("count", "cuont"), ["spec", "aggregate"]),
        (SPENT.replace("sum", "percentile, percentile: 195"), ["spec", "percentile"]),
        (PLAN.replace('"1.0"', "1.0"), ["spec", "version"]),
        (ORDERS.replace("kind: trait", "kind: trate"), ["kind"]),
    ],
)
def test_a_mistake_is_told_in_the_editor(text: str, place: list[str]) -> None:
    found = [list(one.instance_path) for one in one_of_all().iter_errors(yaml.safe_load(text))]
    assert place in found


def condition(name: str) -> Any:
    """The validator of conditions of this name."""
    return jsonschema_rs.validator_for({"$ref": f"#/$defs/{name}", "$defs": condition_schemas()})


PEOPLE: Final = condition(CONDITION)
EVENTS: Final = condition(EVENT_CONDITION)


def test_the_docs_have_examples() -> None:
    kinds = [yaml.safe_load(text)["kind"] for text in DOCS]
    assert kinds.count("audience") >= 2
    assert kinds.count("trait") >= 2


@given(TREES)
def test_every_condition_is_good_to_an_editor_too_however_it_is_written(tree: dict[str, Any]) -> None:
    assert [error.message for error in PEOPLE.iter_errors(tree)] == []
    assert [error.message for error in PEOPLE.iter_errors(as_tree(parse(tree)))] == []


TEST: Final = {"op": "eq", "trait": "x", "value": 1}
WRONG: Final[list[tuple[Any, list[Any]]]] = [
    (5, []),
    ({}, []),
    ({"op": ">="}, ["op"]),
    ({"op": "and"}, []),
    ({"op": "and", "of": []}, ["of"]),
    ({"op": "and", "of": [TEST, {"op": "or", "of": [{"op": "nto", "of": TEST}]}]}, ["of", 1, "of", 0, "op"]),
    ({"op": "not", "of": TEST, "value": 1}, []),
    ({"op": "not", "of": {"op": "eq", "trait": "x"}}, ["of"]),
    ({"op": "eq", "value": 1}, []),
    ({"op": "eq", "trait": "a", "attribute": "b", "value": 1}, []),
    ({"op": "eq", "trait": 5, "value": 1}, ["trait"]),
    ({"op": "eq", "trait": "", "value": 1}, ["trait"]),
    ({"op": "eq", "trait": "a", "value": None}, ["value"]),
    ({"op": "eq", "trait": "a", "value": "x" * 1001}, ["value"]),
    ({"op": "eq", "trait": "a", "vlaue": 1}, []),
    ({"op": "exists", "trait": "a", "value": 1}, []),
    ({"op": "in", "trait": "a", "value": "abc"}, ["value"]),
    ({"op": "gt", "trait": "a", "value": True}, ["value"]),
    ({"op": "starts_with", "trait": "a", "value": 1}, ["value"]),
    ({"op": "within_last", "trait": "a", "value": "soon"}, ["value"]),
    ({"op": "within_last", "identifier": "email", "value": "1 day"}, []),
    ({"op": "eq", "consent": "mail", "value": "yes"}, ["value"]),
    ({"op": "gt", "consent": "mail", "value": 1}, []),
    ({"op": "member", "audience": "a", "group": "b"}, []),
    ({"op": "member", "trait": "a"}, []),
    ({"op": "did"}, []),
    ({"op": "did", "type": "identify", "event": "x"}, ["event"]),
    ({"op": "did", "type": "call"}, ["type"]),
    ({"op": "did", "event": "x", "times": 0}, ["times"]),
    ({"op": "did", "event": "x", "times": {}}, ["times"]),
    ({"op": "did", "event": "x", "times": {"exactly": 1, "at_most": 2}}, ["times"]),
    ({"op": "did", "event": "x", "within": "7 fortnights"}, ["within"]),
    ({"op": "did", "event": "x", "where": TEST}, ["where"]),
    ({"op": "did", "event": "x", "where": {"op": "eq", "property": 'a"b', "value": 1}}, ["where", "property"]),
    ({"op": "did", "event": "x", "where": {"op": "did", "event": "y"}}, ["where", "op"]),
    ({"op": "sequence", "steps": [{"event": "x"}]}, ["steps"]),
    ({"op": "sequence", "steps": [{"event": "x"}] * 11}, ["steps"]),
    ({"op": "sequence", "steps": [{"event": "x"}, {"evnt": "y"}]}, ["steps", 1]),
    ({"op": "sequence", "steps": [{"event": "x"}, {"event": "y", "not": True}]}, ["steps", 1]),
    (
        {"op": "sequence", "steps": [{"event": "x", "not": True, "within": "1 hour"}, {"event": "y"}]},
        ["steps", 0, "not"],
    ),
    (
        {"op": "sequence", "steps": [{"event": "x"}, {"event": "y", "not": True, "within": "1 hour", "times": 2}]},
        ["steps", 1, "times"],
    ),
]


@pytest.mark.parametrize(("tree", "place"), WRONG)
def test_a_mistake_in_a_condition_is_told_in_the_editor(tree: Any, place: list[Any]) -> None:
    assert place in [list(one.instance_path) for one in PEOPLE.iter_errors(tree)]
    with pytest.raises(BadCondition):
        parse(tree)
    spec = {"where": tree}
    document = {"version": "obverse/v1", "kind": "audience", "metadata": {"name": "a"}, "spec": spec}
    assert ["spec", "where", *place] in [list(one.instance_path) for one in one_of_all().iter_errors(document)]


@pytest.mark.parametrize("op", ["within_last", "member", "did", "sequence"])
def test_a_trait_asks_of_events_what_can_be_asked_of_them(op: str) -> None:
    good = {"op": "or", "of": [{"op": "gte", "property": "revenue", "value": 1}, {"op": "exists", "property": "b"}]}
    parse_event(good)
    assert list(EVENTS.iter_errors(good)) == []
    wrong = {"op": op, "property": "revenue", "value": "1 day"}
    with pytest.raises(BadCondition):
        parse_event(wrong)
    spec = {"aggregate": "count", "where": {"op": "not", "of": wrong}}
    document = {"version": "obverse/v1", "kind": "trait", "metadata": {"name": "a"}, "spec": spec}
    found = [list(one.instance_path) for one in one_of_all().iter_errors(document)]
    assert ["spec", "where", "of", "op"] in found

"""Conditions as JSON Schema: editors complete and check them by it; what it takes, `parsing` reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from obverse.core import spans
from obverse.core.conditions.parsing import (
    COMPARISONS,
    LONGEST_TEXT,
    MOST_STEPS,
    MOST_TIMES,
    ORDERED,
    SUBJECTS,
    TEMPORAL,
    TEXTUAL,
)
from obverse.core.conditions.tree import ATTRIBUTE, AUDIENCE, CONSENT, GROUP, PROPERTY, TRAIT
from obverse.core.events import TYPES

CONDITION: Final = "Condition"
"""On people."""
EVENT_CONDITION: Final = "EventCondition"
"""On the properties of an event."""
_STEP: Final = "Step"
_NAMED: Final = ("track", "page", "screen")

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
_TEXT: Final = {"type": "string", "maxLength": LONGEST_TEXT}
_SPAN: Final = {"type": "string", "pattern": f"^{spans.SPAN}$", "description": spans.EXPECTED}
_JOINED: Final = ("and", "or")


def condition_schemas() -> dict[str, Any]:
    """Schemas by name, which refer to each other below `#/$defs`."""
    people = {
        **_joining(CONDITION),
        **{op: _test(op, _subjects(op)) for op in COMPARISONS},
        "member": _one_of((AUDIENCE, GROUP), {}, "Who is in an audience, or a member of a group."),
        "did": _did(),
        "sequence": _sequence(),
    }
    events = {
        **_joining(EVENT_CONDITION),
        **{op: _test(op, (PROPERTY,)) for op in COMPARISONS if op not in TEMPORAL},
    }
    return {
        CONDITION: _by_op(people, "A condition on people."),
        EVENT_CONDITION: _by_op(events, "A condition on the properties of an event."),
        _STEP: _step(),
    }


def _subjects(op: str) -> Collection[str]:
    if op in TEMPORAL:
        return (TRAIT, ATTRIBUTE)
    return SUBJECTS if op in {"eq", "ne"} else tuple(one for one in SUBJECTS if one != CONSENT)


def _by_op(shapes: Mapping[str, dict[str, Any]], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": ["op"],
        "properties": {"op": {"enum": list(shapes)}},
        "allOf": [
            {"if": {"properties": {"op": {"const": op}}, "required": ["op"]}, "then": shape}
            for op, shape in shapes.items()
        ],
    }


def _joining(name: str) -> dict[str, dict[str, Any]]:
    one = {"$ref": f"#/$defs/{name}"}
    several = _closed({"of": {"type": "array", "items": one, "minItems": 1}}, ["of"])
    return {**dict.fromkeys(_JOINED, several), "not": _closed({"of": one}, ["of"])}


def _test(op: str, subjects: Collection[str]) -> dict[str, Any]:
    wanted = {} if op == "exists" else {"value": _value(op)}
    shape = _one_of(subjects, wanted, None)
    if CONSENT in subjects:
        given = {"properties": {"value": {"type": "boolean"}}}
        shape["allOf"] = [{"if": {"required": [CONSENT]}, "then": given}]
    return shape


def _value(op: str) -> dict[str, Any]:
    if op in TEMPORAL:
        return dict(_SPAN)
    if op == "in":
        return {"type": "array"}
    if op in ORDERED or op == "contains":
        return {"type": ["number", "string"], "maxLength": LONGEST_TEXT}
    if op in TEXTUAL:
        return dict(_TEXT)
    return {"type": ["number", "string", "boolean", "array", "object"], "maxLength": LONGEST_TEXT}


def _one_of(subjects: Collection[str], others: Mapping[str, Any], description: str | None) -> dict[str, Any]:
    """A name of exactly one of these, and all of the others."""
    names = {subject: _property_name() if subject == PROPERTY else dict(_NAME) for subject in subjects}
    shape = _closed({**names, **others}, [*others])
    shape["oneOf"] = [{"required": [subject]} for subject in subjects]
    return shape if description is None else {**shape, "description": description}


def _property_name() -> dict[str, Any]:
    return {**_NAME, "pattern": '^[^"\\\\\\u0000-\\u001f]*$'}


def _closed(properties: Mapping[str, Any], required: Collection[str] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"op": {}, **properties},
        "required": [*required],
        "additionalProperties": False,
    }


def _events() -> dict[str, Any]:
    return {
        "event": dict(_NAME),
        "type": {"enum": sorted(TYPES)},
        "where": {"$ref": f"#/$defs/{EVENT_CONDITION}"},
    }


_NAMING: Final = (
    {
        # A track is always of a name; what is no page or screen has none.
        "if": {"properties": {"type": {"const": "track"}}},
        "then": {"required": ["event"]},
    },
    {
        "if": {"properties": {"type": {"enum": sorted(TYPES - set(_NAMED))}}, "required": ["type"]},
        "then": {"properties": {"event": False}},
    },
)


def _count(least: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": MOST_TIMES}


def _did() -> dict[str, Any]:
    several = _closed({"at_least": _count(1), "at_most": _count(0)})
    del several["properties"]["op"]
    several["minProperties"] = 1
    exactly = _closed({"exactly": _count(0)}, ["exactly"])
    del exactly["properties"]["op"]
    times = {"anyOf": [_count(1), several, exactly]}
    shape = _closed({**_events(), "times": times, "within": dict(_SPAN)})
    return {**shape, "allOf": list(_NAMING), "description": "Who did it so often, at any time or lately."}


def _sequence() -> dict[str, Any]:
    first = {"properties": {"not": {"const": False}}}
    steps = {
        "type": "array",
        "items": {"$ref": f"#/$defs/{_STEP}"},
        "prefixItems": [{"allOf": [{"$ref": f"#/$defs/{_STEP}"}, first]}],
        "minItems": 2,
        "maxItems": MOST_STEPS,
    }
    shape = _closed({"steps": steps, "within": dict(_SPAN)}, ["steps"])
    return {**shape, "description": "Who went through the steps, one after the other."}


def _step() -> dict[str, Any]:
    absent = {"properties": {"not": {"const": True}}, "required": ["not"]}
    shape = _closed({**_events(), "times": _count(1), "within": dict(_SPAN), "not": {"type": "boolean"}})
    del shape["properties"]["op"]
    once = {"required": ["within"], "properties": {"times": {"const": 1}}}
    return {**shape, "allOf": [*_NAMING, {"if": absent, "then": once}]}

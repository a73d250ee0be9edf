"""Tracking plans: which events a source may send, as JSON Schema, and what becomes of one that is not as planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import jsonschema_rs
import msgspec
from msgspec import structs

from obverse.core import json_values
from obverse.core.events import TYPES, Event, RejectedEvent, to_json
from obverse.core.schema_extent import TooFar, check_extent

Mode = Literal["allow", "omit", "block"]
"""What becomes of an event that is not as planned: noted, cut to what is planned, or kept as a rejected event."""

NOTE: Final = "trackingPlan"
"""Name in an event's `extra` of what was found, and what was omitted."""

_ROUNDS: Final = 20
"""Times that what is not planned is cut out; each time may bring up what it hid."""
_TOLD: Final = 5
"""Violations that a reason lists."""
_NOTED: Final = 100
"""Violations that are noted on an event; a list may have as many as it has items, each longer than its item."""
_LONGEST: Final = 300
"""Characters of a violation that are told; it may quote what was sent."""


class BadPlan(ValueError):
    """A tracking plan that cannot be used; the message names the place and what to do."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One kind of call that may be sent."""

    type: str
    name: str | None
    """A track's event; None for all calls of the type that are not planned by name."""
    schema: Mapping[str, Any]
    """JSON Schema of the properties; of the traits, for identify and group."""
    description: str = ""
    validator: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TrackingPlan:
    """One version of a plan."""

    name: str
    version: tuple[int, int]
    """Within one first number, what was good stays good."""
    calls: Mapping[tuple[str, str | None], PlannedCall]
    description: str = ""

    @property
    def title(self) -> str:
        """Name and version, as people write it."""
        return f"{self.name} {version_text(self.version)}"

    @property
    def types(self) -> frozenset[str]:
        """The types that it speaks of; calls of others are not held to it."""
        return frozenset(kind for kind, _ in self.calls)


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which an event is not as planned."""

    field: str
    """JSON path."""
    reason: str
    cut: tuple[str, ...] | None = None
    """What is to be cut out so that the rest is as planned; None if nothing helps."""


@dataclass(frozen=True, slots=True)
class Held:
    """That a source is held to a plan."""

    plan: TrackingPlan
    mode: Mode

    def judge(self, event: Event) -> Event | RejectedEvent:
        """The event as it goes on; or the rejected event that it becomes."""
        found, properties = violations(self.plan, event)
        if not found:
            return event
        if self.mode == "allow":
            return _noted(event, self.plan, [*map(_told, found[:_NOTED]), *_more(len(found) - _NOTED)])
        if self.mode == "omit":
            notes: list[dict[str, Any]] = []
            left = event
            for _ in range(_ROUNDS):
                if any(one.cut is None for one in found):
                    break
                notes += _omitted(found, properties)
                left = structs.replace(left, properties=json_values.encode(properties))
                found, properties = violations(self.plan, left)
                if not found:
                    return _noted(left, self.plan, notes)
        return _blocked(event, self.plan, found)


def violations(plan: TrackingPlan, event: Event) -> tuple[list[Violation], Any]:
    """In what an event is not as planned; and its properties, decoded."""
    calls = plan.calls
    call = calls.get((event.type, event.name)) or calls.get((event.type, None))
    if call is None:
        if event.type not in plan.types:
            return [], None
        name = "event" if event.type == "track" else "name"
        reason = f"{event.type} {event.name!r} is not in tracking plan {plan.title}; correct its name, or plan it"
        return [Violation(f"$.{name}", reason)], None
    place = "traits" if event.type in {"identify", "group"} else "properties"
    try:
        properties = json_values.decode(event.properties)
        return [one for flaw in call.validator.iter_errors(properties) for one in _of(flaw, place)], properties
    except ValueError as error:
        return [Violation(f"$.{place}", f"cannot be held against tracking plan {plan.title}: {error}")], None


def _of(flaw: Any, place: str) -> Iterator[Violation]:
    path: list[str | int] = list(flaw.instance_path)
    unexpected: Sequence[str] = getattr(flaw.kind, "unexpected", None) or ()
    if unexpected and all(isinstance(one, str) for one in (*path, *unexpected)):
        for name in unexpected:
            yield Violation(_json_path(place, [*path, name]), "is not planned", (*map(str, path), name))
        return
    missing = getattr(flaw.kind, "property", None)
    where = _json_path(place, [*path, missing] if isinstance(missing, str) else path)
    # Out of a list nothing can be cut without moving its neighbours: the list goes as a whole.
    cut = tuple(path[: next((at for at, part in enumerate(path) if isinstance(part, int)), len(path))])
    yield Violation(where, str(flaw.message)[:_LONGEST], tuple(map(str, cut)) or None)


def _json_path(place: str, path: Iterable[str | int]) -> str:
    return f"$.{place}" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _cut(properties: Any, path: tuple[str, ...]) -> Any:
    """Take out what is there, and return it; None if it is gone already."""
    *outer, last = path
    place = properties
    for part in outer:
        place = place.get(part) if isinstance(place, dict) else None
    return place.pop(last, None) if isinstance(place, dict) else None


def _omitted(found: Sequence[Violation], properties: Any) -> Iterator[dict[str, Any]]:
    """Cut out what is not as planned, and note it."""
    gone = 0
    for one in found:
        value = _cut(properties, one.cut or ())
        # Of a list that goes as a whole each item may have had a flaw of its own.
        gone += value is None
        if value is not None or gone <= _NOTED:
            yield {**_told(one), "omitted": value}
    yield from _more(gone - _NOTED)


def _more(count: int) -> list[dict[str, Any]]:
    return [{"field": "$", "reason": f"and {count} more"}] if count > 0 else []


def _told(violation: Violation) -> dict[str, Any]:
    return {"field": violation.field, "reason": violation.reason}


def _noted(event: Event, plan: TrackingPlan, notes: Sequence[Mapping[str, Any]]) -> Event:
    extra = msgspec.json.decode(event.extra, type=dict[str, msgspec.Raw])
    extra[NOTE] = msgspec.Raw(json_values.encode({"plan": plan.title, "violations": notes}))
    return structs.replace(event, extra=msgspec.json.encode(extra))


def is_noted(event: Event) -> bool:
    """Whether a plan has noted something on an event, and may have changed it; or whoever sent it says so."""
    return NOTE in msgspec.json.decode(event.extra, type=dict[str, msgspec.Raw])


def _blocked(event: Event, plan: TrackingPlan, found: Sequence[Violation]) -> RejectedEvent:
    listed = "; ".join(f"{one.field}: {one.reason}" for one in found[:_TOLD])
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return RejectedEvent(
        source=event.source,
        received_at=event.received_at,
        code="violates_tracking_plan",
        reason=f"not as tracking plan {plan.title} says: {listed}{more}",
        field=found[0].field,
        message_id=event.message_id,
        type=event.type,
        body=to_json(event),
    )


# Making plans.


def _no_retriever(address: str) -> Any:
    raise BadPlan(f"{address} is not fetched; put what it holds under `$defs`")


def planned_call(kind: str, name: str | None, schema: Mapping[str, Any], description: str = "") -> PlannedCall:
    """
    Make a call ready to be held against.

    Raises:
        BadPlan: the schema is none, or the type is no call.
    """
    if kind not in TYPES:
        raise BadPlan(f"type: {kind!r} is no call; use one of {', '.join(sorted(TYPES - {'alias'}))}")
    if kind == "alias":
        raise BadPlan("type: an alias has nothing that could be planned; leave it out")
    if kind == "track" and not name:
        raise BadPlan("event: a track is planned by the name of its event")
    try:
        # Patterns that take linear time, whatever is sent.
        validator = jsonschema_rs.validator_for(
            dict(schema), retriever=_no_retriever, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (jsonschema_rs.ValidationError, ValueError) as error:
        place = "".join(f".{part}" for part in getattr(error, "instance_path", ()))
        raise BadPlan(f"schema{place}: {getattr(error, 'message', error)}; write JSON Schema") from error
    try:
        check_extent(schema)
    except TooFar as error:
        raise BadPlan(f"schema: {error}") from error
    return PlannedCall(kind, name, schema, description, validator)


def version_of(text: str) -> tuple[int, int]:
    """
    Read a version.

    >>> version_of("2.10")
    (2, 10)
    """
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def version_text(version: tuple[int, int]) -> str:
    """Write a version."""
    return "{}.{}".format(*version)


def check_successor(old: TrackingPlan, new: TrackingPlan) -> None:
    """
    Hold a version against the one before it with the same first number: what was good must stay good.

    Raises:
        BadPlan: names the place that would turn away what was accepted, and what to do.
    """
    for key, call in old.calls.items():
        place = f"{call.type} {call.name!r}" if call.name else call.type
        if key not in new.calls:
            raise BadPlan(_incompatible(old, new, place, "was taken out"))
        for where, what in narrowed(call.schema, new.calls[key].schema):
            raise BadPlan(_incompatible(old, new, f"{place}, schema{where}", what))


def _incompatible(old: TrackingPlan, new: TrackingPlan, place: str, what: str) -> str:
    return (
        f"{place} {what}, which turns away what version {version_text(old.version)} accepts; undo it, or make it "
        f"version {version_text((old.version[0] + 1, 0))} (now {version_text(new.version)})"
    )


_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAYS_NOTHING: Final = frozenset({"title", "description", "$comment", "examples", "default", "$schema", "$id"})
_COMPARED: Final = frozenset({"type", "required", "enum", "properties", "items", "additionalProperties"})


def narrowed(old: Any, new: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """
    Where a schema turns away what another one accepted: (place, what). What cannot be told counts as such.

    >>> list(narrowed({"type": "number"}, {"type": "integer"}))
    [('.type', "no longer allows 'number'")]
    """
    old = {} if old is True else old
    if old == new or old is False or new is True or new == {}:
        return
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        yield where, "is narrower than before"
        return
    yield from _narrower_lists(old, new, where)
    for name in {*_AT_LEAST, *_AT_MOST} & new.keys():
        before, now = old.get(name), new[name]
        if before is None or (now > before if name in _AT_LEAST else now < before):
            yield f"{where}.{name}", f"is {now}, and was {'not set' if before is None else before}"
    yield from _narrower_parts(old, new, where)
    for name in sorted(new.keys() - _SAYS_NOTHING - _COMPARED - {*_AT_LEAST, *_AT_MOST}):
        if old.get(name) != new[name]:
            yield f"{where}.{name}", "has changed"
    for name, held_by in _EXEMPTS.items():
        # What it named was spared by what is said of all the rest.
        if name in old and name not in new and held_by & new.keys():
            yield f"{where}.{name}", f"is gone, and {', '.join(sorted(held_by & new.keys()))} holds what it allowed"


def _narrower_lists(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    added = [one for one in new.get("required", ()) if one not in old.get("required", ())]
    if added:
        yield f"{where}.required", f"asks for {', '.join(map(repr, added))}"
    if "type" in new:
        before, now = _types(old), _types(new)
        lost = sorted(one for one in before if one not in now and not (one == "integer" and "number" in now))
        if lost:
            yield f"{where}.type", f"no longer allows {', '.join(map(repr, lost))}"
    if "enum" in new:
        gone = [one for one in old["enum"] if one not in new["enum"]] if "enum" in old else None
        if gone is None or gone:
            yield f"{where}.enum", f"no longer allows {', '.join(map(repr, gone or ['anything else']))}"


_UNEVALUATED: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})
_EXEMPTS: Final[Mapping[str, frozenset[str]]] = {
    "patternProperties": frozenset({"additionalProperties", "unevaluatedProperties"}),
    "prefixItems": frozenset({"items", "unevaluatedItems"}),
    "contains": frozenset({"unevaluatedItems"}),
    **dict.fromkeys(
        ("allOf", "anyOf", "oneOf", "if", "then", "else", "$ref", "$dynamicRef", "dependentSchemas"), _UNEVALUATED
    ),
}
"""Keywords that allow what others turn away: without them those hold more."""

_ALL_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


def _types(schema: Mapping[str, Any]) -> Sequence[str]:
    said = schema.get("type", _ALL_TYPES)
    return [said] if isinstance(said, str) else list(said)


def _narrower_parts(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    before, now = old.get("properties", {}), new.get("properties", {})
    for name, schema in now.items():
        # What was not planned by name was held to what is said of all others.
        yield from narrowed(before.get(name, old.get("additionalProperties", {})), schema, f"{where}.properties.{name}")
    rest = new.get("additionalProperties", {})
    for name in before.keys() - now.keys():
        yield from narrowed(before[name], rest, f"{where}.properties.{name}")
    yield from narrowed(old.get("additionalProperties", {}), rest, f"{where}.additionalProperties")
    yield from narrowed(old.get("items", {}), new.get("items", {}), f"{where}.items")


def check_edits(before: Iterable[TrackingPlan], after: Iterable[TrackingPlan]) -> None:
    """
    Hold versions that were changed where they stand against what they said: what was good must stay good here too.

    Raises:
        BadPlan: as `check_successor`.
    """
    known = {(one.name, one.version): one for one in before}
    for plan in after:
        old = known.get((plan.name, plan.version))
        if old is not None:
            try:
                check_successor(old, plan)
            except BadPlan as error:
                raise BadPlan(f"tracking plan {plan.title} was changed where it stands: {error}") from error


def held_sources(
    wanted: Mapping[str, tuple[str, tuple[int, int] | None, Mode]], plans: Iterable[TrackingPlan]
) -> dict[str, Held]:
    """
    By source, what it is held to: the version that it names, else the latest.

    Raises:
        BadPlan: a source names what is not defined, or a version turns away what the one before it accepted.
    """
    by_name: dict[str, list[TrackingPlan]] = {}
    for plan in sorted(plans, key=lambda one: (one.name, one.version)):
        others = by_name.setdefault(plan.name, [])
        if others and others[-1].version[0] == plan.version[0]:
            try:
                check_successor(others[-1], plan)
            except BadPlan as error:
                raise BadPlan(f"tracking plan {plan.title}: {error}") from error
        others.append(plan)
    held: dict[str, Held] = {}
    for source, (name, version, mode) in wanted.items():
        fit = [one for one in by_name.get(name, ()) if version in {None, one.version}]
        if not fit:
            known = ", ".join(one.title for ones in by_name.values() for one in ones) or "none"
            asked = name if version is None else f"{name} {version_text(version)}"
            raise BadPlan(
                f"source {source!r} is held to tracking plan {asked!r}, which is not defined (defined: {known})"
            )
        held[source] = Held(fit[-1], mode)
    return held

"""Profiles: one person each, struck from everything that every system knows of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from struct import pack as pack_numbers
from struct import unpack as unpack_numbers
from typing import Any, Final, NamedTuple

import msgspec

from obverse.core import changes, json_values, times
from obverse.core.audiences import Audience
from obverse.core.changes import Change
from obverse.core.crdt import clock, register
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Register, Write
from obverse.core.definitions import MOMENT, Definitions, Plan, Trait
from obverse.core.events import Event
from obverse.core.identity import Edge

WINDOW_SECONDS: Final = 24 * 3600
"""Message ids are remembered for this long after they arrived …"""
WINDOW_LEAST: Final = 4096
"""… and in any case the latest so many."""


class Sighting(NamedTuple):
    """When an identifier was first and last shown, in microseconds since 1970, and by which event first."""

    first_seen: int
    event: str
    last_seen: int


class Membership(NamedTuple):
    """Where a profile stands to one audience."""

    member: bool
    number: int
    """How often it has entered."""
    since: int
    """Time of the event that made it enter or leave, in microseconds since 1970."""


@dataclass(slots=True)
class Profile:
    """
    The state of one person, owned by one engine.

    Identifiers, edges, attributes, version and window are lattices; traits are aggregates, which see each event
    once because the window of message ids catches what comes again.
    """

    id: bytes
    identifiers: dict[str, Sighting] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    attributes: dict[str, Register] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    """State by `Trait.key`."""
    audiences: dict[str, Membership] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    """Hash of message id -> second of arrival."""
    version: dict[int, int] = field(default_factory=dict)
    """What was folded: {partition: highest offset}."""
    first: Stamp | None = None
    """Stamp of the earliest event."""
    changed_at: int = 0
    """Arrival of the event that changed it last, in microseconds since 1970."""
    events: int = 0
    claims: list[str] = field(default_factory=list)
    """Identifiers that it has come to since it was kept last."""
    standing_moved: bool = False
    """Whether it has entered or left an audience since it was kept last."""


def message_key(event: Event) -> int:
    """64 bits that stand for an event's message id within its source."""
    name = f"{event.source}\0{event.message_id}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")


def apply(
    profile: Profile, event: Event, stamp: Stamp, place: tuple[int, int], definitions: Definitions
) -> list[Change] | None:
    """
    Fold one event into the profile it belongs to, and say what it changed.

    Changes the profile in place. Returns None, having changed nothing but the version, if the profile has
    seen the message id before. `stamp` is the event's; `place` is its (partition, offset).
    """
    partition, offset = place
    if offset > profile.version.get(partition, -1):
        profile.version[partition] = offset
    key, seen, received_at = message_key(event), profile.seen, event.received_at
    if key in seen:
        return None
    seen[key] = received_at // 1_000_000
    if len(seen) > 2 * WINDOW_LEAST and len(seen) % WINDOW_LEAST == 0:
        forget_old(profile)
    if profile.first is None or stamp < profile.first:
        profile.first = stamp
    if received_at > profile.changed_at:  # noqa: PLR1730 - a call of max costs more, and this is done for each event
        profile.changed_at = received_at
    profile.events += 1

    moved: list[tuple[str, str]] = []
    if event.type == "identify":
        _tell(profile, event, stamp, moved)
    plan = definitions.plan(event)
    if plan.moves:
        _compute(profile, event, stamp, plan, moved)
    if not moved and profile.events > 1:
        return []
    one, message_id = profile.id, event.message_id
    done = [Change(one, kind, name, message_id) for kind, name in moved]
    _judge_watching(profile, moved, stamp, definitions, done)
    return done


def _judge_watching(
    profile: Profile, moved: list[tuple[str, str]], stamp: Stamp, definitions: Definitions, done: list[Change]
) -> None:
    """Judge the audiences that look at what moved."""
    watchers = definitions.watchers
    watching: dict[str, Audience] = {}
    for subject in moved:
        for one in watchers.get(subject, ()):
            watching[one.name] = one
    if profile.events == 1:
        watching.update({one.name: one for one in definitions.newcomers})
    for audience in watching.values():
        change = judge(profile, audience, stamp, definitions)
        if change is not None:
            done.append(change)


def forget_old(profile: Profile) -> None:
    """Let go of message ids that are older than the window and not among the latest `WINDOW_LEAST`."""
    if len(profile.seen) <= WINDOW_LEAST:
        return
    latest = sorted(((second, key) for key, second in profile.seen.items()), reverse=True)
    horizon = latest[0][0] - WINDOW_SECONDS
    profile.seen = {
        key: second for place, (second, key) in enumerate(latest) if place < WINDOW_LEAST or second >= horizon
    }


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _tell(profile: Profile, event: Event, stamp: Stamp, moved: list[tuple[str, str]]) -> None:
    """Write the attributes that an identify tells."""
    for name, raw in _fields.decode(event.properties).items():
        before = profile.attributes.get(name)
        after = register.write(before, Write(stamp, bytes(raw)))
        profile.attributes[name] = after
        if before is None or before[0].value != after[0].value:
            moved.append((changes.ATTRIBUTE, name))


def _compute(profile: Profile, event: Event, stamp: Stamp, plan: Plan, moved: list[tuple[str, str]]) -> None:
    """Move the traits that this event moves."""
    values = plan.values(event.properties)
    states = profile.traits
    moment: str | None = None
    for trait, place in plan.moves:
        kind, key = trait.kind, trait.key
        value = None
        if place >= 0:
            value = values[place]
        elif place == MOMENT:
            value = moment = moment or times.to_text(event.timestamp)
        if value is None and kind.takes_value:
            continue
        old = states.get(key)
        if old is None:
            # Without a state there is no value yet, whatever an empty state reads as.
            new = kind.add(kind.start(), value, stamp)
            if new is None:
                continue
            states[key], before = new, None
        elif kind.in_place:
            before = kind.read(old)
            new = states[key] = kind.add(old, value, stamp)
        else:
            new = kind.add(old, value, stamp)
            if new is old:
                continue
            states[key] = new
            before = kind.read(old)
        if kind.read(new) != before:
            moved.append((changes.TRAIT, trait.name))


def judge(profile: Profile, audience: Audience, stamp: Stamp, definitions: Definitions) -> Change | None:
    """Let the profile enter or leave an audience, if its condition says so now."""
    standing = profile.audiences.get(audience.name, _OUTSIDE)
    member = audience.holds(lambda subject, name: value_of(profile, subject, name, definitions))
    if member == standing.member:
        return None
    number = standing.number + member
    profile.standing_moved = True
    profile.audiences[audience.name] = Membership(member, number, stamp.time)
    return Change(profile.id, changes.ENTERED if member else changes.LEFT, audience.name, stamp.message_id, number)


_OUTSIDE: Final = Membership(member=False, number=0, since=0)


def value_of(profile: Profile, subject: str, name: str, definitions: Definitions) -> Any:
    """The value of a trait or an attribute, or None while there is none."""
    if subject == "attribute":
        written = profile.attributes.get(name)
        return None if written is None else json_values.lenient(written[0].value)
    trait = definitions.trait_of_name.get(name)
    return None if trait is None else read_trait(profile, trait)


def read_trait(profile: Profile, trait: Trait) -> Any:
    """A trait's value, or None while no event has moved it."""
    state = profile.traits.get(trait.key)
    return None if state is None else trait.kind.read(state)


def computed_traits(profile: Profile, definitions: Definitions) -> dict[str, Any]:
    """Every trait that has a value, as one flat object."""
    states, values = profile.traits, {}
    for trait in definitions.traits:
        state = states.get(trait.key)
        if state is not None:
            value = trait.kind.read(state)
            if value is not None:
                values[trait.name] = value
    return values


def merge(one: Profile, other: Profile, definitions: Definitions) -> Profile:
    """
    Make two profiles one, under the id of the first. Changes the first in place; the other is used up.

    Audiences are to be judged anew afterwards (`judge`), since what they look at has moved.
    """
    for identifier, sighting in other.identifiers.items():
        sight(one, identifier, sighting)
    for ends, edge in other.edges.items():
        tie(one, ends, edge)
    for name, written in other.attributes.items():
        mine = one.attributes.get(name)
        one.attributes[name] = written if mine is None else register.merge(mine, written)
    _merge_traits(one, other, definitions)
    for name, standing in other.audiences.items():
        mine_there = one.audiences.get(name, _OUTSIDE)
        one.audiences[name] = Membership(
            mine_there.member or standing.member,
            max(mine_there.number, standing.number),
            max(mine_there.since, standing.since),
        )
    one.standing_moved = True
    for key, second in other.seen.items():
        if second > one.seen.get(key, -1):
            one.seen[key] = second
    one.version = clock.merge_versions(one.version, other.version)
    one.first = clock.earliest(one.first, other.first)
    one.changed_at = max(one.changed_at, other.changed_at)
    one.events += other.events
    return one


def _merge_traits(one: Profile, other: Profile, definitions: Definitions) -> None:
    kinds = definitions.kind_of_key
    for key, state in other.traits.items():
        if key not in one.traits:
            one.traits[key] = state
        elif key in kinds:  # else its definition is gone, and so is its meaning
            one.traits[key] = kinds[key].merge(one.traits[key], state)


def sight(profile: Profile, identifier: str, seen: Sighting) -> None:
    """Note that an identifier of this profile was shown."""
    known = profile.identifiers.get(identifier)
    if known is None:
        profile.identifiers[identifier] = seen
        return
    first = min(known[:2], seen[:2])
    profile.identifiers[identifier] = Sighting(*first, max(known.last_seen, seen.last_seen))


def tie(profile: Profile, ends: tuple[str, str], edge: Edge) -> None:
    """Add evidence; of two edges between the same ends the earlier one stays."""
    known = profile.edges.get(ends)
    if known is None or (edge.at, edge.event) < (known.at, known.event):
        profile.edges[ends] = edge


def identity_graph(profile: Profile) -> dict[str, Any]:
    """The identifiers and the evidence that ties them, in an order of its own, for people and SQL to read."""
    to_text, shown = times.to_text, []
    for identifier, (first_seen, event, last_seen) in sorted(profile.identifiers.items()):
        kind, _, value = identifier.partition(":")
        first = to_text(first_seen)
        last = first if last_seen == first_seen else to_text(last_seen)
        shown.append({"kind": kind, "value": value, "first_seen": first, "last_seen": last, "event": event})
    return {
        "identifiers": shown,
        "edges": [
            {"a": edge.a, "b": edge.b, "event": edge.event, "rule": edge.rule, "at": times.to_text(edge.at)}
            for _, edge in sorted(profile.edges.items())
        ],
    }


FORMAT: Final = 1


class _Packed(msgspec.Struct, array_like=True):
    format: int
    id: bytes
    identifiers: dict[str, Sighting]
    edges: list[Edge]
    attributes: dict[str, Register]
    traits: dict[str, Any]
    audiences: dict[str, Membership]
    seen: bytes
    """Hashes of message ids, 8 bytes each, then their seconds of arrival, 4 bytes each."""
    version: dict[int, int]
    first: Stamp | None
    changed_at: int
    events: int


_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(_Packed)


def pack(profile: Profile, definitions: Definitions) -> bytes:
    """The profile's state as bytes; traits whose definition is gone are left behind."""
    forget_old(profile)
    kinds = definitions.kind_of_key
    return _packer.encode(
        _Packed(
            format=FORMAT,
            id=profile.id,
            identifiers=profile.identifiers,
            edges=list(profile.edges.values()),
            attributes=profile.attributes,
            traits={key: kinds[key].pack(state) for key, state in profile.traits.items() if key in kinds},
            audiences=profile.audiences,
            seen=pack_numbers(f"<{len(profile.seen)}Q{len(profile.seen)}I", *profile.seen, *profile.seen.values()),
            version=profile.version,
            first=profile.first,
            changed_at=profile.changed_at,
            events=profile.events,
        )
    )


def unpack(packed: bytes, definitions: Definitions) -> Profile:
    """
    The profile that was packed.

    Raises:
        ValueError: the bytes are no profile, or of a format that this release does not know.
    """
    try:
        state = _unpacker.decode(packed)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{len(packed)} bytes are no packed profile: {error}") from error
    if state.format != FORMAT:
        raise ValueError(f"profile format {state.format} is not known; this release reads {FORMAT}")
    kinds = definitions.kind_of_key
    count, rest = divmod(len(state.seen), 12)
    if rest:
        raise ValueError(f"{len(state.seen)} bytes are no window of message ids, which has 12 for each")
    seen = unpack_numbers(f"<{count}Q{count}I", state.seen)
    return Profile(
        id=state.id,
        identifiers=state.identifiers,
        edges={(edge.a, edge.b): edge for edge in state.edges},
        attributes=state.attributes,
        traits={key: kinds[key].unpack(packed) for key, packed in state.traits.items() if key in kinds},
        audiences=state.audiences,
        seen=dict(zip(seen[:count], seen[count:], strict=True)),
        version=state.version,
        first=state.first,
        changed_at=state.changed_at,
        events=state.events,
    )


def state_of(profile: Profile, definitions: Definitions) -> dict[str, Any]:
    """
    What two runs over one log must agree on, field by field, whatever their order: for comparing.

    Leaves out the id, which depends on what was seen first, how often an audience was entered, and the version,
    which speaks of places in the log.
    """
    forget_old(profile)
    return {
        "identifiers": profile.identifiers,
        "attributes": profile.attributes,
        "traits": computed_traits(profile, definitions),
        "audiences": sorted(name for name, standing in profile.audiences.items() if standing.member),
        "seen": profile.seen.keys(),
        "first": profile.first,
        "events": profile.events,
    }


def attributes_text(profile: Profile) -> bytes:
    """The winning value of each attribute, as sent, in one JSON object."""
    return json_values.encode({name: msgspec.Raw(written[0].value) for name, written in profile.attributes.items()})

"""How a profile's two parts are packed into bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Register, Write
from obverse.core.definitions import Trait
from obverse.core.identity import Edge, edge_key
from obverse.core.profiles.parts import NEVER, Membership, Sighting

FORMAT: Final = 2
_HEAD: Final = 4
"""Bytes that say how many of a whole profile's bytes are what is known."""


class State(msgspec.Struct, array_like=True, gc=False):
    """What moves with each event."""

    format: int
    id: bytes
    identifiers: dict[str, int]
    traits: dict[int, Any]
    """By `Trait.code`, as the kinds pack them."""
    audiences: dict[str, Membership]
    seen: bytes
    """See `Window.packed`."""
    version: dict[int, int]
    first: Stamp | None
    changed_at: int
    events: int
    merges: int = 0
    turned_at: int = 0
    due: int | None = None
    filled: int = 0
    since: dict[int, int] | None = None


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a `State`; what comes behind is passed over."""

    format: int
    id: bytes
    identifiers: dict[str, int]


class _Due(msgspec.Struct, array_like=True, gc=False):
    """As much of a `State` as tells when it is due; what is passed over is not read."""

    format: msgspec.Raw
    id: msgspec.Raw
    identifiers: msgspec.Raw
    traits: msgspec.Raw
    audiences: msgspec.Raw
    seen: msgspec.Raw
    version: msgspec.Raw
    first: msgspec.Raw
    changed_at: msgspec.Raw
    events: msgspec.Raw
    merges: msgspec.Raw
    turned_at: msgspec.Raw
    due: int | None


class _Known(msgspec.Struct, array_like=True, gc=False):
    """
    What moves seldom.

    Several things are told by one event, so its time and message id stand in a table, and are named by their place.
    """

    marks: list[tuple[int, str]]
    """Time and message id."""
    sources: list[str]
    names: list[str]
    """Identifiers."""
    sightings: list[tuple[int, int]]
    """Places of the name and of the mark."""
    edges: list[tuple[int, int, int, str]]
    """Places of both ends and of the mark; the rule."""
    attributes: dict[str, list[tuple[int, int, bytes]]]
    """Places of the mark and of the source, and the value, of each write."""
    groups: dict[str, int] = {}
    """Place of the mark of each."""
    consents: dict[str, list[tuple[int, int, bytes]]] = {}
    """As attributes."""


_packer = msgspec.msgpack.Encoder()
_state = msgspec.msgpack.Decoder(State)
_head = msgspec.msgpack.Decoder(_Head)
_due = msgspec.msgpack.Decoder(_Due)
_known = msgspec.msgpack.Decoder(_Known)


def whole(known: bytes, state: bytes) -> bytes:
    """Both parts in one."""
    return len(known).to_bytes(_HEAD) + known + state


def parts(packed: bytes) -> tuple[bytes, bytes]:
    """
    What is known and the state, out of one.

    Raises:
        ValueError: these bytes are not two parts.
    """
    end = _HEAD + int.from_bytes(packed[:_HEAD])
    if end > len(packed):
        raise ValueError(f"{len(packed)} bytes are no packed profile, which would have {end} at least")
    return packed[_HEAD:end], packed[end:]


def due_in(packed: bytes) -> int:
    """When time alone could change the whole profile that was packed; a small part of the work of reading all."""
    due = _due.decode(parts(packed)[1]).due
    return NEVER if due is None else due


def pack_state(state: State) -> bytes:
    """The state, packed."""
    return _packer.encode(state)


def pack_traits(states: Mapping[str, Any], traits: Mapping[str, Trait]) -> dict[int, Any]:
    """The states of traits by code; those whose definition is gone are left out."""
    packed = {}
    for key, state in states.items():
        trait = traits.get(key)
        if trait is not None:
            packed[trait.code] = trait.kind.pack(state)
    return packed


def read_state(packed: bytes) -> State:
    """
    The state that was packed.

    Raises:
        ValueError: the bytes are none, or of a format that this release does not know.
    """
    try:
        state = _state.decode(packed)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{len(packed)} bytes are no packed profile: {error}") from error
    if state.format != FORMAT:
        raise ValueError(f"profile format {state.format} is not known; this release reads {FORMAT}")
    return state


def read_traits(packed: Mapping[int, Any], traits: Mapping[int, Trait]) -> dict[str, Any]:
    """The states of traits by key; those whose definition is gone are left out."""
    states = {}
    for code, state in packed.items():
        trait = traits.get(code)
        if trait is not None:
            states[trait.key] = trait.kind.unpack(state)
    return states


def pack_known(
    sightings: Mapping[str, Sighting],
    edges: Mapping[tuple[str, str], Edge],
    attributes: Mapping[str, Register],
    groups: Mapping[str, Sighting],
    consents: Mapping[str, Register],
) -> bytes:
    """What is known, packed."""
    marks: dict[tuple[int, str], int] = {}
    sources: dict[str, int] = {}
    names: dict[str, int] = {}

    def mark(at: int, event: str) -> int:
        return marks.setdefault((at, event), len(marks))

    def name(identifier: str) -> int:
        return names.setdefault(identifier, len(names))

    seen = [(name(identifier), mark(*sighting)) for identifier, sighting in sightings.items()]
    tied = [(name(edge.a), name(edge.b), mark(edge.at, edge.event), edge.rule) for edge in edges.values()]

    def written(registers: Mapping[str, Register]) -> dict[str, list[tuple[int, int, bytes]]]:
        return {
            one: [
                (mark(stamp.time, stamp.message_id), sources.setdefault(stamp.source, len(sources)), value)
                for stamp, value in writes
            ]
            for one, writes in registers.items()
        }

    told = written(attributes)
    joined = {group: mark(*since) for group, since in groups.items()}
    allowed = written(consents)
    return _packer.encode(_Known(list(marks), list(sources), list(names), seen, tied, told, joined, allowed))


def read_attribute(packed: bytes, name: str) -> bytes | None:
    """The winning value of one attribute, out of what is known; a fifth of the work of reading all of it."""
    written = _known.decode(packed).attributes.get(name)
    return written[0][2] if written else None


def read_briefly(known: bytes, state: bytes) -> tuple[bytes, Mapping[str, int], Mapping[str, bytes]]:
    """
    The id, the identifiers and the winning values alone: a small part of the work of reading all.

    Raises:
        ValueError: the bytes are none, or of a format that this release does not know.
    """
    try:
        head, told = _head.decode(state), _known.decode(known).attributes
    except msgspec.MsgspecError as error:
        raise ValueError(f"{len(known) + len(state)} bytes are no packed profile: {error}") from error
    if head.format != FORMAT:
        raise ValueError(f"profile format {head.format} is not known; this release reads {FORMAT}")
    return head.id, head.identifiers, {name: written[0][2] for name, written in told.items()}


def read_known(
    packed: bytes,
) -> tuple[
    dict[str, Sighting], dict[tuple[str, str], Edge], dict[str, Register], dict[str, Sighting], dict[str, Register]
]:
    """
    Sightings, edges, attributes, groups and consents that were packed.

    Raises:
        ValueError: these bytes are none.
    """
    try:
        known = _known.decode(packed)
        marks, names = known.marks, known.names
        sightings = {names[name]: Sighting(*marks[mark]) for name, mark in known.sightings}
        edges = {}
        for a, b, mark, rule in known.edges:
            at, event = marks[mark]
            edges[edge_key(names[a], names[b])] = Edge(names[a], names[b], event, rule, at)
        attributes, consents = _registers(known, known.attributes), _registers(known, known.consents)
        groups = {group: Sighting(*marks[mark]) for group, mark in known.groups.items()}
    except (msgspec.MsgspecError, IndexError) as error:
        raise ValueError(f"{len(packed)} bytes are no packed profile, or not what is known of one: {error}") from error
    return sightings, edges, attributes, groups, consents


def _registers(known: _Known, packed: Mapping[str, list[tuple[int, int, bytes]]]) -> dict[str, Register]:
    marks, sources = known.marks, known.sources
    registers: dict[str, Register] = {}
    for name, written in packed.items():
        writes = []
        for mark, source, value in written:
            time, event = marks[mark]
            writes.append(Write(Stamp(time, sources[source], event), value))
        registers[name] = tuple(writes)
    return registers

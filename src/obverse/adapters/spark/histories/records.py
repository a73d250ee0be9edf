"""What a router asks a batch job for and what it is given, as records of Kafka. No I/O here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from obverse.adapters._buckets.histories import Given, Person, Wanted
from obverse.core import codec
from obverse.core.events import Event

ASKS: Final = "history-asks"
"""The topic of what was asked, and how each ended; all are small."""
PEOPLE: Final = "history-people"
"""The topic of whom it is asked for, and where the log had their events."""
GIVEN: Final = "history-given"
"""The topic of what was computed."""

_CHUNK: Final = 50_000
"""Places of one record."""
_event = codec.Decoder(Event)


class Ask(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=1):
    """Compute the histories of everybody of a part of the topic of people."""

    run: bytes
    """Names it."""
    wanted: Wanted
    begin: int
    """Kafka offsets of that part: from this one …"""
    end: int
    """… up to this one."""


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=2):
    """How an ask ended."""

    run: bytes
    fault: str = ""
    """Why nothing can be had; empty if all was computed."""
    begin: int = 0
    """Kafka offsets of the part of the topic of what was computed that has it: from this one …"""
    end: int = 0
    """… up to this one."""


class Chunk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A person, and some of the places at which the log had what was folded into them."""

    run: bytes
    profile: bytes
    basis: bytes
    """What comes back with the history."""
    first: int
    """Which place is the first of these; they are in the order of the fold."""
    partitions: list[int]
    offsets: list[int]
    events: dict[int, bytes]
    """Events that are not as the log has them, by their places in this chunk."""


class Result(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the history of a person gives; nothing, if events are missing."""

    run: bytes
    profile: bytes
    basis: bytes
    history: dict[int, Any] | None
    missing: int = 0
    """How many events were found nowhere …"""
    partition: int = 0
    """… and where the log had the first of them."""
    offset: int = 0


class _Basis(msgspec.Struct, array_like=True, frozen=True, gc=False):
    merges: int
    since: dict[int, int] | None
    count: int
    """Of all places of the person."""


_encoder = msgspec.msgpack.Encoder()
_asks: msgspec.msgpack.Decoder[Ask | Answer] = msgspec.msgpack.Decoder(Ask | Answer)
_chunk = msgspec.msgpack.Decoder(Chunk)
_result = msgspec.msgpack.Decoder(Result)
_basis = msgspec.msgpack.Decoder(_Basis)


def write(record: Ask | Answer | Chunk | Result) -> bytes:
    """The value of a Kafka record."""
    return _encoder.encode(record)


def read_ask(value: bytes | None) -> Ask | Answer | None:
    """A record of the topic of asks; None if it is nothing that this release knows."""
    try:
        return _asks.decode(value or b"")
    except msgspec.MsgspecError:
        return None


def read_chunk(value: bytes | None) -> Chunk | None:
    """A record of the topic of people; None as above."""
    try:
        return _chunk.decode(value or b"")
    except msgspec.MsgspecError:
        return None


def read_result(value: bytes | None) -> Result | None:
    """A record of the topic of what was computed; None as above."""
    try:
        return _result.decode(value or b"")
    except msgspec.MsgspecError:
        return None


def chunks_of(run: bytes, person: Person) -> Iterator[Chunk]:
    """A person, in records that are not too large."""
    places, first = iter(person.places), 0
    basis = _encoder.encode(_Basis(person.merges, person.since, len(person.places)))
    while some := list(islice(places, _CHUNK)):
        events = {at: codec.encode([event]) for at, (_, _, event) in enumerate(some) if event is not None}
        partitions, offsets = [one[0] for one in some], [one[1] for one in some]
        yield Chunk(run, person.profile, basis, first, partitions, offsets, events)
        first += len(some)


def count_of(basis: bytes) -> int:
    """How many places a person has in all."""
    return _basis.decode(basis).count


def given_of(result: Result) -> Given | None:
    """What was computed of a person, as it was asked for; None if events are missing."""
    if result.history is None:
        return None
    basis = _basis.decode(result.basis)
    return Given(result.profile, basis.merges, basis.since, result.history)


def event_of(record: bytes) -> Event:
    """
    One event, as `codec.encode` wrote it.

    Raises:
        codec.UnreadableRecord: it is none.
    """
    return _event.decode(1, record)[0]

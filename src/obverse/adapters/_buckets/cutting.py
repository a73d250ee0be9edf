"""The records of the topic of what was routed, as Kafka holds them: which count, and what each bucket gets of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from obverse.adapters._buckets import items
from obverse.adapters._kafka.chain import EVENTS, Chain, Verdict
from obverse.adapters._kafka.records import Foreign, Place, read, unpack
from obverse.ports.event_log import Stream


class RoutedGap(Exception):
    """Something that was routed is missing or damaged: what comes behind it must not be folded."""


class _Kept(msgspec.Struct, array_like=True):
    owner: int | None
    expected: int | None
    appended_at: int
    begun: bool
    blurred: bool


_decoder = msgspec.msgpack.Decoder(_Kept)


def place_of(workspace: str) -> Place:
    """The one partition of what is routed in a workspace."""
    return Place(workspace, str(Stream.ROUTED), 0)


class Cutter:
    """
    Cuts records of Kafka into slices; events are not decoded for it. Must be given all of the topic, in order.

    It keeps a few bytes, by which it knows what comes again and what is missing (`chain`).
    """

    def __init__(self, place: Place, kept: bytes = b"") -> None:
        self._place = place
        self._chain = Chain(expected=0)
        if kept:
            self._chain = Chain(*msgspec.structs.astuple(_decoder.decode(kept)))

    def cut(self, kafka_offset: int, value: bytes) -> Sequence[tuple[int, bytes]]:
        """
        Return (bucket, slice) of what a record of the topic holds, in order; nothing, if it does not count.

        Raises:
            RoutedGap: offsets are missing, or what is stored is damaged; a person must look.
        """
        record = read(self._place, value)
        verdict = self._chain.take(kafka_offset, record)
        if isinstance(record, Foreign):
            if record.ours:
                raise RoutedGap(f"what was routed, Kafka offset {kafka_offset}: {record.reason}; restore the topic")
            return []
        if verdict not in EVENTS:
            return []
        if verdict is not Verdict.COUNTS:
            raise RoutedGap(
                f"what was routed, Kafka offset {kafka_offset}: {self._chain.expected} should follow, and it begins "
                f"with {record.first}; start the engine from a checkpoint whose offsets the topic still holds"
            )
        damage, body = (record.damage, b"") if record.damage else unpack(record.body)
        if damage:
            raise RoutedGap(f"what was routed, Kafka offset {kafka_offset}: {damage}; restore the topic from a backup")
        return items.slices_of(body)

    def kept(self) -> bytes:
        """What another one goes on with."""
        chain = self._chain
        return msgspec.msgpack.encode(_Kept(chain.owner, chain.expected, chain.appended_at, chain.begun, chain.blurred))

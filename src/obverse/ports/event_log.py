"""Port: the ordered, durable, partitioned record of all that came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from obverse.core import codec
from obverse.core.events import RejectedEvent, damaged_record
from obverse.ports.outcomes import Unreachable

TAKEN: Final = 16 << 20
"""Bytes that every log takes in one append."""


class Stream(StrEnum):
    """What is recorded, each apart from the others and with offsets of its own."""

    EVENTS = "events"
    REJECTED = "rejected"
    DECISIONS = "decisions"
    CHANGES = "changes"
    ROUTED = "routed"
    """What engines of a grown installation are to do; nothing, where one process folds."""


COLLECTED: Final = frozenset({Stream.EVENTS, Stream.REJECTED})
"""What collectors append, many calls at once. To each of the other streams one task appends, one call at a time."""


def partitions_of(stream: Stream, partitions: int) -> int:
    """How many partitions a stream has where that of events has so many: one, if one process writes it."""
    return partitions if stream in COLLECTED else 1


def check_most(most: int | None) -> None:
    """
    See that so many partitions can be asked for.

    Raises:
        ValueError: it is less than 1.
    """
    if most is not None and most < 1:
        raise ValueError(f"an appender of at most {most} partitions appends nothing: ask for 1 or more")


@dataclass(frozen=True, slots=True)
class Records:
    """Records to append together: self-delimiting bytes one after another (`core.codec`)."""

    count: int
    body: bytes

    @staticmethod
    def of(items: Sequence[Any]) -> list[Records]:
        """Encode items, at least one, in as many parts as a log takes at once (`TAKEN`)."""
        body = codec.encode(items)
        if len(body) <= TAKEN or len(items) == 1:
            return [Records(len(items), body)]
        middle = len(items) // 2
        return [*Records.of(items[:middle]), *Records.of(items[middle:])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A run of records as the log holds it."""

    partition: int
    first: int
    """Offset of the first record. Offsets of a partition are dense: 0, 1, 2 …"""
    count: int
    body: bytes
    """The records, one after another; empty when the batch is damaged."""
    appended_at: int
    """Microseconds since 1970, never falling within a partition."""
    damage: str = ""
    """
    Why the stored bytes cannot be trusted; empty for a sound batch. A damaged batch is never folded.

    Where others can write into a log, what they wrote there comes as a damaged batch of no records, each time that it
    is read. This says where it stands, and is the same each time.
    """
    stored: bytes = b""
    """Of a damaged batch the stored bytes, or their beginning (`events.STORED`); empty if nothing is there."""

    @property
    def end(self) -> int:
        """Offset of the record after the last one: the mark from which reading goes on."""
        return self.first + self.count

    def set_aside(self, stream: Stream, now: int) -> RejectedEvent:
        """A damaged batch as it is kept among the rejected events."""
        where = f"{stream} partition {self.partition}, offsets {self.first} to {self.end - 1}"
        return damaged_record(where, self.damage, self.stored, now)


class UnknownMark(Exception):
    """A reader asked to start where the log has nothing: it was trimmed, or never written."""


class LogGap(Exception):
    """Offsets that were once appended are missing; the message says where, and how to go on."""


class Overtaken(Unreachable):
    """
    Another appender has the partitions now, so this one is never heard again; nothing is known of these records.

    Close it, and wait for a turn again.
    """


class Appender(Protocol):
    """The one writer of some partitions of a stream, until it is closed or its process ends."""

    @property
    def partitions(self) -> Sequence[int]:
        """Those that it writes, in order of number."""
        ...

    async def append(self, partition: int, records: Records) -> int:
        """
        Write the records and return the offset of the first, once they are durable.

        Calls may overlap; those that wait together share one commit. Records of one call stay
        together and in order. A call whose records are already durable when it is cancelled
        leaves them in the log.

        Raises:
            Unreachable: nothing is known of these records; appending them again may double them.
            Overtaken: the same, and somebody else appends by now.
            KeyError: the partition is not one of this appender's.
            ValueError: there is no record, or more bytes than the log takes at once (16 MiB are taken by any).
        """
        ...

    async def close(self) -> None:
        """Finish what waits, then let the next appender in. Appending afterwards raises Unreachable."""
        ...


class Reader(Protocol):
    """Reads partitions of a stream from marks on, for ever. Never delays an appender."""

    async def next(self) -> Sequence[Batch]:
        """
        Return the batches that follow, at least one, waiting for it if there is none yet.

        Within a partition batches come in order, without gap or repetition. It is woken by an
        append, not by polling. How much one call returns is bounded (about 4 MiB of stored bytes).
        A cancelled call has not moved the reader.

        Raises:
            Unreachable: the log cannot be read now; calling again goes on where this call stood.
            UnknownMark: the mark is before what is kept, or after the end.
            LogGap: offsets are missing.
        """
        ...

    async def close(self) -> None:
        """Stop reading; a waiting `next` is cancelled."""
        ...


class EventLog(Protocol):
    """
    One workspace's streams of records; nothing is true before it is in here.

    Promises, proved for every adapter by `obverse.contracts.event_log`:

    * an append that returned is there for every reader, after any crash;
    * order within a partition; offsets dense from 0;
    * one appender a partition at a time; who was waited for in vain, or is thought dead, is overtaken and told so;
    * a reader that starts at its mark misses nothing and repeats nothing; an unknown mark says so;
    * a slow reader never blocks an appender.
    """

    @property
    def partitions(self) -> int:
        """How many partitions the streams of events and of rejected events have. The others have one each."""
        ...

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        """
        Become the appender of these partitions (all of them, if None), waiting for the former one to go.

        With `most`, of as many of them as are nobody's now, up to so many, waiting only while there is none.

        Raises:
            Unreachable: the log cannot be written now.
            KeyError: the stream has no such partition.
            ValueError: `most` is less than 1.
        """
        ...

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        """
        Read the partitions named in `marks`, each from the offset given.

        A mark inside a batch brings that whole batch first, for the log cannot tell records apart: pass
        over those before the mark.

        Raises:
            KeyError: the stream has no such partition.
        """
        ...

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        """
        Return (first offset kept, offset after the last record) of each partition.

        Raises:
            Unreachable: the log cannot be read now.
        """
        ...

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        """
        Have partitions begin at these offsets instead of 0, before anything was ever appended to them.

        For who brings the records of another log here: each is to keep its offset, though the oldest are gone.
        Nobody may be the appender of these partitions meanwhile.

        Raises:
            Unreachable: nothing is known; ask `bounds`.
            KeyError: the stream has no such partition.
            ValueError: something was appended to one of them; none of them has changed.
        """
        ...

    async def trim(self, stream: Stream, before: int) -> None:
        """Let go of what was appended before this time (microseconds since 1970); some may stay longer."""
        ...

    async def close(self) -> None:
        """Close what this log opened."""
        ...

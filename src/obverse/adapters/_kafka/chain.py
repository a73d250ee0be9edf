"""
Which records of a partition count: the rules that every reader and every appender follow. No I/O here.

Kafka gives each record of a partition the next offset, and whoever appends begins with a claim. So the claims
of a partition stand in one order for everybody, and a record counts if no other claim stands between it
and its own. An appender that was overtaken can write at most one record after the claim that overtook it, for it
has one under way at a time and looks where that came to stand: nobody counts it, and nobody is told that it is durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from obverse.adapters._kafka.records import Foreign, Kind, Record


class Verdict(Enum):
    """What a record is to whoever reads on."""

    COUNTS = auto()
    NOT_DATA = auto()
    VOID = auto()
    """Written by an appender after another one's claim."""
    REPEATED = auto()
    """Written twice by the client library, which had not heard of the first time."""
    FOREIGN = auto()
    MISSING = auto()
    """Offsets before it are missing."""
    LOST = auto()
    """As MISSING, and between what came before and this stands something that may have held them."""


EVENTS: Final = frozenset({Verdict.COUNTS, Verdict.MISSING, Verdict.LOST})
"""Of records whose events are read, once it was told what is missing before them."""


@dataclass(slots=True)
class Chain:
    """Where reading stands in a partition."""

    owner: int | None = None
    """Kafka offset of the latest claim; None while none is known."""
    expected: int | None = None
    """Offset of the event that comes next; None while that is not known."""
    appended_at: int = 0
    """Of the latest record that counts."""
    begun: bool = False
    """Whether a record with events was met."""
    blurred: bool = False
    """Whether something that looks like ours and cannot be read was met since the last that counts."""

    def take(self, offset: int, record: Record | Foreign) -> Verdict:
        """Judge the record at a Kafka offset, and go on behind it, unless it is MISSING or LOST (see `skip`)."""
        if isinstance(record, Foreign):
            self.blurred = self.blurred or record.ours
            return Verdict.FOREIGN
        if record.kind is Kind.CLAIM:
            self._claim(offset, record)
            return Verdict.NOT_DATA
        if record.kind is Kind.BASE:
            self._base(offset, record)
            return Verdict.NOT_DATA
        return self._data(offset, record)

    def skip(self, record: Record) -> None:
        """Go on with this record though offsets before it are missing."""
        self.expected = record.first
        self.blurred = False

    def _claim(self, offset: int, record: Record) -> None:
        self.owner = offset
        # Its writer knew the end only if it stands where it was meant to.
        if record.epoch == offset:
            self.appended_at = max(self.appended_at, record.appended_at)
            if self.expected is None:
                self.expected = record.first

    def _base(self, offset: int, record: Record) -> None:
        if int.from_bytes(record.body) != offset:
            return
        if self.owner is None and record.epoch >= 0:
            self.owner = record.epoch
        if self.expected is None or not self.begun:
            self.expected = record.first
        self.appended_at = max(self.appended_at, record.appended_at)

    def _data(self, offset: int, record: Record) -> Verdict:
        if self.owner is None or self.owner < record.epoch < offset:
            # Its claim is not kept any more, or could not be read.
            self.owner = record.epoch
        if record.epoch != self.owner:
            return Verdict.VOID
        if self.expected is not None and record.first < self.expected:
            return Verdict.REPEATED
        if self.expected is not None and record.first > self.expected:
            return Verdict.LOST if self.blurred else Verdict.MISSING
        self.expected = record.end
        self.appended_at = max(self.appended_at, record.appended_at)
        self.begun, self.blurred = True, False
        return Verdict.COUNTS


Stored = tuple[int, Record | Foreign]
"""A record and its Kafka offset."""


def anchor(stored: Sequence[Stored]) -> int | None:
    """
    Place of the first of these records from which on everything can be judged; None if there is none.

    That is a claim or a base, which say all themselves; or a record that the next one of the same claim
    follows, for only the last of a claim can be void.
    """
    for place, (offset, record) in enumerate(stored):
        if isinstance(record, Foreign):
            continue
        if record.kind is Kind.CLAIM or (record.kind is Kind.BASE and int.from_bytes(record.body) == offset):
            return place
        if record.kind is Kind.DATA and any(
            isinstance(later, Record)
            and later.kind is Kind.DATA
            and (later.epoch, later.first) == (record.epoch, record.end)
            for _, later in stored[place + 1 :]
        ):
            return place
    return None


def follow(stored: Sequence[Stored], *, lowest: int | None = None) -> Chain | None:
    """
    The chain behind these records; None if they do not tell it.

    `lowest` is the Kafka offset of the lowest record that is kept, if the first of these is that one:
    trimming cuts where a record counts, so from there everything can be judged.
    """
    place = anchor(stored) if lowest is None else 0
    if place is None:
        return None
    chain = Chain(expected=0 if lowest == 0 else None)
    for offset, record in stored[place:]:
        if chain.take(offset, record) in {Verdict.MISSING, Verdict.LOST} and isinstance(record, Record):
            chain.skip(record)
            chain.take(offset, record)
    return chain if chain.expected is not None else None

"""From the records of a shard to the batches of a partition: in order, each once, by its one appender. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass, field

from obverse.adapters.kinesis.records import Foreign, Kind, Part, Place, read, unpack
from obverse.core.events import STORED
from obverse.ports.event_log import Batch


@dataclass(frozen=True, slots=True)
class Held:
    """A record as Kinesis holds it."""

    shard: str
    """Which one, of which stream."""
    sequence: str
    """Its sequence number: where it stands among the records of the shard."""
    data: bytes
    arrived_at: int = 0
    """Microseconds since 1970, by Kinesis' clock."""


class Missing(Exception):
    """An offset should follow, and another one does."""

    def __init__(self, expected: int | None, found: int) -> None:
        super().__init__(f"{found} follows where {expected} was due")
        self.expected = expected
        """None: nothing before it was seen."""
        self.found = found


@dataclass(slots=True)
class Assembly:
    """
    What is known of one partition while its records pass by.

    A stream may hold records of ours twice (a put that was sent again), the parts of one group in any order, and
    those of an appender that did not know that it had been followed by another. What `take` returns is what was
    appended: each group once, in order. It changes nothing when it raises.
    """

    place: Place
    mark: int
    """Offset that must come next: groups that end before it are passed over."""

    epoch: int = 0
    """Of the newest appender that was seen."""

    expected: int | None = None
    """The end of the last group that was seen whole; None until there was one."""

    appended_at: int = 0
    """When that was appended; microseconds since 1970."""

    _parts: dict[int, dict[int, Part]] = field(default_factory=dict)
    """What has come of groups that are not whole yet: their parts by number, by the group's first offset."""

    @property
    def settled(self) -> bool:
        """Whether what comes now comes after the mark."""
        return self.mark == (self.expected or 0)

    def take(self, held: Held, *, owner: bool) -> Batch | None:
        """
        Take the next record of the shard; returns the batch that it completes, if it does.

        What is not ours comes as an empty batch with its damage, if `owner` says that it is this partition's to tell.

        Raises:
            Missing: a group of later offsets follows.
        """
        part = read(self.place.workspace, self.place.stream, held.data)
        if isinstance(part, Foreign):
            return self._told(held, part) if owner and self.settled else None
        # A record of an older epoch behind a newer one's was sent by an appender that had lost its place.
        if part.partition != self.place.partition or part.epoch < self.epoch:
            return None
        if part.kind is Kind.CLAIM:
            self._begin(part.epoch)
            return None
        if self.expected is not None and part.first < self.expected:
            return None
        # A gap that ends before the mark is nobody's matter: it was read, or passed over, long ago.
        if part.first > self.mark:
            raise Missing(self.expected, part.first)
        if part.epoch > self.epoch:
            self._begin(part.epoch)
        return self._gather(part)

    def _begin(self, epoch: int) -> None:
        if epoch > self.epoch:
            # What an appender left half written was never acknowledged, and nobody will complete it.
            self.epoch, self._parts = epoch, {}

    def _gather(self, part: Part) -> Batch | None:
        come = self._parts.setdefault(part.first, {})
        if part.number not in come or come[part.number].damage:
            come[part.number] = part
        if len(come) < part.of:
            return None
        parts = [come[number] for number in sorted(come)]
        self.expected, self.appended_at = part.end, max(self.appended_at, part.appended_at)
        self._parts = {first: rest for first, rest in self._parts.items() if first >= part.end}
        if part.end <= self.mark:
            return None
        self.mark = part.end
        damage = next((one.damage for one in parts if one.damage), "")
        body = b""
        if not damage:
            damage, body = unpack([one.body for one in parts])
        where = f"{self.place.stream} partition {self.place.partition}, offsets {part.first} to {part.end - 1}"
        return Batch(
            partition=self.place.partition,
            first=part.first,
            count=part.count,
            body=body,
            appended_at=self.appended_at,
            damage=f"{where}: {damage}" if damage else "",
            stored=b"".join(one.body for one in parts)[:STORED] if damage else b"",
        )

    def _told(self, held: Held, foreign: Foreign) -> Batch:
        return Batch(
            partition=self.place.partition,
            first=self.mark,
            count=0,
            body=b"",
            # Never after what was appended before it, whatever the two clocks say.
            appended_at=self.appended_at or held.arrived_at,
            damage=f"{held.shard}, sequence number {held.sequence}: {foreign.reason}",
        )

"""What waits for a flow, and since when, as far as somebody looked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_MOST: Final = 1000
"""Looks at the end of a stream that are remembered; beyond, every other one is forgotten."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one queue of a flow."""

    flow: str
    queue: str
    """`events`, `changes`, `rejected`, `messages`, `queries`, `replays`, or the name of a connection."""
    count: int
    seconds: float | None = None
    """For how long the first of it has been due; None if that is not known, or nothing is due."""


@dataclass(slots=True)
class Queues:
    """The queues of one flow as it saw them last: how many were in each, and since when there has been any."""

    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def seen(self, queue: str, count: int, now: int, since: int | None = None) -> None:
        """Note a look, in microseconds since 1970; `since` if it is known when the first of them came to wait."""
        before = self._seen.get(queue)
        if since is None:
            since = before[1] if before is not None and before[0] and count else now
        self._seen[queue] = (count, since)

    def waiting(self, flow: str, now: int) -> Iterator[Waiting]:
        """What is in them."""
        for queue, (count, since) in self._seen.items():
            yield Waiting(flow, queue, count, seconds(since, now) if count else None)


@dataclass(slots=True)
class Ends:
    """Where a stream ended at each look, by which it can be told since when something waits behind a mark."""

    _looks: list[tuple[int, Mapping[int, int]]] = field(default_factory=list)

    def look(self, ends: Mapping[int, int], now: int) -> None:
        """Note where its partitions end now."""
        if self._looks and self._looks[-1][1] == ends:
            return
        self._looks.append((now, dict(ends)))
        if len(self._looks) > _MOST:
            del self._looks[1::2]

    def since(self, marks: Mapping[int, int]) -> int | None:
        """
        When it was first seen to go on beyond these marks; None if it does not.

        So it tells too little by the time between two looks at most, and of what waited before the first look, that.
        """
        return next((at for at, ends in self._looks if behind(ends, marks)), None)

    def forget(self, marks: Mapping[int, int]) -> None:
        """Forget looks that tell nothing any more, as the marks are beyond them."""
        first = next((place for place, (_, ends) in enumerate(self._looks) if behind(ends, marks)), len(self._looks))
        del self._looks[: max(0, first - 1)]  # the last look stays: a later one that is the same tells nothing new


def behind(ends: Mapping[int, int], marks: Mapping[int, int]) -> int:
    """How many records of these partitions come after the marks."""
    return sum(max(0, end - marks.get(one, 0)) for one, end in ends.items())


def seconds(since: int | None, now: int) -> float | None:
    """How long ago that was; None if it is not known, or still to come."""
    return None if since is None or since > now else (now - since) / 1_000_000

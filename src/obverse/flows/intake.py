"""What is on its way into the log: so many bytes at most, and nothing of it for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_UNHURRIED: Final = 512 << 10
"""Bytes on their way before anybody is refused for the log's slowness: a disk that stalls for a moment is no crowd."""
_STALLED: Final = 0.02
"""Seconds after which a log that does not take the oldest is more than busy for a moment."""
_EACH: Final = 2 << 10
"""What a request costs by itself, as if it had so many bytes more."""
_REMEMBERED: Final = 0.98
"""Of what earlier requests cost, with each new one: the last fifty or so count."""
_LEAP: Final = 3
"""How often the usual one reading may count: a process that had to wait for its core once is not slow."""
_FIRST_GUESS: Final = 50e-9
"""Seconds that a byte takes, before any was measured."""


class Intake:
    """
    Says who has to come again later, so that those who are let in are answered as soon as ever.

    A bound in bytes alone would keep memory flat and nothing else: of small requests it holds many seconds.
    """

    def __init__(self, elapsed: Callable[[], float], *, most_bytes: int, most_seconds: float) -> None:
        """`elapsed`: seconds by a clock that never goes back; `most_seconds`: that a request may wait to be read."""
        self._elapsed = elapsed
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._passing: dict[int, float] = {}
        self._numbers = 0
        self._seconds = _FIRST_GUESS * _EACH
        self._bytes = float(_EACH)
        self._reading: tuple[float, int] | None = None
        self.whole_bytes = 0
        """Bytes of requests that are here whole, and that nobody has begun to read."""
        self.waiting_bytes = 0
        """Bytes of requests whose records are on their way into the log."""
        self.reading_bytes = 0
        """Bytes of requests that are still being read."""

    @property
    def room(self) -> int:
        """Bytes that can be taken in now; beyond, senders are asked to wait, before memory grows."""
        return self._most_bytes - self.waiting_bytes - self.reading_bytes

    @property
    def oldest(self) -> float:
        """Seconds that the oldest of those on their way into the log has waited for it; 0 if there is none."""
        now = self._elapsed()
        return now - next(iter(self._passing.values()), now)

    @property
    def delay(self) -> float:
        """Seconds that a request would wait for those before it to be read, by what the last ones took."""
        return self.whole_bytes * self._seconds / self._bytes

    def crowded(self, size: int, waited: float = 0.0) -> bool:
        """
        Whether a request of `size` bytes, which has `waited` for so many seconds already, has to come again later.

        So it has if there is no room for it, if it would have waited too long when we read it, and if the oldest of
        those on their way into the log has waited too long.
        """
        if size > self.room or waited + self.delay > self._most_seconds:
            return True
        return self.waiting_bytes > _UNHURRIED and self.oldest > _STALLED

    def whole(self, size: int) -> int:
        """Note that a request of `size` bytes is here whole; returns what to give to `begun`."""
        size += _EACH
        self.whole_bytes += size
        return size

    def begun(self, size: int) -> None:
        """Note that one that was here whole waits no longer; `size` as `whole` returned it."""
        self.whole_bytes -= size

    def measure(self, size: int) -> None:
        """Note that the reading of `size` bytes begins now: it ends as they are `passing`, and gives way to nothing."""
        self._reading = (self._elapsed(), size + _EACH)

    def measured(self) -> None:
        """Note that nothing is being read: what was measured last was refused."""
        self._reading = None

    @contextmanager
    def passing(self, size: int) -> Iterator[None]:
        """While `size` bytes are on their way into the log."""
        now = self._elapsed()
        if self._reading is not None:
            began, read = self._reading
            usual = read * self._seconds / self._bytes
            self._seconds = self._seconds * _REMEMBERED + min(now - began, _LEAP * usual)
            self._bytes = self._bytes * _REMEMBERED + read
            self._reading = None
        self._numbers += 1
        number = self._numbers
        self._passing[number] = now
        self.waiting_bytes += size
        try:
            yield
        finally:
            self.waiting_bytes -= size
            del self._passing[number]

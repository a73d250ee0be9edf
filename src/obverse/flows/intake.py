"""What is on its way into the log: so many bytes at most, and nothing of it for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_UNHURRIED: Final = 256 << 10
"""Bytes on their way before anybody is refused for the log's slowness: a disk that stalls for a moment is no crowd."""


class Intake:
    """
    Says who has to come again later, so that those who are let in are answered as soon as ever.

    A bound in bytes alone would keep memory flat and nothing else: of small requests it holds many seconds.
    """

    def __init__(self, elapsed: Callable[[], float], *, most_bytes: int, most_seconds: float) -> None:
        """`elapsed`: seconds by a clock that never goes back."""
        self._elapsed = elapsed
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._begun: dict[int, float] = {}
        self._numbers = 0
        self.waiting_bytes = 0
        """Bytes of requests whose records are on their way into the log."""
        self.reading_bytes = 0
        """Bytes of requests that are still being read."""

    @property
    def room(self) -> int:
        """Bytes that can be taken in now; beyond, senders are asked to wait, before memory grows."""
        return self._most_bytes - self.waiting_bytes - self.reading_bytes

    def crowded(self, size: int, arrived: float | None = None) -> bool:
        """
        Whether a request of `size` bytes has to come again later; `arrived` is when it came, if that is known.

        So it has if there is no room for it, if it has waited too long for us to begin, and if the oldest of those on
        their way into the log has waited too long.
        """
        if size > self.room:
            return True
        now = self._elapsed()
        if arrived is not None and now - arrived > self._most_seconds:
            return True
        oldest = next(iter(self._begun.values()), now)
        return now - oldest > self._most_seconds and self.waiting_bytes > _UNHURRIED

    @contextmanager
    def passing(self, size: int) -> Iterator[None]:
        """While `size` bytes are on their way into the log."""
        self._numbers += 1
        number = self._numbers
        self._begun[number] = self._elapsed()
        self.waiting_bytes += size
        try:
            yield
        finally:
            self.waiting_bytes -= size
            del self._begun[number]

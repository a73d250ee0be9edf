"""A bucket's shelf over Spark's state: what is put is written once, when the micro-batch ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class StateMap(Protocol):
    """One bucket's part of the state store. What is written counts if the micro-batch is committed."""

    def read(self, key: bytes) -> bytes | None:
        """The value of a key: one round trip."""
        ...

    def write(self, entries: Mapping[bytes, bytes | None]) -> None:
        """Write values, and remove the keys of those that are None: few round trips for many."""
        ...

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """Everything."""
        ...


class LateShelf:
    """
    A `Shelf` that writes late: a profile that a micro-batch touches fifty times is written once.

    It outlives the micro-batch with its machine; the state that it stands on is given for each anew.
    """

    def __init__(self, state: StateMap) -> None:
        self.state = state
        self._unwritten: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """See `Shelf.get`."""
        if key in self._unwritten:
            return self._unwritten[key]
        return self.state.read(key)

    def put(self, key: bytes, value: bytes) -> None:
        """See `Shelf.put`."""
        self._unwritten[key] = value

    def remove(self, key: bytes) -> None:
        """See `Shelf.remove`."""
        self._unwritten[key] = None

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """See `Shelf.scan`."""
        self.write()
        return self.state.entries()

    def write(self) -> None:
        """Have the state hold what was put and removed."""
        entries, self._unwritten = self._unwritten, {}
        if entries:
            self.state.write(entries)

"""Counts of what the sandbox did, kept over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from obverse.sandboxes.hubspot.limits import Limits
from obverse.sandboxes.hubspot.store import Store

_COUNTED: Final = ("requests", "throttled")


class Figures:
    """
    What the sandbox counts.

    Counts of requests are written with the next change, not one by one: after a `kill -9` they may lack the last
    few, which were reads and refusals.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts = {name: int(store.fact(name) or 0) for name in _COUNTED}

    def count(self, name: str) -> None:
        """Count one."""
        self._counts[name] += 1

    def day(self) -> tuple[int, int]:
        """The day that requests were last counted on, and how many there were."""
        day, _, today = (self._store.fact("day") or "0 0").partition(" ")
        return int(day), int(today)

    def keep(self, limits: Limits) -> None:
        """Write the counts; belongs within `Store.change`."""
        for name, value in self._counts.items():
            self._store.keep_fact(name, str(value))
        self._store.keep_fact("day", f"{limits.day} {limits.today}")

    def shown(self) -> Mapping[str, int]:
        """All of them. Webhooks are counted by event."""
        return {
            "contacts": self._store.count(),
            **self._counts,
            "webhooks_sent": int(self._store.fact("webhooks_sent") or 0),
            "webhooks_waiting": self._store.waiting(),
        }

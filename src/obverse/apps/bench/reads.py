"""Profiles read at a constant rate beside the load, one a request, by people's ids at random."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random
from time import perf_counter
from typing import Any, Final

from obverse.apps.bench.doors import OK, sender_to
from obverse.apps.bench.installed import Installed
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import percentile
from obverse.apps.own_secrets import API_KEY, own_secret

_CONNECTIONS: Final = 128
_PATIENCE: Final = 60.0
"""Seconds within which all must be answered."""
_TICK: Final = 0.001


@dataclass(slots=True)
class Reads:
    """What came of them."""

    load: Load
    statuses: Counter[int] = field(default_factory=Counter)
    took: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from the moment a read was due to its 200."""
    sent: int = 0

    async def send(self, here: Installed) -> None:
        """Read as long as the load lasts, whatever the answers do."""
        if not self.load.reads:
            return
        sender, dice = sender_to(here.api, _CONNECTIONS), Random(7)  # noqa: S311 - a load that can be repeated
        await sender.open()
        try:
            authorization = f"authorization: Bearer {own_secret(here.data, API_KEY)}\r\n".encode()
            began, count = perf_counter(), self.load.reads * self.load.seconds
            while self.sent < count:
                due = min(int((perf_counter() - began) * self.load.reads) + 1, count)
                for number in range(self.sent, due):
                    head = sender.head(
                        "GET", f"/v1/profiles/user_id:person-{dice.randrange(self.load.people)}", authorization
                    )
                    sender.send(head, b"", partial(self._answered, began + number / self.load.reads))
                self.sent = due
                await asyncio.sleep(_TICK)
            async with asyncio.timeout(_PATIENCE):
                while self.statuses.total() < count:  # noqa: ASYNC110 - an event would cost each answer a look
                    await asyncio.sleep(_TICK)
        finally:
            sender.close()

    def _answered(self, due: float, status: int) -> None:
        self.statuses[status] += 1
        if status == OK:
            self.took.append(perf_counter() - due)

    def figures(self) -> dict[str, Any]:
        """What came of it, as it is told; nothing if nobody read."""
        if not self.sent:
            return {}
        return {
            "reads": self.sent,
            "read_p50_ms": round(percentile(self.took, 0.5) * 1000, 2),
            "read_p99_ms": round(percentile(self.took, 0.99) * 1000, 2),
            "read_statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }

    def flaws(self) -> list[str]:
        """What would make the figures mislead."""
        failed = self.sent - len(self.took)
        return [f"{failed} reads were not answered 200"] if failed else []

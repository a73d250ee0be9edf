"""Changes on their way out: coalesced for a moment, then appended to their stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from obverse.core.changes import Change
from obverse.ports.engine import Progress
from obverse.ports.event_log import Appender, Records
from obverse.ports.runtime import Runtime

PATIENCE: Final = 0.05
"""Seconds that changes wait for others of their profile: half of what is promised."""
MOST: Final = 50_000
"""Changes that may wait; beyond, the fold waits for them."""


class Held:
    """Changes that are added once what is done `with` them is done: nobody is told of a profile that nobody can see."""

    def __init__(self, out: ChangesOut, changes: Sequence[Change]) -> None:
        self._out = out
        self._changes = changes

    def __enter__(self) -> None:
        """Go on."""

    def __exit__(self, *_: object) -> None:
        """Have them appended, whatever came in between."""
        self._out.release(self, self._changes)


class ChangesOut:
    """The changes of one engine. Of several of one attribute or trait that wait together, the last one is enough."""

    def __init__(self, runtime: Runtime, appender: Appender, progress: Progress, ended: int) -> None:
        """`ended`: where the stream ends by now."""
        self._runtime = runtime
        self._appender = appender
        self._progress = progress
        self.ended = ended
        """Where the stream ends: what is added from now on stands there or behind it."""
        self._waiting: dict[tuple[bytes, str, str, int], Change] = {}
        self._held: set[Held] = set()
        self._none_held = asyncio.Event()
        self._none_held.set()
        self._turn = asyncio.Lock()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def add(self, changes: Sequence[Change]) -> None:
        """Have these appended within `PATIENCE`."""
        for change in changes:
            self._waiting[change.profile, change.kind, change.name, change.number] = change
        if self._waiting:
            self._some.set()

    def hold(self, changes: Sequence[Change]) -> Held:
        """Return these, to be added once whom they are of is published: whoever acts on a change looks at them."""
        held = Held(self, changes)
        self._held.add(held)
        self._none_held.clear()
        return held

    def release(self, held: Held, changes: Sequence[Change]) -> None:
        """Add what was held."""
        self._held.discard(held)
        self.add(changes)
        if not self._held:
            self._none_held.set()

    async def make_room(self) -> None:
        """Wait while too many wait."""
        if len(self._waiting) > MOST:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """
        Append what waits, for ever.

        Raises:
            Unreachable: the log cannot be written.
        """
        while True:
            await self._some.wait()
            await self._runtime.sleep(PATIENCE)
            self._some.clear()
            await self._append()
            self._room.set()

    async def flush(self) -> None:
        """
        Append what waits, now; when it returns, every change that was added or held before is in the log.

        Raises:
            Unreachable: the log cannot be written.
        """
        await self._none_held.wait()
        await self._append()

    async def _append(self) -> None:
        async with self._turn:
            waiting, self._waiting = list(self._waiting.values()), {}
            if waiting:
                for records in Records.of(waiting):
                    self.ended = await self._appender.append(0, records) + records.count
                self._progress.changes += len(waiting)

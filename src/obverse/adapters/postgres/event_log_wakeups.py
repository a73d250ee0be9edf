"""Who waits for the log is woken by its appends: one listening connection for all readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import asyncpg

from obverse.adapters.postgres.connection import FAILURES, connect, hang_up
from obverse.adapters.postgres.event_log_queries import CHANNEL
from obverse.ports.event_log import Stream
from obverse.ports.runtime import Runtime, Work

Wake = Callable[[Collection[int] | None], None]
"""Called with the partitions that grew, or None when any may have."""

_PAUSE = 0.2
_LONGEST_PAUSE = 2.0


class Wakeups:
    """Wakes readers, and never lets them sleep through an append because its connection was lost."""

    def __init__(self, dsn: str, workspace: str, runtime: Runtime) -> None:
        self._dsn = dsn
        self._workspace = workspace
        self._runtime = runtime
        self._sleepers: dict[Wake, Stream] = {}
        self._work: Work | None = None

    def subscribe(self, stream: Stream, wake: Wake) -> None:
        """Call `wake` for every append to the stream from now on, and whenever one may have been missed."""
        self._sleepers[wake] = stream
        if self._work is None:
            self._work = self._runtime.spawn("listen to the log", self._listen())

    def unsubscribe(self, wake: Wake) -> None:
        """Call it no more."""
        self._sleepers.pop(wake, None)

    async def close(self) -> None:
        """Stop listening."""
        work, self._work = self._work, None
        if work is not None:
            await work.stop()

    async def _listen(self) -> None:
        pause = _PAUSE
        while True:
            try:
                connection = await connect(self._dsn, "listens to the log")
                try:
                    await self._stay(connection)
                finally:
                    await hang_up(connection)
                pause = _PAUSE
            except FAILURES:
                pause = min(pause * 2, _LONGEST_PAUSE)
            await self._runtime.sleep(pause)

    async def _stay(self, connection: asyncpg.Connection) -> None:
        """Pass on what is announced until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._announced)
        # What was appended before we listened was announced to nobody.
        for wake in list(self._sleepers):
            wake(None)
        if not connection.is_closed():
            await lost.wait()

    def _announced(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        stream, partitions, workspace = payload.split(" ", 2)
        if workspace != self._workspace:
            return
        grown = [int(partition) for partition in partitions.split(",")]
        for wake, wanted in list(self._sleepers.items()):
            if wanted == stream:
                wake(grown)

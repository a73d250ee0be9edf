"""Brings each profile its events over buckets, which somebody else hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from obverse.adapters._buckets.histories import Elsewhere
from obverse.adapters._buckets.keeper import FoldedSource, Keeper, KeeperSettings
from obverse.adapters._buckets.router import Router
from obverse.adapters._buckets.routing import RouterSettings
from obverse.adapters._running import unless_ended, until_failure
from obverse.core.refolding import Difference
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketedSettings:
    """How a router and a keeper work."""

    router: RouterSettings = field(default_factory=RouterSettings)
    keeper: KeeperSettings = field(default_factory=KeeperSettings)


class BucketedEngine:
    """See `Engine`. A router and a keeper in one process, or one of them; buckets are folded where their host is."""

    def __init__(
        self,
        settings: BucketedSettings,
        parts: EngineParts,
        source: Callable[[], FoldedSource],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.progress = Progress()
        self._settings = settings
        self._parts = parts
        self._source = source
        self._elsewhere = elsewhere
        self._router: Router | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """See `Engine.run`."""
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        works: list[tuple[str, Any]] = []
        if self._parts.decides:
            self._router = Router(self._settings.router, self._parts, self.progress, self._elsewhere)
            works.append(("router", self._router.run()))
        if self._parts.keeps:
            keeper = Keeper(self._settings.keeper, self._parts, self._source(), self.progress)
            works.append(("keeper", keeper.run()))
        self._ended = asyncio.Event()
        async with AsyncExitStack() as stack:
            stack.callback(self._end)
            for name, work in works:
                started = self._parts.runtime.spawn(f"unify {name}", until_failure(work, failed))
                stack.push_async_callback(started.stop)
            await failed

    def _end(self) -> None:
        self._router = None
        self._ended.set()

    async def fold_anew(self, people: Collection[bytes], *, replay: str) -> Mapping[bytes, Difference | None]:
        """See `FoldsAnew.fold_anew`."""
        router = self._router
        if router is None or not router.is_open:
            raise Unreachable(
                "identity is not decided here, or not yet: give the worker that replays the flow identity"
            )
        return await unless_ended(router.asked.fold_anew(people, replay), self._ended)

    async def drain(self) -> None:
        """See `Engine.drain`."""
        bounds = await self._parts.log.bounds(Stream.EVENTS)
        while any(self.progress.kept.get(one, 0) < end for one, (_, end) in bounds.items()):
            await self._parts.runtime.sleep(0.01)

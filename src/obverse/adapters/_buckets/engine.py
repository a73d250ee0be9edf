"""Brings each profile its events over buckets, which somebody else hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from obverse.adapters._buckets.keeper import FoldedSource, Keeper, KeeperSettings
from obverse.adapters._buckets.router import Router, RouterSettings
from obverse.ports.engine import EngineParts, Progress
from obverse.ports.event_log import Stream


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
        *,
        routes: bool = True,
        keeps: bool = True,
    ) -> None:
        self.progress = Progress()
        self._settings = settings
        self._parts = parts
        self._source = source
        self._routes = routes
        self._keeps = keeps
        self._keeper: Keeper | None = None

    async def run(self) -> None:
        """See `Engine.run`."""
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        works: list[tuple[str, Any]] = []
        if self._routes:
            works.append(("router", Router(self._settings.router, self._parts, self.progress).run()))
        if self._keeps:
            self._keeper = Keeper(self._settings.keeper, self._parts, self._source(), self.progress)
            works.append(("keeper", self._keeper.run()))
        async with AsyncExitStack() as stack:
            for name, work in works:
                started = self._parts.runtime.spawn(f"unify {name}", _until_failure(work, failed))
                stack.push_async_callback(started.stop)
            await failed

    async def drain(self) -> None:
        """See `Engine.drain`."""
        bounds = await self._parts.log.bounds(Stream.EVENTS)
        while any(self.progress.kept.get(one, 0) < end for one, (_, end) in bounds.items()):
            keeper = self._keeper
            if keeper is not None:
                keeper.hurry += 1
            await self._parts.runtime.sleep(0.01)
            if keeper is not None:
                keeper.hurry -= 1


async def _until_failure(loop: Any, failed: asyncio.Future[None]) -> None:
    try:
        await loop
    except Exception as error:  # noqa: BLE001 - handed on, whatever it is
        if not failed.done():
            failed.set_exception(error)

"""Redis for tests: one server a session, and a prefix of its own for each test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from redis.asyncio import Redis

from obverse.adapters.redis import RedisCacheSettings
from obverse.adapters.redis.cache import RedisProfileCache
from obverse.adapters.redis.writer import RedisCacheWriter
from obverse.adapters.runtime.system import SystemRuntime, open_runtime
from obverse.contracts.profile_cache import NOTHING, packed
from obverse.core.profiles import Profile, unpack
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime
from obverse.sandboxes import SandboxLacking
from obverse.sandboxes.redis import RedisSandbox, server
from services import fresh_name

SLOW = 60_000
"""Milliseconds of patience: other work may take the machine."""


def server_or_skip() -> None:
    """Where there is no server its tests are skipped, but not in CI."""
    try:
        server()
    except SandboxLacking as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@asynccontextmanager
async def redis_running(*options: str) -> AsyncIterator[RedisSandbox]:
    """Have a server of one's own for a while."""
    server_or_skip()
    # Not pytest's folder: the path of a socket must be short.
    with TemporaryDirectory(prefix="obverse-") as folder:
        sandbox = RedisSandbox(Path(folder), options)
        await sandbox.start()
        try:
            yield sandbox
        finally:
            sandbox.kill()


class Place:
    """A server, and caches in it under one prefix."""

    def __init__(self, sandbox: RedisSandbox) -> None:
        self.sandbox = sandbox
        self.prefix = fresh_name()
        self.caches: list[RedisProfileCache] = []
        self.raw: Any = Redis.from_url(sandbox.url)
        """The server itself, around the adapter."""

    def settings(self, workspace: str = "main", **more: Any) -> RedisCacheSettings:
        """Of a cache there."""
        given: dict[str, Any] = {
            "url": self.sandbox.url,
            "prefix": self.prefix,
            "patience_ms": SLOW,
            "lease_ms": SLOW,
        } | more
        return RedisCacheSettings(workspace=workspace, **given)

    async def cache(self, workspace: str = "main", *, runtime: Runtime | None = None, **more: Any) -> RedisProfileCache:
        """A cache, as if in a process of its own."""
        cache = RedisProfileCache(self.settings(workspace, **more), runtime or open_runtime())
        self.caches.append(cache)
        return cache

    async def writer(self, *, runtime: Runtime | None = None, **more: Any) -> RedisCacheWriter[Profile]:
        """A writer, as if in a process of its own."""
        writer = await (await self.cache(runtime=runtime, **more)).open_writer(packed)
        assert isinstance(writer, RedisCacheWriter)
        return writer

    def key(self, rest: bytes) -> bytes:
        """A key of the workspace `main`."""
        return f"{self.prefix}:main:".encode() + rest

    async def close(self) -> None:
        """Close what was opened."""
        for cache in self.caches:
            await cache.close()
        await self.raw.aclose()


class Later(SystemRuntime):
    """The real runtime, but for clocks that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        """Seconds by which time has gone on for whoever has it."""
        self.now_is: int | None = None

    def now(self) -> int:
        """See `Runtime.now`."""
        return super().now() if self.now_is is None else self.now_is

    def elapsed(self) -> float:
        """See `Runtime.elapsed`."""
        return super().elapsed() + self.passed


async def state_of(cache: RedisProfileCache, identifier: str) -> int | None:
    """What the cache shows of a person, as `contracts.profile_cache.person` counts states; None if nothing."""
    try:
        found = await cache.get(identifier)
    except Unreachable:
        return None
    return None if found is None else unpack(found, NOTHING).events


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(120):
        while not await done():  # noqa: ASYNC110 - the server sets no event for this
            await asyncio.sleep(0.01)


async def until_shown(cache: RedisProfileCache, identifier: str, state: int) -> set[int | None]:
    """Wait until a person is shown in this state; what was shown before."""
    seen = set[int | None]()

    async def shown() -> bool:
        found = await state_of(cache, identifier)
        if found == state:
            return True
        seen.add(found)
        return False

    await until(shown)
    return seen

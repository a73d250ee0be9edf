"""A `ProfileCache` in Redis or Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from obverse.adapters.redis.line import Line
from obverse.adapters.redis.scripts import READ
from obverse.adapters.redis.settings import RedisCacheSettings
from obverse.adapters.redis.values import Absent, asked, profile_in
from obverse.adapters.redis.writer import RedisCacheWriter
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter, P, Packer, ProfileCache
from obverse.ports.runtime import Runtime

AT_ONCE: Final = 500
"""Profiles that are asked for with one call."""
PATIENCE_EACH: Final = 0.002
"""Seconds more that a reader waits for each profile beyond the first."""
_TELL: Final = 60.0
"""Seconds between two lines in the log about damaged values."""

_log = structlog.get_logger(__name__)


async def open_profile_cache(settings: RedisCacheSettings, runtime: Runtime) -> ProfileCache:
    """
    Entry point `obverse.profile_cache:redis`.

    Raises:
        ValueError: a setting cannot be used; the message says which, and what to write.
    """
    return RedisProfileCache(settings, runtime)


@dataclass(slots=True)
class _Batch:
    """Names that are asked for together, with what they are asked by; and what comes of it."""

    names: dict[str, bytes]
    until: float
    """When those who wait for it give up."""
    found: asyncio.Future[Mapping[str, bytes]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class RedisProfileCache:
    """
    See `ProfileCache`. Connects when it is first asked, and again after Redis was away.

    Those who ask while an answer is on its way are asked for together, with one call.
    """

    def __init__(self, settings: RedisCacheSettings, runtime: Runtime) -> None:
        self.damaged = 0
        """How many values were found that we have not written so; each was taken for absent."""
        self._settings = settings
        self._runtime = runtime
        self._before = f"{settings.prefix}:{settings.workspace}:".encode()
        self._patience = settings.patience_ms / 1000
        self._line = Line(settings)
        self._forming: _Batch | None = None
        self._latest: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._told = -_TELL
        self._writers: list[RedisCacheWriter[Any]] = []

    async def open_writer(self, pack: Packer[P], present: Iterable[P] = ()) -> CacheWriter[P]:
        """See `ProfileCache.open_writer`. A Redis that is away is waited for behind the writer's back."""
        writer = RedisCacheWriter(self._settings, self._runtime, pack)
        await writer.publish(present)  # which Redis is told with the first word
        await writer.open()
        # An engine that failed begins anew, with another writer.
        self._writers = [*(one for one in self._writers if not one.closed), writer]
        return writer

    async def get(self, identifier: str) -> bytes | None:
        """See `ProfileCache.get`. Raises `Unreachable` within 0.2 s."""
        by = asked(identifier)
        if by is None:
            return None  # longer than anything that identifies somebody
        # Shielded, for others wait for the same.
        return (await asyncio.shield(self._join({identifier: by}, self._patience))).get(identifier)

    async def get_all(self, identifiers: Collection[str]) -> Mapping[str, bytes]:
        """See `ProfileCache.get_all`. Raises `Unreachable` within 0.2 s, and 2 ms more for each."""
        wanted = [(name, by) for name in dict.fromkeys(identifiers) if (by := asked(name)) is not None]
        pieces = [dict(wanted[at : at + AT_ONCE]) for at in range(0, len(wanted), AT_ONCE)]
        patience = self._patience + PATIENCE_EACH * (len(wanted) - 1)
        answers = [asyncio.shield(self._join(piece, patience)) for piece in pieces]
        found: dict[str, bytes] = {}
        for piece, answer in zip(pieces, await asyncio.gather(*answers), strict=True):
            # Others may have asked for more.
            found |= {name: answer[name] for name in piece if name in answer}
        return found

    def _join(self, wanted: dict[str, bytes], patience: float) -> asyncio.Future[Mapping[str, bytes]]:
        until, forming = self._runtime.elapsed() + patience, self._forming
        if forming is None or len(forming.names) + len(wanted) > AT_ONCE:
            forming = self._forming = _Batch(wanted, until)
            asking = self._latest = asyncio.ensure_future(self._ask(forming, self._latest))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        else:
            forming.names.update(wanted)
            forming.until = max(forming.until, until)
        return forming.found

    async def _ask(self, batch: _Batch, before: asyncio.Task[None] | None) -> None:
        """Ask, once what was asked before is answered: by then others have joined."""
        try:
            if before is not None:
                await asyncio.wait([before], timeout=self._patience)
            if self._forming is batch:
                self._forming = None
            patience = max(0.0, batch.until - self._runtime.elapsed())
            answer = await self._line.run(READ, self._before + b"w", [self._before, *batch.names.values()], patience)
            found = self._read(batch.names, answer)
        except BaseException as error:
            if self._forming is batch:
                self._forming = None
            batch.found.set_exception(error if isinstance(error, Exception) else Unreachable("the cache was closed"))
            batch.found.exception()  # whoever waited for it may have gone
            if not isinstance(error, Exception):
                raise
        else:
            batch.found.set_result(found)

    def _read(self, names: Mapping[str, bytes], answer: Sequence[bytes | None] | None) -> dict[str, bytes]:
        if answer is None:
            raise Unreachable(f"nobody writes profiles to {self._settings.place}: is the worker running?")
        tag, found = answer[0] or b"", dict[str, bytes]()
        for (name, by), once, twice in zip(names.items(), answer[1::2], answer[2::2], strict=True):
            if once is None:
                continue
            packed = profile_in(self._before, tag, by, once, twice)
            if packed is Absent.DAMAGED:
                self._note_damage(by)
            elif isinstance(packed, bytes):
                found[name] = packed
        return found

    def _note_damage(self, by: bytes) -> None:
        self.damaged += 1
        if self._runtime.elapsed() - self._told >= _TELL:
            self._told = self._runtime.elapsed()
            _log.warning(
                "a value in Redis is damaged, or not ours, and was passed over",
                place=self._settings.place,
                key=repr(self._before + by),
                so_far=self.damaged,
                what_to_do="keep others from keys that begin with the prefix; the worker overwrites it by itself",
            )

    async def close(self) -> None:
        """See `ProfileCache.close`."""
        asking = tuple(self._asking)
        for one in asking:
            one.cancel()
        if asking:
            await asyncio.wait(asking)
        await self._line.close()
        for writer in self._writers:
            await writer.close()

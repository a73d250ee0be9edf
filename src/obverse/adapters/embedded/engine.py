"""Brings each profile its events, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters._decisions import bring_up
from obverse.adapters._running import unless_ended, until_failure
from obverse.adapters.embedded.backfill import Folded, parts_with
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.adapters.embedded.folding import Folding
from obverse.adapters.embedded.leaving import leave_buckets
from obverse.core import profiles
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.refolding import Difference
from obverse.ports.engine import WRITER, Engine, EngineParts, Progress
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """The `[engine.embedded]` table of the settings file."""

    checkpoint_seconds: float = 2.0
    """Longest time between two checkpoints while few events come."""
    busy_events: int = 30_000
    """Events within that time that are many …"""
    busy_seconds: float = 10.0
    """… so that the next checkpoint may wait so long: a profile is written once, however often it has moved."""
    checkpoint_events: int = 200_000
    """Events after which a checkpoint is due in any case."""
    idle_seconds: float = 0.25
    """When nothing came for so long, a checkpoint is due at once."""
    profiles_awake: int = 20_000
    """Beyond, profiles that have not moved for a while rest as bytes: a fraction of the memory, and 20 µs to wake."""
    rest_after: int = 6
    """Checkpoints in which a profile was not, after which it rests: with many events, a minute."""
    profiles_in_memory: int = 500_000
    """Beyond, profiles that are safe in the store are let go."""
    groups_in_memory: int = 20_000
    """Beyond, groups that were told nothing for the longest time, and are safe in the store, are let go."""
    slice_events: int = 200
    """Events folded before others get their turn."""
    turn_events: int = 2000
    """Events whose decisions are appended together, at most."""


async def open_engine(settings: EmbeddedSettings, parts: EngineParts) -> Engine:
    """
    Entry point `obverse.engine:embedded`.

    Raises:
        ValueError: this process is to do a part of an engine's work alone.
    """
    if not (parts.decides and parts.keeps):
        raise ValueError("the embedded engine decides and keeps in one process: give one worker both flows, or neither")
    return EmbeddedEngine(settings, parts)


class EmbeddedEngine:
    """
    See `Engine`.

    Profiles that an event needs are brought from the store; they are written back once per checkpoint. What was
    folded is visible through the cache at once.
    """

    def __init__(self, settings: EmbeddedSettings, parts: EngineParts) -> None:
        self.progress = Progress()
        self._settings = settings
        self._parts = parts
        self._kept = asyncio.Condition()
        self._hurry = 0
        self._running: Folding | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """See `Engine.run`."""
        runtime = self._parts.runtime
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as stack:
            folding = await self._open(stack)
            checkpoints = folding.checkpoints
            self._running, self._ended = folding, asyncio.Event()
            stack.callback(self._end)
            for name, loop in (
                ("fold", folding.run()),
                ("changes", folding.changes.run()),
                ("requests", folding.requests.run()),
                ("clock", folding.clock.run()),
                ("backfill", folding.backfilling.run()),
                ("checkpoints", checkpoints.run(lambda: self._hurry > 0, self._note_kept)),
            ):
                work = runtime.spawn(f"unify {name}", until_failure(loop, failed))
                stack.push_async_callback(work.stop)
            await failed

    async def _open(self, stack: AsyncExitStack) -> Folding:
        """Take the places of writer and appender, and remember where the last run stood."""
        folded = Folded(self._parts.definitions)
        parts, log = parts_with(self._parts, folded), self._parts.log
        people = People(parts.workspace, parts.definitions())
        writer = await parts.store.open_writer(WRITER)
        stack.push_async_callback(writer.close)
        decisions = await log.open_appender(Stream.DECISIONS)
        stack.push_async_callback(decisions.close)
        changes = await log.open_appender(Stream.CHANGES)
        stack.push_async_callback(changes.close)

        def pack(profile: Profile) -> bytes:
            return profiles.pack(profile, people.definitions)

        cache = await parts.cache.open_writer(pack)
        stack.push_async_callback(cache.close)
        out = ChangesOut(parts.runtime, changes, self.progress, (await log.bounds(Stream.CHANGES))[0][1])
        folding = Folding(
            parts=parts,
            given=self._parts,
            folded=folded,
            people=people,
            progress=self.progress,
            decisions=decisions,
            cache=cache,
            checkpoints=Checkpoints(
                settings=self._settings,
                runtime=parts.runtime,
                people=people,
                writer=writer,
                cache=cache,
                changes=out,
                obstacle=parts.obstacle,
            ),
            changes=out,
            slice_events=self._settings.slice_events,
            turn_events=self._settings.turn_events,
        )
        await leave_buckets(log, writer)
        await folding.backfilling.resume()
        people.set_aside.update((one.identifier, one) for one in await parts.store.set_aside())
        mark = writer.marks.get(Stream.DECISIONS, {}).get(0, 0)
        await bring_up(log, parts.store, writer, mark)
        await folding.recall(mark)
        self.progress.folded = dict(folding.checkpoints.marks)
        await self._note_kept(folding.checkpoints)
        return folding

    async def _note_kept(self, checkpoints: Checkpoints) -> None:
        async with self._kept:
            self.progress.kept = dict(checkpoints.kept)
            self.progress.checkpointed_at = self._parts.runtime.now()
            if checkpoints.took is not None:
                self.progress.checkpoints.note(checkpoints.took)
            self._kept.notify_all()

    def _end(self) -> None:
        self._running = None
        self._ended.set()

    async def fold_anew(self, people: Collection[bytes], *, replay: str) -> Mapping[bytes, Difference | None]:
        """See `FoldsAnew.fold_anew`."""
        running = self._running
        if running is None:
            raise Unreachable("the engine does not run yet")
        return await unless_ended(running.refolding.fold_anew(people, replay), self._ended)

    async def drain(self) -> None:
        """See `Engine.drain`."""
        bounds = await self._parts.log.bounds(Stream.EVENTS)
        self._hurry += 1
        try:
            async with self._kept:
                await self._kept.wait_for(
                    lambda: all(self.progress.kept.get(one, 0) >= end for one, (_, end) in bounds.items())
                )
        finally:
            self._hurry -= 1

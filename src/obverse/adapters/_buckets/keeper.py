"""
The keeper: brings what came of the fold to whoever waits for it.

Profiles go to the cache and changes to their stream as they come; all of it goes to the store, in one transaction a
checkpoint, with the mark up to which nothing is missing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import structlog

from obverse.adapters._buckets import items
from obverse.adapters._buckets.items import Anew, Folded, Shown, Tick
from obverse.adapters._buckets.kept import Due, Kept, News
from obverse.adapters._buckets.recalling import first_turn
from obverse.adapters._buckets.showing import Showing
from obverse.adapters._changes_out import ChangesOut
from obverse.adapters._decisions import bring_up
from obverse.adapters._running import until_failure
from obverse.core import codec, groups
from obverse.core.changes import Change
from obverse.ports.engine import WRITER, EngineParts, Progress
from obverse.ports.event_log import Stream
from obverse.ports.groups import GroupRow
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, StoredEvent, StoreWriter

_changes = codec.Decoder(Change)
_log = structlog.get_logger(__name__)


class FoldedSource(Protocol):
    """The topic of what was folded, as a keeper reads it."""

    async def next(self) -> Sequence[tuple[int, int, bytes]]:
        """
        Return records that follow, at least one, each with its partition and offset; waits for them.

        Raises:
            Unreachable: it cannot be read now.
        """
        ...

    async def ends(self) -> Mapping[int, int]:
        """
        By partition of which something is to be read, the offset after the last record that is there.

        Raises:
            Unreachable: it cannot be read now.
        """
        ...

    async def keep(self, offsets: Mapping[int, int]) -> None:
        """Note that nothing before these is needed, by partition; where it is not noted, more comes again."""
        ...

    async def close(self) -> None:
        """Stop reading."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSettings:
    """How a keeper works."""

    look_seconds: float = 0.02


class Keeper:
    """Runs until it is cancelled or a port fails; then it is to be made anew."""

    def __init__(self, settings: KeeperSettings, parts: EngineParts, source: FoldedSource, progress: Progress) -> None:
        self._settings = settings
        self._parts = parts
        self._source = source
        self._progress = progress
        self._kept = Kept(0)
        self._told: set[Change] = set()
        """Changes that were told before this run, of what comes again …"""
        self._told_from = 0
        """… and where they begin …"""
        self._again: Mapping[int, int] = {}
        """… until when what they are of comes again, as offsets by partition."""
        self._held: list[tuple[int, int, int, int, int]] = []
        """
        Of each record that is not done with: partition, offset, highest number; that of the last change which it
        brought (-1: none), and where the stream of changes ended before.
        """
        self._next: dict[int, int] = {}
        """By partition, the offset after what was read."""
        self._telling = asyncio.Lock()
        """
        Held from when something is taken in until it is shown and told: a checkpoint in between would say that the
        store knows of it, and what was not told by then would never be.
        """

    async def run(self) -> None:
        """
        Keep what comes.

        Raises:
            Unreachable, Fenced: a port failed, or another keeper has taken over; run a new one.
        """
        parts = self._parts
        async with AsyncExitStack() as stack:
            writer = await parts.store.open_writer(WRITER)
            stack.push_async_callback(writer.close)
            appender = await parts.log.open_appender(Stream.CHANGES)
            stack.push_async_callback(appender.close)
            showing = Showing(parts.cache)
            stack.push_async_callback(showing.close)
            stack.push_async_callback(self._source.close)
            # First, for from `_recall` on `progress` says how much is kept, and whoever drains would not wait for this.
            await bring_up(parts.log, parts.store, writer, writer.marks.get(Stream.DECISIONS, {}).get(0, 0))
            await self._recall(writer)
            if not self._comes_again:
                await showing.open()
            out = ChangesOut(parts.runtime, appender, self._progress, (await parts.log.bounds(Stream.CHANGES))[0][1])
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            for name, loop in (
                ("changes", out.run()),
                ("keep", self._take_for_ever(out, showing)),
                ("checkpoints", self._write_for_ever(writer, out, showing)),
            ):
                work = parts.runtime.spawn(f"keep {name}", until_failure(loop, failed))
                stack.push_async_callback(work.stop)
            await failed

    async def _recall(self, writer: StoreWriter) -> None:
        marks, log = writer.marks, self._parts.log
        self._progress.folded = self._progress.kept = dict(marks.get(Stream.EVENTS, {}))
        turn, routed = await first_turn(log, marks.get(Stream.ROUTED, {}).get(0, 0))
        self._kept = Kept(turn.first)
        anew = next((one.changes for one in routed if isinstance(one, Anew)), 0)
        await self._recall_changes(max(anew, marks.get(Stream.CHANGES, {}).get(0, 0)))

    async def _recall_changes(self, at: int) -> None:
        """Learn what was told of items that are not in the store, and will come again."""
        log = self._parts.log
        first, end = (await log.bounds(Stream.CHANGES))[0]
        at = self._told_from = max(at, first)
        if at >= end:
            return
        self._again = await self._source.ends()
        reader = await log.open_reader(Stream.CHANGES, {0: at})
        while at < end:
            for batch in await reader.next():
                if not batch.damage:
                    self._told.update(map(_named, _changes.decode(batch.count, batch.body)[at - batch.first :]))
                at = batch.end
        await reader.close()

    async def _take_for_ever(self, out: ChangesOut, showing: Showing) -> None:
        while True:
            records = await self._source.next()
            async with self._telling:
                await self._take_all(records, out, showing)
            reached = self._kept.reached
            if reached is not None:
                self._progress.folded = {**self._progress.folded, **reached.events}
            await out.make_room()

    async def _take_all(self, records: Sequence[tuple[int, int, bytes]], out: ChangesOut, showing: Showing) -> None:
        shown: list[Shown] = []
        nobodys: list[str] = []
        changes: list[Change] = []
        for partition, offset, record in records:
            self._next[partition] = offset + 1
            try:
                folded = items.read_folded(record)
            except codec.UnreadableRecord as error:
                # What was meant is missing, so no checkpoint passes it, and it is read again.
                self._held.append((partition, offset, sys.maxsize, -1, 0))
                what = "record of what was folded set aside"
                _log.error(what, partition=partition, offset=offset, reason=str(error))
                continue
            news = self._take(partition, offset, folded, out.ended)
            changes += news.changes
            shown += news.shown
            nobodys += news.nobodys
        await showing.show(shown, nobodys)
        if not showing.is_open and not self._comes_again:
            await showing.open()
        # Only now: whoever acts on a change looks at who it is of.
        out.add(changes)

    def _take(self, partition: int, offset: int, folded: Folded, changed: int) -> News:
        """Take in what came of some items; of what was told before this run, nothing is told again."""
        news = self._kept.take(folded)
        changes = self._untold(news.changes)
        last = max((number for number, _ in folded.changes), default=-1)
        if self._told and any(_named(one) in self._told for _, one in folded.changes):
            changed = self._told_from
        news.changes = changes
        moved = [*(one.number for one in folded.rows), *(one.number for one in folded.shown)]
        highest = max([*folded.done, *moved, *(one for one, _ in folded.parts)])
        self._held.append((partition, offset, highest, last, changed))
        return news

    @property
    def _comes_again(self) -> bool:
        """Whether something of which was told before this run may not have come yet."""
        return any(self._next.get(partition, 0) < end for partition, end in self._again.items())

    def _untold(self, changes: Sequence[Change]) -> list[Change]:
        """Those that were not told before this run."""
        return [one for one in changes if not self._told or _named(one) not in self._told]

    async def _write_for_ever(self, writer: StoreWriter, out: ChangesOut, showing: Showing) -> None:
        runtime = self._parts.runtime
        while True:
            await runtime.sleep(self._settings.look_seconds)
            if self._kept.is_due and self._parts.obstacle() is None:
                began = runtime.elapsed()
                if await self._write(writer, out, showing):
                    self._progress.checkpoints.note(runtime.elapsed() - began)

    async def _write(self, writer: StoreWriter, out: ChangesOut, showing: Showing) -> bool:
        async with self._telling:
            due = self._kept.due()
            if due is None:
                return False
            settled = showing.take_settled(self._kept.is_ahead)
            self._held = [one for one in self._held if one[2] >= self._kept.base]
            offsets = self._needed()
            out.add(self._untold(due.changes))
        # All that was told of these items is in the stream before the store says that they are done with.
        await out.flush()
        # A record may be held for a tick alone, of which the changes it brought are not.
        told_from = min([out.ended, *(changed for *_, last, changed in self._held if last >= self._kept.base)])
        if self._comes_again:
            # What was told before this run of what has not come yet is to be known to the next one too.
            told_from = min(told_from, self._told_from)
        await writer.commit(await self._checkpoint(writer, due, told_from))
        await self._source.keep(offsets)
        await showing.settle(settled)
        self._progress.kept = {**self._progress.kept, **due.tick.events}
        self._progress.checkpointed_at = self._parts.runtime.now()
        return True

    def _needed(self) -> dict[int, int]:
        """By partition, the first record that is not done with."""
        needed = dict(self._next)
        for partition, offset, *_ in self._held:
            needed[partition] = min(needed[partition], offset)
        return needed

    async def _checkpoint(self, writer: StoreWriter, due: Due, told_from: int) -> Checkpoint:
        tick: Tick = due.tick
        decided = [*due.decisions, *(one for done in due.beside for one in done.decisions)]
        claimed = {identifier for row in due.rows for identifier in row.identifiers}
        stored = [StoredEvent(profile, partition, offset, event) for _, profile, partition, offset, event in due.events]
        return Checkpoint(
            marks={
                Stream.EVENTS: tick.events,
                Stream.DECISIONS: {0: tick.decisions},
                Stream.ROUTED: {0: tick.routed},
                Stream.CHANGES: {0: told_from},
            },
            profiles=due.rows,
            absorbed=due.absorbed,
            events=[writer.pack(stored)] if stored else [],
            groups=await self._groups(due.groups),
            rejected=due.rejected,
            decisions=[KeptDecision(offset, decision) for offset, decision in sorted(decided, key=lambda one: one[0])],
            settled={name: outcome for done in due.beside for name, outcome in done.settled.items()},
            moved={event: profile for done in due.beside for event, profile in done.moved.items()},
            nobodys=[one for done in due.beside for one in done.nobodys if one not in claimed],
        )

    async def _groups(self, told: Sequence[bytes]) -> list[GroupRow]:
        """Unite what was told of groups with what is known of them."""
        fresh: dict[str, groups.Group] = {}
        for packed in told:
            one = groups.unpack(packed)
            fresh[one.id] = groups.merge(fresh[one.id], one) if one.id in fresh else one
        if fresh:
            for packed in await self._parts.store.load_groups(fresh):
                known = groups.unpack(packed)
                groups.merge(fresh[known.id], known)
        return [GroupRow.of(one) for one in fresh.values()]


def _named(change: Change) -> Change:
    """A change by what names it: of entering and leaving the number, of all else the event."""
    return Change(change.profile, change.kind, change.name, "", change.number) if change.number else change

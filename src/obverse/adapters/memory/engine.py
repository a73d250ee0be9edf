"""The simplest engine: everybody in memory, folded anew from the log's beginning at each start."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from obverse.adapters._foreign import read_events
from obverse.adapters.memory.engine_owed import Owed
from obverse.core import codec, profiles
from obverse.core.asking_again import decide_again, refusals
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import arriving
from obverse.core.events import TYPES, Event, RejectedEvent, foreign_record
from obverse.core.identity import Decision
from obverse.core.identity.evidence import ACCEPTED
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.refolding import REPLAY, Difference, difference, for_refold, refold, swap_in, with_moves
from obverse.core.unmerging import NothingToTie, NothingToUndo, Rerun, accept, rerun, tell_anew, tied, undo
from obverse.ports.backfills import Backfill, Phase
from obverse.ports.engine import WRITER, Engine, EngineParts, Progress
from obverse.ports.event_log import Appender, Batch, Records, Stream
from obverse.ports.groups import GroupRow
from obverse.ports.identity_requests import IdentityRequest, Outcome, by_rule
from obverse.ports.merge_requests import BY_ITSELF
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_history import KeptDecision, history_of
from obverse.ports.profile_store import Checkpoint, ProfileRow, RejectedFilter, StoredEvent, StoreWriter

LOOK: Final = 1.0
"""Seconds between two looks at what is asked."""
LOOK_AT_CLOCK: Final = 0.5
"""Seconds between two looks at who is due."""
PATIENCE: Final = 300_000
"""Microseconds that an event may take from its arrival into the log, and still come before what time changes."""
_ALL: Final = 1 << 40
"""Events of a profile."""
_decisions = codec.Decoder(Decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEngineSettings:
    """There is nothing to set."""


async def open_engine(settings: MemoryEngineSettings, parts: EngineParts) -> Engine:  # noqa: ARG001 - as its kind
    """Entry point `obverse.engine:memory`."""
    return MemoryEngine(parts)


class MemoryEngine:
    """See `Engine`. Checkpoints after each batch; the log must hold everything from offset 0 on."""

    def __init__(self, parts: EngineParts) -> None:
        self.progress = Progress()
        self._parts = parts
        self._people = People(parts.workspace, parts.definitions())
        self._kept = asyncio.Condition()
        self._turn = asyncio.Lock()
        """Held while something is folded, or done on request, until it is in the store."""
        self._running: tuple[Owed, Appender, StoreWriter, CacheWriter[Profile]] | None = None

    async def run(self) -> None:
        """See `Engine.run`."""
        log = self._parts.log
        self._people = people = People(self._parts.workspace, self._parts.definitions())
        self.progress.folded, self.progress.kept = {}, {}
        async with AsyncExitStack() as stack:
            writer = await self._parts.store.open_writer(WRITER)
            stack.push_async_callback(writer.close)
            decided = await log.open_appender(Stream.DECISIONS)
            stack.push_async_callback(decided.close)
            changed = await log.open_appender(Stream.CHANGES)
            stack.push_async_callback(changed.close)

            def pack(profile: Profile) -> bytes:
                return profiles.pack(profile, people.definitions)

            shown = await self._parts.cache.open_writer(pack)
            stack.push_async_callback(shown.close)
            owed = Owed(dict(writer.marks.get(Stream.EVENTS, {})))
            asked = await self._recall(owed)
            self._running = owed, changed, writer, shown
            stack.callback(setattr, self, "_running", None)
            reader = await log.open_reader(Stream.EVENTS, dict.fromkeys(range(log.partitions), 0))
            stack.push_async_callback(reader.close)
            requests = self._parts.runtime.spawn(
                "unify requests", self._do_requests(owed, decided, changed, writer, shown)
            )
            stack.push_async_callback(requests.stop)
            clock = self._parts.runtime.spawn("unify clock", self._go_on(owed, changed, writer, shown))
            stack.push_async_callback(clock.stop)
            while True:
                for batch in await reader.next():
                    async with self._turn:
                        await self._take(batch, owed, decided, changed)
                        lost = [one.identifier for kept in owed.decisions for one in kept.decision.set_aside]
                        await shown.publish(self._present(owed), lost)
                        if owed.due:
                            await self._finish(asked, owed)
                            await self._keep(owed, writer)

    async def _do_requests(
        self, owed: Owed, decided: Appender, changed: Appender, writer: StoreWriter, shown: CacheWriter[Profile]
    ) -> None:
        """Do what people ask of identity, between two batches."""
        done = set[str]()
        while True:
            await self._parts.runtime.sleep(LOOK)
            asked = list(await self._parts.store.waiting_identity(limit=10))
            pairs, now = self._people.definitions.identity.apart, self._parts.runtime.now()
            for request in asked + by_rule(pairs, done, now):
                async with self._turn:
                    if owed.due:
                        owed.touched = {}
                        done.add(request.id)
                        await self._do(request, owed, decided, changed)
                        await shown.publish(self._present(owed), owed.nobodys)
                        await self._keep(owed, writer)

    async def _go_on(self, owed: Owed, changed: Appender, writer: StoreWriter, shown: CacheWriter[Profile]) -> None:
        """Have time go on for everybody, while nothing in the log is unfolded: it may have come before."""
        people = self._people
        while True:
            await self._parts.runtime.sleep(LOOK_AT_CLOCK)
            now = self._parts.runtime.now() - PATIENCE
            bounds = await self._parts.log.bounds(Stream.EVENTS)
            async with self._turn:
                if not owed.due or any(owed.reached.get(one, 0) < end for one, (_, end) in bounds.items()):
                    continue
                await self._bring_in(now, owed, changed, writer, shown)
                due = [one for one in people.profiles.values() if one.due <= now]
                moved = [change for one in due for change in profiles.advance(one, now, people.definitions)]
                if due:
                    owed.touched.update(dict.fromkeys(one.id for one in due))
                    await _append(changed, moved)
                    self.progress.changes += len(moved)
                    await shown.publish(due, [])
                    await self._keep(owed, writer)

    async def _bring_in(
        self, now: int, owed: Owed, changed: Appender, writer: StoreWriter, shown: CacheWriter[Profile]
    ) -> None:
        """Compute definitions on their way from history, and have everybody follow; nothing is folded meanwhile."""
        people, coming = self._people, self._parts.arriving()
        if coming is None:
            return
        before, store = people.definitions, self._parts.store
        fresh = arriving.fresh(coming.definitions, before)
        alone = arriving.only(fresh, coming.definitions)
        calls = list(dict.fromkeys((one.type, one.event) for one in alone.trait_of_key.values()))
        for one in people.profiles.values():
            told = await store.told_of([one.id], calls, limit=_ALL)
            profiles.fill(one, profiles.history_of(one, told, owed.reached, alone), alone, coming.version)
        # Who has not heard of it yet reads what was, and who has, what is.
        people.definitions = arriving.folding(before, fresh, coming.version)
        owed.touched.update(dict.fromkeys(people.profiles))
        await self._keep(owed, writer)
        await self._parts.announce(coming.version)
        await self._parts.arrived(coming.version)
        people.definitions, people.filled = self._parts.definitions(), coming.version
        moved = [
            change
            for one in people.profiles.values()
            for change in profiles.go_live(one, before, people.definitions, now)
        ]
        owed.touched.update(dict.fromkeys(people.profiles))
        await _append(changed, moved)
        await shown.publish(self._present(owed), [])
        await self._keep(owed, writer)
        await store.note_backfill(Backfill(coming.version, dict(owed.reached), Phase.DONE))

    async def _do(self, request: IdentityRequest, owed: Owed, decided: Appender, changed: Appender) -> None:
        people, ends = self._people, (request.one, request.other)
        stamp = Stamp(self._parts.runtime.now(), request.by, request.id)
        without: Rerun | None = None
        again: Sequence[Decision] = ()
        try:
            if request.kind == "merge":
                decision = accept(people, ends, stamp, ACCEPTED, by_person=request.by != BY_ITSELF)
            else:
                whole = await history_of(self._parts.store, tied(people, ends).id, people.definitions)
                without = rerun(people, ends, whole.events)
                decision = undo(people, ends, stamp, whole.decisions, without)
                waiting = refusals(tied(people, ends), whole.decisions, people.definitions.identity)
                again = decide_again(people, decision, without, waiting)
        except (NothingToTie, NothingToUndo) as error:
            owed.settled[request.id] = Outcome(done=False, detail=str(error))
            return
        owed.decide(await _append(decided, [decision, *again]), [decision, *again])
        moved = people.carry_out(decision)
        if without is not None:
            more, moves = tell_anew(people, decision, without)
            owed.moved.update(moves)
            moved += more
        for follows in again:
            moved += people.carry_out(follows)
            owed.touched.update(dict.fromkeys((follows.profile, *follows.beside)))
        await _append(changed, moved)
        self._settle(decision, owed)

    def _settle(self, decision: Decision, owed: Owed) -> None:
        owed.settled[decision.event] = Outcome(done=True, detail=decision.kind)
        owed.nobodys += [name for part in decision.parts if part.profile is None for name in part.identifiers]
        parts = [part.profile for part in decision.parts if part.profile is not None]
        owed.touched.update(dict.fromkeys((self._people.keeper(decision.profile), *parts)))

    async def fold_anew(self, people: Collection[bytes], *, replay: str) -> Mapping[bytes, Difference | None]:
        """See `FoldsAnew.fold_anew`. Nothing is folded meanwhile."""
        while self._running is not None:
            owed, changed, writer, shown = self._running
            async with self._turn:
                if owed.due:
                    found, moved = await self._fold_anew(people, replay, owed)
                    await _append(changed, moved)
                    await shown.publish(self._present(owed), [])
                    await self._keep(owed, writer)
                    return found
            await self._parts.runtime.sleep(LOOK_AT_CLOCK)
        raise Unreachable("the engine does not run")

    async def _fold_anew(
        self, ids: Collection[bytes], replay: str, owed: Owed
    ) -> tuple[Mapping[bytes, Difference | None], list[Change]]:
        people, found, moved = self._people, dict[bytes, Difference | None](), list[Change]()
        alone = for_refold(people.definitions)
        for one in dict.fromkeys(people.keeper(one) for one in ids):
            profile, made = people.profiles[one], Profile(one)
            for told in await self._parts.store.told_of([one], [(call, None) for call in TYPES], limit=_ALL):
                refold(made, told, alone)
            if made.events < profile.events:
                found[one] = None
                continue
            moved += profiles.advance(profile, profile.now, people.definitions)
            what = found[one] = difference(profile, made, people.definitions)
            if what.is_any:
                stamp = Stamp(profile.now, REPLAY, f"{REPLAY}:{replay}")
                done = swap_in(profile, made, what, people.definitions, stamp=stamp, filled=people.filled)
                moved += done
                found[one] = with_moves(what, done)
            owed.touched[one] = None
        return found, moved

    async def _finish(self, asked: list[Decision], owed: Owed) -> None:
        """Do the rest of what was decided on request, and is not in the store."""
        people = self._people
        while asked:
            decision = asked.pop()
            self._settle(decision, owed)
            for past in (await history_of(self._parts.store, decision.profile, people.definitions)).events:
                owner = next((people.owners[one] for one in people.shown(past.event) if one in people.owners), None)
                if owner is not None and owner != people.keeper(past.profile):
                    owed.moved[past.id] = owner

    async def _recall(self, owed: Owed) -> list[Decision]:
        """Carry out what was decided before, so that no decision is taken anew; return what the store has not done."""
        asked: list[Decision] = []
        known = await self._parts.store.decided()
        end = (await self._parts.log.bounds(Stream.DECISIONS))[0][1]
        reader = await self._parts.log.open_reader(Stream.DECISIONS, {0: 0})
        at = 0
        while at < end:
            for batch in await reader.next():
                for offset, decision in enumerate(_decisions.decode(batch.count, batch.body), batch.first):
                    self._people.recall(decision)
                    if offset >= known:
                        owed.decisions.append(KeptDecision(offset, decision))
                        asked += [decision] if decision.is_asked else []
                at = batch.end
        await reader.close()
        owed.decided = at
        return asked

    async def _take(self, batch: Batch, owed: Owed, decided: Appender, changed: Appender) -> None:
        """Fold a batch; of what the store knows already, nothing is told again."""
        known = owed.known.get(batch.partition, 0)
        decisions: list[Decision] = []
        moved: list[Change] = []
        events = self._readable(batch, owed, known)
        await self._set_aside(batch, owed, known)
        for offset, event in enumerate(map(self._people.admit, events), batch.first):
            if isinstance(event, RejectedEvent):
                if offset >= known:
                    owed.rejected.append(event)
                continue
            folded = self._people.fold(event, (batch.partition, offset))
            if folded.profile is not None:
                owed.touched[folded.profile.id] = None
            if folded.decision is not None:
                decisions.append(folded.decision)
                owed.touched.update(dict.fromkeys(other.id for other in folded.others))
            if folded.group is not None:
                owed.groups[folded.group] = None
            self.progress.repeated += folded.repeated
            if offset < known:
                continue
            moved += folded.changes
            if folded.profile is None:
                owed.rejected.append(People.unidentified(event, batch.partition, offset))
            elif not folded.repeated:
                owed.events.append(StoredEvent(folded.profile.id, batch.partition, offset, event))
        owed.decide(await _append(decided, decisions), decisions)
        await _append(changed, moved)
        owed.reached[batch.partition] = batch.end
        self.progress.events += len(events)
        self.progress.decisions += len(decisions)
        self.progress.changes += len(moved)
        self.progress.folded = {**self.progress.folded, batch.partition: batch.end}

    async def _set_aside(self, batch: Batch, owed: Owed, known: int) -> None:
        """Keep what others wrote, unless it was kept before."""
        if batch.count or batch.first < known:
            return
        rejected = foreign_record(batch.damage, self._parts.runtime.now())
        kept = await self._parts.store.rejected(RejectedFilter(code=rejected.code), limit=1000)
        if rejected.reason not in {one.event.reason for one in kept}:
            owed.rejected.append(rejected)

    def _readable(self, batch: Batch, owed: Owed, known: int) -> Sequence[Event]:
        """The events of a batch; one that cannot be read is kept, unless it was before."""
        events, damaged = read_events(batch, self._parts.runtime.now()) if batch.count else ([], None)
        self.progress.damaged += batch.count - len(events)
        if damaged is not None and batch.end > known:
            owed.rejected.append(damaged)
        return events

    def _present(self, owed: Owed) -> list[Profile]:
        return [self._people.profiles[one] for one in owed.touched if one in self._people.profiles]

    async def _keep(self, owed: Owed, writer: StoreWriter) -> None:
        await writer.commit(
            Checkpoint(
                marks={
                    Stream.EVENTS: owed.reached,
                    Stream.DECISIONS: {0: owed.decided},
                    Stream.CHANGES: {0: (await self._parts.log.bounds(Stream.CHANGES))[0][1]},
                },
                profiles=[ProfileRow.of(profile, self._people.definitions) for profile in self._present(owed)],
                absorbed=dict(self._people.absorbed),
                groups=[GroupRow.of(self._people.groups[one]) for one in owed.groups],
                events=[writer.pack(owed.events)],
                rejected=owed.rejected,
                decisions=owed.decisions,
                moved=owed.moved,
                settled=owed.settled,
                nobodys=[one for one in owed.nobodys if one not in self._people.owners],
            )
        )
        owed.touched, owed.events, owed.rejected, owed.decisions = {}, [], [], []
        owed.moved, owed.settled, owed.nobodys, owed.groups = {}, {}, [], {}
        async with self._kept:
            self.progress.kept = dict(owed.reached)
            self.progress.checkpointed_at = self._parts.runtime.now()
            self._kept.notify_all()

    async def drain(self) -> None:
        """See `Engine.drain`."""
        ends = {partition: end for partition, (_, end) in (await self._parts.log.bounds(Stream.EVENTS)).items()}
        async with self._kept:
            await self._kept.wait_for(
                lambda: all(self.progress.kept.get(partition, 0) >= end for partition, end in ends.items())
            )


async def _append(appender: Appender, items: Sequence[Change] | Sequence[Decision]) -> int:
    """Append all of them and return the offset of the first, 0 of none; nobody else appends to this stream."""
    offsets = [await appender.append(0, records) for records in (Records.of(items) if items else ())]
    return offsets[0] if offsets else 0

"""
The router: decides identity once, in the order of the log, and says what each bucket is to do.

There is one of a workspace. A second one stands by, for it waits until the first one lets go of the stream of what was
routed. What was routed and is not in the store yet is read again at the start, so nothing is decided or routed anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog

from obverse.adapters._admitting import admitted
from obverse.adapters._buckets import items
from obverse.adapters._buckets.asked import Asked, outcome_of
from obverse.adapters._buckets.filling import Filling
from obverse.adapters._buckets.histories import Elsewhere
from obverse.adapters._buckets.items import (
    Anew,
    Decided,
    Defined,
    Done,
    Item,
    Lent,
    Refused,
    Tick,
    Told,
    bucket_of,
)
from obverse.adapters._buckets.recalling import adopting, anew, decided_from, take_again, turns_from
from obverse.adapters._buckets.routed_people import RoutedPeople
from obverse.adapters._buckets.routing import Pace, Place, RouterSettings, Runs, now_of
from obverse.adapters._decisions import at_once
from obverse.adapters._running import until_failure
from obverse.core import profiles
from obverse.core.definitions import Definitions, define
from obverse.core.events import FOREIGN, Event, RejectedEvent, unfoldable
from obverse.core.identity import Decision
from obverse.core.people import People
from obverse.ports.engine import WRITER, EngineParts, Progress
from obverse.ports.event_log import Appender, Reader, Records, Stream
from obverse.ports.profile_store import Marks

_LOOK_AT_STORE: Final = 0.05

_log = structlog.get_logger(__name__)


class Router:
    """Runs until it is cancelled or a port fails; then it is to be made anew."""

    def __init__(
        self, settings: RouterSettings, parts: EngineParts, progress: Progress, elsewhere: Elsewhere | None = None
    ) -> None:
        self._settings = settings
        self.parts = parts
        self._progress = progress
        self.people = self._nobody(Definitions())
        self.place = Place()
        self._runs = Runs(parts, progress)
        self._definitions: Definitions | None = None
        self.turn = asyncio.Lock()
        self._arrivals: dict[int, int] = {}
        """By partition, the latest arrival of what was routed in this run."""
        self._pace = Pace(settings)
        self._told_now = 0
        self._keep_at = 0
        """Where the last tick with which everything was kept is in the stream of what was routed."""
        self._look_at = 0.0
        self._begins = False
        """Whether buckets are still to be told whom another engine has folded."""
        self._recalled: list[tuple[int, Decision]] = []
        """What was decided and not routed before this run, with the offset of each: it is not decided anew."""
        self.is_open = False
        """Whether all that was routed before is known."""
        self.asked = Asked(self)
        self.filling = Filling(self, settings.page_people, elsewhere)
        self._decided: Appender
        self._routed: Appender

    def _nobody(self, definitions: Definitions) -> RoutedPeople:
        return RoutedPeople(self.parts.workspace, definitions, self.parts.store)

    async def run(self) -> None:
        """
        Route what the log holds and what comes.

        Raises:
            Unreachable: a port failed; run a new one.
            LogGap, UnknownMark: the log is not whole; a person must look.
        """
        log = self.parts.log
        async with AsyncExitStack() as stack:
            # Whoever has this one is the router; others wait here.
            self._routed = await log.open_appender(Stream.ROUTED)
            stack.push_async_callback(self._routed.close)
            self._decided = await log.open_appender(Stream.DECISIONS)
            stack.push_async_callback(self._decided.close)
            await self._recall()
            self.is_open = True
            marks = {number: self.place.events.get(number, 0) for number in range(log.partitions)}
            reader = await log.open_reader(Stream.EVENTS, marks)
            stack.push_async_callback(reader.close)
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            ticking = self.parts.runtime.spawn("route ticks", until_failure(self._tick_for_ever(), failed))
            stack.push_async_callback(ticking.stop)
            asking = self.parts.runtime.spawn("route requests", until_failure(self.asked.run(), failed))
            stack.push_async_callback(asking.stop)
            filling = self.parts.runtime.spawn("route definitions", until_failure(self.filling.run(), failed))
            stack.push_async_callback(filling.stop)
            routing = self.parts.runtime.spawn("route", until_failure(self._route_for_ever(reader, marks), failed))
            stack.push_async_callback(routing.stop)
            await failed

    # What was routed before.

    async def _recall(self) -> None:
        """Learn how far everything was routed, and what is known of people whose items are not in the store yet."""
        await self.filling.resume()
        self.define(self.parts.definitions())
        self._recalled = await self._learn()
        if self._begins:
            await self.append([*await anew(self.parts.log, self.place.number, self.buckets), *self.defined()])
            async for work in adopting(self.parts.store, self.buckets):
                await self.append(work)
        await self.append(self.defined())
        if self._recalled and self._recalled[0][1].is_asked:
            async with self.turn:
                await self.asked.carry_out_recalled(*self._recalled.pop(0))
        # No event brings these: what they follow from is routed.
        while self._recalled and self._recalled[0][1].again:
            async with self.turn:
                await self.asked.carry_out_again(*self._recalled.pop(0))

    async def _learn(self) -> list[tuple[int, Decision]]:
        """
        Do again what was routed and is not in the store; return what was decided and not routed.

        Whom it is about is taken from the store as of one moment: else a merge of later would be met before its time.
        """
        log, store = self.parts.log, self.parts.store
        end, decided = (await log.bounds(Stream.ROUTED))[0][1], (await log.bounds(Stream.DECISIONS))[0][1]
        while True:
            self.people, self.place = self._nobody(self.people.definitions), Place()
            kept, place = await self.kept(), self.place
            at = kept.get(Stream.ROUTED, {}).get(0, 0)
            place.events = dict(kept.get(Stream.EVENTS, {}))
            place.decisions = kept.get(Stream.DECISIONS, {}).get(0, 0)
            place.routed = end
            named, ids = set[str](), set[bytes]()
            decisions = [one async for one in decided_from(log, place.decisions, decided)]
            async for _, turn, routed in turns_from(log, at, end):
                place.decisions = max(place.decisions, turn.decisions_end)
                ids.update(one.profile for one in routed if isinstance(one, Told))
            for _, decision in decisions:
                named.update(decision.identifiers)
                ids.update((decision.profile, *decision.absorbed, *decision.beside))
            self.people.set_aside.update((one.identifier, one) for one in await store.set_aside())
            await self.people.bring(named, ids)
            if await self.kept() == kept:
                break
        self._begins = True
        async for offset, turn, routed in turns_from(log, at, end):
            # Whoever began told of definitions again once buckets had everybody. The store is where there was a tick.
            if any(isinstance(one, Defined | Tick) for one in routed):
                self._begins = any(isinstance(one, Anew) for one in routed)
            take_again(turn, routed, offset, self.people, self.place)
            for one in routed:
                if isinstance(one, Refused) and one.rejected.code == FOREIGN:
                    self._runs.foreign.routed(one.rejected)
        return [one for one in decisions if one[0] >= place.decisions]

    # What comes.

    async def _route_for_ever(self, reader: Reader, marks: Mapping[int, int]) -> None:
        runtime, settings = self.parts.runtime, self._settings
        began = runtime.elapsed()
        while True:
            batches = await reader.next()
            before, began = began, runtime.elapsed()
            await self._runs.foreign.recall(batches, marks)
            count = 0
            for partition, first, events, rejected in self._runs.of(batches):
                count += len(events)
                for at in range(0, max(1, len(events)), settings.turn_events):
                    some = events[at : at + settings.turn_events]
                    async with self.turn:
                        await self._route(partition, first + at, some, rejected if at == 0 else [])
            # What comes meanwhile is routed together: each bucket is told of more at once, which costs less.
            busy = count >= settings.busy_rate * (began - before)
            gather = settings.busy_turn_seconds if busy else settings.turn_seconds
            await runtime.sleep(max(0, gather - (runtime.elapsed() - began)))

    async def _route(
        self, partition: int, first: int, events: Sequence[Event], rejected: Sequence[RejectedEvent]
    ) -> None:
        definitions = self.parts.definitions()
        work: list[tuple[int, Item] | Decision] = []
        if definitions is not self._definitions:
            self.define(definitions)
            work += self.defined()
        work += [(0, Refused(one)) for one in rejected]
        held = [admitted(one, definitions) for one in events]
        shown = [() if isinstance(one, RejectedEvent) else self.people.shown(one) for one in held]
        await self.people.bring(identifier for one in shown for identifier in one)
        for place, (event, names) in enumerate(zip(held, shown, strict=True), first):
            if isinstance(event, RejectedEvent):
                work.append((0, Refused(event)))
                continue
            try:
                work += self._resolve(event, (partition, place), names)
            except Exception as error:  # noqa: BLE001 - one event that cannot be routed must not stop all others
                _log.error("event set aside", partition=partition, offset=place, error=repr(error))
                work.append((0, Refused(unfoldable(event, error))))
        routed, decisions_end = await self._with_decisions(work)
        end = first + len(events)
        await self.append(routed, decisions_end=decisions_end, partition=partition, events_end=end)
        # Only now, so that no tick says so of what was not routed after all.
        self.place.events[partition], self.place.decisions = end, decisions_end
        if events:
            self._arrivals[partition] = max(self._arrivals.get(partition, 0), events[-1].received_at)
            self._progress.events += len(events)
        self._pace.routed(len(events), self.parts.runtime.elapsed())

    def _resolve(
        self, event: Event, place: tuple[int, int], names: tuple[str, ...]
    ) -> list[tuple[int, Item] | Decision]:
        """Find whom an event belongs to, deciding what it makes new, and say what is to be done for it."""
        people = self.people
        if people.set_aside and names:
            names = people.shown(event)  # some may have been set aside by now
        if not names:
            return [(0, Refused(People.unidentified(event, *place)))]
        before = self._recall_for(event, names) if self._recalled else []
        profile, folded = people.resolve(event, event.stamp, names)
        profiles.notice(profile, event, event.stamp, place, names)
        people.routed((profile.id,), self.place.routed)
        told = (bucket_of(profile.id, self._settings.buckets), Told(profile.id, *place, event))
        return [*before, told] if folded.decision is None else [*before, folded.decision, told]

    def _recall_for(self, event: Event, names: tuple[str, ...]) -> list[tuple[int, Item]]:
        """
        Carry out what was decided for this event and not routed, and what was decided before that.

        All of it, if this event wants a decision of its own: decisions are routed in their order.
        """
        people = self.people
        places = [
            place
            for place, (_, one) in enumerate(self._recalled, 1)
            if (one.stamp.source, one.event) == (event.source, event.message_id)
        ]
        count = max(places, default=0)
        if not count and people.decide(event, event.stamp, names) is not None:
            count = len(self._recalled)
        work: list[tuple[int, Item]] = []
        for offset, decision in self._recalled[:count]:
            people.recall(decision)
            work += self.items_of(offset, decision)
            if decision.is_asked:
                work.append((0, Done(settled={decision.event: outcome_of(decision)})))
        del self._recalled[:count]
        return work

    async def _with_decisions(self, work: Sequence[tuple[int, Item] | Decision]) -> tuple[list[tuple[int, Item]], int]:
        """Write decisions down; say what is to be done for each where it stands, and where their stream ends."""
        decisions = [one for one in work if isinstance(one, Decision)]
        recalled = [
            item.offset for one in work if not isinstance(one, Decision) and isinstance(item := one[1], Decided)
        ]
        offset = max([self.place.decisions, *(one + 1 for one in recalled)])
        if decisions:
            offset, *_ = [await self._decided.append(0, records) for records in Records.of(decisions)]
            self._progress.decisions += len(decisions)
        routed: list[tuple[int, Item]] = []
        for one in work:
            if isinstance(one, Decision):
                routed += self.items_of(offset, one)
                offset += 1
            else:
                routed.append(one)
        return routed, offset

    def defined(self) -> list[tuple[int, Item]]:
        """Have every bucket fold with the present definitions from here on, and those on their way beside."""
        self.place.version += 1
        defined = Defined(self.place.version, self.parts.documents(self.filling.is_beside))
        return [(bucket, defined) for bucket in range(self._settings.buckets)]

    def define(self, definitions: Definitions) -> None:
        """Route with these: of what is defined, identity alone matters here."""
        self._definitions = definitions
        self.people.definitions = define(identity=definitions.identity)

    def items_of(self, offset: int, decision: Decision) -> list[tuple[int, Item]]:
        """What buckets are to do for a decision."""
        buckets = self._settings.buckets
        home = bucket_of(decision.profile, buckets)
        concerned = dict.fromkeys((*decision.absorbed, *decision.beside))
        lent = tuple(one for one in concerned if bucket_of(one, buckets) != home)
        self.people.concern(decision, self.place.routed)
        if decision.absorbed:
            self.filling.note((decision.profile, *decision.absorbed))
        lends: list[tuple[int, Item]] = [
            (bucket_of(one, buckets), Lent(one, home, offset, one not in decision.absorbed)) for one in lent
        ]
        return [*lends, (home, Decided(offset, decision, lent))]

    async def append(self, work: Sequence[tuple[int, Item]], **head: Any) -> None:
        """Have buckets do these, all or none of them."""
        place = self.place
        if not work and not head:
            return
        count, body = items.write_turn(
            place.number, self._settings.buckets, work, **{"decisions_end": place.decisions, **head}
        )
        at = await self._routed.append(0, Records(count, body))
        place.number += len(work)
        place.routed = at + count

    @property
    def buckets(self) -> int:
        """How many there are."""
        return self._settings.buckets

    async def stored(self) -> None:
        """Have all that was routed be in the store. The turn is held."""
        while not await self._tick(some=True, keep=True):
            await self.parts.runtime.sleep(_LOOK_AT_STORE)
        wanted = self._keep_at
        while (await self.kept()).get(Stream.ROUTED, {}).get(0, 0) < wanted:
            await self.parts.runtime.sleep(_LOOK_AT_STORE)

    @property
    def wanted(self) -> int:
        """How far the store is once it has all that was routed by now, but for ticks."""
        return self._keep_at if self.place.routed == self._pace.kept else self.place.routed

    async def kept(self) -> Marks:
        """How far the store is."""
        return (await self.parts.store.overview()).marks.get(WRITER, {})

    async def write_down(self, decision: Decision, again: Sequence[Decision] = ()) -> tuple[int, Sequence[Decision]]:
        """
        Write a decision down with those that follow from it; return its offset, and those that do.

        The turn is held, and `append` says how far decisions are then.
        """
        records, again = at_once(decision, again)
        self._progress.decisions += records.count
        return await self._decided.append(0, records), again

    # Time.

    async def _tick_for_ever(self) -> None:
        runtime = self.parts.runtime
        while True:
            await runtime.sleep(self._settings.idle_seconds)
            timed = self._definitions is not None and self._definitions.timed
            due = self._pace.due(runtime.elapsed(), self.place.routed, timed=timed)
            if due is not None:
                async with self.turn:
                    await self._tick(some=due.some, keep=due.keep)

    async def _tick(self, *, some: bool, keep: bool) -> bool:
        now = await self.now()
        if now is None or (not some and now <= self._told_now):
            return False
        place, buckets = self.place, self._settings.buckets
        self._told_now = max(self._told_now, now)
        if keep:
            self._keep_at = place.routed
        until = place.number + buckets if keep else 0
        tick = Tick(self._told_now, place.number, dict(place.events), place.decisions, place.routed, until)
        await self.append([(bucket, tick) for bucket in range(buckets)])
        self._pace.ticked(place.routed, self.parts.runtime.elapsed(), keep=keep)
        await self._let_go()
        return True

    async def now(self) -> int | None:
        """What time it is, as far as the log is routed; None if that is not known."""
        return await now_of(self.parts, self.place, self._arrivals)

    async def _let_go(self) -> None:
        """Keep no more people in memory than we may; those whose items are not in the store yet stay."""
        surplus, now = self.people.many - self._settings.profiles_in_memory, self.parts.runtime.elapsed()
        # Whom decisions that are still to be routed concern is not brought again.
        if surplus > 0 and now >= self._look_at and not self._recalled:
            self._look_at = now + self._settings.look_seconds
            self.people.let_go(surplus, (await self.kept()).get(Stream.ROUTED, {}).get(0, 0))

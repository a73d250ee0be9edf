"""What people ask of identity, done by the one who decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from obverse.adapters._changes_out import ChangesOut
from obverse.adapters._decisions import at_once
from obverse.adapters.embedded.checkpoints import Checkpoints
from obverse.core.asking_again import decide_again, refusals
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.identity import Decision, edge_key, id_name, id_named
from obverse.core.identity.evidence import ACCEPTED
from obverse.core.people import People
from obverse.core.profiles import Profile, unpack
from obverse.core.unmerging import NothingToTie, NothingToUndo, Rerun, accept, rerun, tell_anew, tied, undo
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Appender
from obverse.ports.identity_requests import IdentityRequest, Outcome, by_rule
from obverse.ports.merge_requests import BY_ITSELF
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import CacheWriter
from obverse.ports.profile_history import Whole, history_of

LOOK: Final = 1.0
"""Seconds between two looks at what is asked."""
_AT_ONCE: Final = 20
MOST: Final = 500_000
"""Events of a profile that are folded anew at once, at most: a gigabyte, and some ten seconds."""
_log = structlog.get_logger(__name__)

Bring = Callable[[Iterable[str], Iterable[bytes]], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Requests:
    """
    Does what is asked while nothing is folded and everything is in the store.

    So what is decided is the first thing after a checkpoint, and whoever reads it in the log after a crash finds the
    history that it was decided upon.
    """

    parts: EngineParts
    people: People
    checkpoints: Checkpoints
    decisions: Appender
    changes: ChangesOut
    cache: CacheWriter[Profile]
    bring: Bring
    note: Callable[[Iterable[Profile]], None]
    """Takes in when profiles are due."""
    going: asyncio.Event
    """Cleared while the fold is to wait."""
    _known: set[str] = field(default_factory=set)
    """Those that are done, and perhaps not settled in the store."""

    async def run(self) -> None:
        """
        Look for requests, for ever.

        Raises:
            Unreachable: the log or the store failed while something was done.
        """
        while True:
            await self.parts.runtime.sleep(LOOK)
            try:
                waiting = list(await self.parts.store.waiting_identity(limit=_AT_ONCE))
            except Unreachable:
                continue  # whoever folds will say so
            pairs, now = self.parts.definitions().identity.apart, self.parts.runtime.now()
            waiting = [one for one in waiting if one.id not in self._known]
            for ruled in by_rule(pairs, self._known, now):
                if await self._is_tied(ruled):
                    waiting.append(ruled)
                else:
                    self._known.add(ruled.id)
            if waiting and self.parts.obstacle() is None:
                await self._do(waiting)

    async def _is_tied(self, ruled: IdentityRequest) -> bool:
        """Whether there is anything to take back; most that rules keep apart was never tied."""
        async with self.checkpoints.turn:
            await self.bring((ruled.one, ruled.other), ())
            try:
                tied(self.people, (ruled.one, ruled.other))
            except NothingToUndo:
                return False
            return True

    async def _do(self, waiting: Sequence[IdentityRequest]) -> None:
        self.going.clear()
        try:
            for request in waiting:
                while request.id not in self._known:
                    await self.checkpoints.quiet()
                    async with self.checkpoints.turn:
                        if self.checkpoints.is_quiet:  # else something was folded while we waited for the turn
                            await self._do_one(request)
        finally:
            self.going.set()

    async def _do_one(self, request: IdentityRequest) -> None:
        """Decide, write the decision down, carry it out. The turn is held, and nothing is owed to the store."""
        people = self.people
        people.definitions = self.parts.definitions()
        stamp = Stamp(self.parts.runtime.now(), request.by, request.id)
        without: Rerun | None = None
        again: Sequence[Decision] = ()
        try:
            one, other = [await self._brought(name) for name in (request.one, request.other)]
            if request.kind == "merge":
                decision = accept(people, (one, other), stamp, ACCEPTED, by_person=request.by != BY_ITSELF)
            else:
                history = await self._history_of_edge(one, other)
                without = await _without(people, (one, other), history)
                decision = undo(people, (one, other), stamp, history.decisions, without)
                again = await self._asked_again(decision, history.decisions, without)
        except (NothingToUndo, NothingToTie) as error:
            _log.info("request refused", request=request.id, reason=str(error))
            self.settle(request.id, Outcome(done=False, detail=str(error)))
            return
        records, again = at_once(decision, again)
        offset = await self.decisions.append(0, records)
        await self.carry_out(offset, decision, without)
        if again:
            await self._carry_out_again(offset + 1, again)

    async def _asked_again(
        self, decision: Decision, decisions: Sequence[Decision], without: Rerun
    ) -> Sequence[Decision]:
        """Decide anew what limits had refused of a profile before it was parted; others may have the other end."""
        people = self.people
        profile = people.profiles[people.keeper(decision.profile)]
        waiting = refusals(profile, decisions, people.definitions.identity)
        await self.bring((name for one in waiting for name in one.shown), ())
        return decide_again(people, decision, without, waiting)

    async def _carry_out_again(self, first: int, again: Sequence[Decision]) -> None:
        """Do what follows from an edge that is taken back; after a crash it is any decision. The turn is held."""
        people, moved, touched = self.people, list[Change](), dict[bytes, None]()
        for decision in again:
            concerned = (decision.profile, *decision.absorbed, *decision.beside)
            await self.bring((), concerned)
            moved += people.carry_out(decision)
            touched |= dict.fromkeys(concerned)
        self.checkpoints.decided(first, again)
        present = [people.profiles[one] for one in touched if one in people.profiles]
        for one in present:
            self.checkpoints.touch(one.id)
        self.note(present)
        with self.changes.hold(moved):
            await self.cache.publish(present, [one.identifier for each in again for one in each.set_aside])

    async def carry_out(self, offset: int, decision: Decision, without: Rerun | None = None) -> None:
        """Do what was decided on request, also when it is read in the log after a crash. The turn is held."""
        people = self.people
        await self.bring((), (decision.profile, *decision.absorbed))
        keeper = people.keeper(decision.profile)
        before, nobodys = people.profiles[keeper].events, list[str]()
        if decision.kind == "unmerge" and without is None:
            ends = decision.edges[0].a, decision.edges[0].b
            without = await _without(people, ends, await self._history(keeper))
        moved = people.carry_out(decision)
        said = _tied(decision)
        if without is not None:
            more, moves = tell_anew(people, decision, without)
            moved += more
            self.checkpoints.moved.update(moves)
            nobodys = [name for part in decision.parts if part.profile is None for name in part.identifiers]
            self.checkpoints.nobodys += nobodys
            said = _told(decision, before - len(without.folded))
        self.settle(decision.event, Outcome(done=True, detail=said))
        self.checkpoints.decided(offset, [decision])
        touched = [keeper, *(part.profile for part in decision.parts if part.profile)]
        for one in touched:
            self.checkpoints.touch(one)
        self.note([people.profiles[one] for one in touched])
        with self.changes.hold(moved):
            await self.cache.publish([people.profiles[one] for one in touched], nobodys)

    async def _brought(self, name: str) -> str:
        """Have whom a name means in memory; return the name, which is the keeper's where one was merged away."""
        one = id_named(name)
        await self.bring((name,) if one is None else (), () if one is None else (one,))
        if one is None or one in self.people.profiles:
            return name
        for packed in await self.parts.store.load((), (one,)):
            return id_name(unpack(packed, self.people.definitions).id)
        return name

    def settle(self, request: str, outcome: Outcome) -> None:
        """Have the next checkpoint say what became of a request."""
        self._known.add(request)
        self.checkpoints.settle(request, outcome)

    async def _history_of_edge(self, one: str, other: str) -> Whole:
        profile = tied(self.people, (one, other))
        if profile.events > MOST:
            raise NothingToUndo(f"the profile has {profile.events} events, and {MOST} at most are folded anew")
        return await self._history(profile.id)

    async def _history(self, profile: bytes) -> Whole:
        return await history_of(self.parts.store, profile, self.people.definitions)


async def _without(people: People, ends: tuple[str, str], history: Whole) -> Rerun:
    """Run the profile's events beside, so that those who read are answered meanwhile; nobody folds."""
    return await asyncio.to_thread(rerun, people, ends, history.events)


def _told(decision: Decision, missing: int) -> str:
    edge = decision.edges[0]
    pair = "{} and {}".format(*edge_key(edge.a, edge.b))
    if not decision.parts:
        return f"{pair} are not tied any more; other edges keep them in one profile"
    names = [", ".join(part.identifiers) for part in decision.parts if part.profile is not None]
    said = f"{'; '.join(names)}: a profile of its own" if names else f"{pair} are not tied any more"
    if missing > 0:
        said += (
            f"; {missing} events are not kept any more, so the profile that stays is as it was, and what goes is made "
            "of the events that are kept"
        )
    return said


def _tied(decision: Decision) -> str:
    edge = decision.edges[0]
    return f"{edge.a} and {edge.b} are of one profile"

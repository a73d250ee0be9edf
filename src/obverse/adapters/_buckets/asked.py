"""What is done seldom and needs whole profiles: while nothing is routed, and the store has all that was."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import structlog

from obverse.adapters._buckets.histories import told_of
from obverse.adapters._buckets.items import Became, Done, Item, bucket_of
from obverse.adapters._buckets.routing import Routing
from obverse.core import profiles
from obverse.core.asking_again import decide_again, refusals
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import TYPES
from obverse.core.identity import Decision, edge_key, id_name, id_named
from obverse.core.identity.evidence import ACCEPTED
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.refolding import REPLAY, Difference, difference, for_refold, refold, swap_in, with_moves
from obverse.core.unmerging import NothingToTie, NothingToUndo, Rerun, accept, rerun, tell_anew, tied, undo
from obverse.ports.identity_requests import IdentityRequest, Outcome, by_rule
from obverse.ports.merge_requests import BY_ITSELF
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_history import history_of

LOOK: Final = 0.5
"""Seconds between two looks at what is asked."""
MOST: Final = 500_000
"""Events of a profile that are folded anew at once, at most: a gigabyte, and some ten seconds."""
_AT_ONCE: Final = 20
_PAGE: Final = 200
"""People who are computed anew together."""
_CALLS: Final = tuple((call, None) for call in sorted(TYPES))
_log = structlog.get_logger(__name__)


class Asked:
    """
    Does what people ask of identity, and folds people anew.

    Meanwhile events wait in the log. What comes of it is given to the buckets as whole profiles.
    """

    def __init__(self, router: Routing) -> None:
        self._router = router
        self._parts = router.parts
        self._known: set[str] = set()
        """Requests that are done, and perhaps not settled in the store."""

    async def run(self) -> None:
        """
        Look for it, for ever.

        Raises:
            Unreachable: the log or the store failed while something was done.
        """
        while True:
            await self._parts.runtime.sleep(LOOK)
            try:
                waiting = [one for one in await self._waiting() if one.id not in self._known]
            except Unreachable:
                continue  # whoever routes will say so
            if waiting and self._parts.obstacle() is None:
                async with self._router.turn:
                    for request in waiting:
                        await self._do(request)

    async def _waiting(self) -> list[IdentityRequest]:
        waiting = list(await self._parts.store.waiting_identity(limit=_AT_ONCE))
        pairs, now = self._parts.definitions().identity.apart, self._parts.runtime.now()
        for ruled in by_rule(pairs, self._known, now):
            await self._router.people.bring((ruled.one, ruled.other))
            try:
                tied(self._router.people, (ruled.one, ruled.other))
                waiting.append(ruled)
            except NothingToUndo:
                self._known.add(ruled.id)  # there is nothing to take back, as of most that rules keep apart
        return waiting

    # What is asked of identity.

    async def _do(self, request: IdentityRequest) -> None:
        router, stamp = self._router, Stamp(self._parts.runtime.now(), request.by, request.id)
        self._known.add(request.id)
        try:
            one, other = [await self._brought(name) for name in (request.one, request.other)]
            if request.kind == "merge":
                decision = accept(router.people, (one, other), stamp, ACCEPTED, by_person=request.by != BY_ITSELF)
                offset, _ = await router.write_down(decision)
                router.people.carry_out(decision)
                settled = Done(settled={request.id: outcome_of(decision)})
                await self._append([*router.items_of(offset, decision), (0, settled)], offset + 1)
            else:
                await self._unmerge((one, other), stamp)
        except (NothingToUndo, NothingToTie) as error:
            _log.info("request refused", request=request.id, reason=str(error))
            await self._append([(0, Done(settled={request.id: Outcome(done=False, detail=str(error))}))])

    async def _brought(self, name: str) -> str:
        """Have whom a name means in memory; return the name, which is the keeper's where one was merged away."""
        people, one = self._router.people, id_named(name)
        await self._router.people.bring((name,) if one is None else (), () if one is None else (one,))
        if one is None or people.keeper(one) in people.profiles:
            return name if one is None else id_name(people.keeper(one))
        for packed in await self._parts.store.load((), (one,)):
            return id_name(profiles.unpack_briefly(packed).id)
        return name

    async def _unmerge(self, ends: tuple[str, str], stamp: Stamp) -> None:
        await self._router.stored()
        whole = await self._whole(ends)
        profile = tied(whole, ends)
        if profile.events > MOST:
            raise NothingToUndo(f"the profile has {profile.events} events, and {MOST} at most are folded anew")
        history = await history_of(self._parts.store, profile.id, whole.definitions)
        without = await asyncio.to_thread(rerun, whole, ends, history.events)
        decision = undo(whole, ends, stamp, history.decisions, without)
        waiting = refusals(profile, history.decisions, whole.definitions.identity)
        await self._bring_all({name for one in waiting for name in one.shown}, whole)
        again: Sequence[Decision] = decide_again(whole, decision, without, waiting)
        offset, again = await self._router.write_down(decision, again)
        await self._carry_out(offset, decision, whole, without, again)
        for place, follows in enumerate(again, offset + 1):
            await self.carry_out_again(place, follows)

    async def _bring_all(self, names: Collection[str], whole: People) -> None:
        """Have whoever has these among the people that the store has."""
        whole.set_aside.update(self._router.people.set_aside)
        for packed in await self._parts.store.load(names - whole.owners.keys(), ()):
            one = profiles.unpack_briefly(packed)
            if one.id not in whole.profiles:
                whole.adopt(profiles.unpack(packed, whole.definitions))

    async def carry_out_again(self, offset: int, decision: Decision) -> None:
        """Have buckets do what follows from an edge that is taken back, after that. The turn is held."""
        people = self._router.people
        await people.bring((), (decision.profile, *decision.absorbed, *decision.beside))
        people.recall(decision)
        await self._append(self._router.items_of(offset, decision), offset + 1)

    async def carry_out_recalled(self, offset: int, decision: Decision) -> None:
        """Do what was decided on request, and not routed before this run. The turn is held."""
        router = self._router
        self._known.add(decision.event)
        if decision.kind != "unmerge":
            await router.people.bring((), (decision.profile, *decision.absorbed))
            router.people.recall(decision)
            settled = Done(settled={decision.event: outcome_of(decision)})
            await self._append([*router.items_of(offset, decision), (0, settled)], offset + 1)
            return
        await router.stored()
        ends = decision.edges[0].a, decision.edges[0].b
        whole = await self._whole(ends, (decision.profile,))
        history = await history_of(self._parts.store, decision.profile, whole.definitions)
        without = await asyncio.to_thread(rerun, whole, ends, history.events)
        await self._carry_out(offset, decision, whole, without)

    async def _whole(self, names: Collection[str], ids: Collection[bytes] = ()) -> People:
        """People as the store has them, with all that was computed of them."""
        whole = People(self._parts.workspace, self._router.filling.folding())
        known = await self._parts.store.backfill()
        whole.filled = 0 if known is None else known.version
        for packed in await self._parts.store.load(names, ids):
            whole.adopt(profiles.unpack(packed, whole.definitions))
        return whole

    async def _carry_out(
        self, offset: int, decision: Decision, whole: People, without: Rerun, again: Iterable[Decision] = ()
    ) -> None:
        keeper = whole.keeper(decision.profile)
        before = whole.profiles[keeper].events
        moved = whole.carry_out(decision)
        more, moves = tell_anew(whole, decision, without)
        nobodys = tuple(name for part in decision.parts if part.profile is None for name in part.identifiers)
        touched = dict.fromkeys((keeper, *(part.profile for part in decision.parts if part.profile)))
        done = Done(
            decisions=((offset, decision),),
            settled={decision.event: outcome_of(decision, before - len(without.folded))},
            moved=dict(moves),
            # Who comes to one next may be shown before this.
            nobodys=tuple(one for one in nobodys if not any(one in follows.identifiers for follows in again)),
        )
        became = [self._became(whole.profiles[one], whole.definitions, [*moved, *more]) for one in touched]
        self._router.people.part([decision], nobodys)
        self._router.people.replace([one.packed for _, one in became], self._router.place.routed)
        self._router.filling.note(touched)
        await self._append([*became, (0, done)], offset + 1)

    def _became(self, profile: Profile, definitions: Definitions, moved: Iterable[Change] = ()) -> tuple[int, Became]:
        changes = tuple(one for one in moved if one.profile == profile.id)
        return self._bucket(profile.id), Became(profiles.pack(profile, definitions), changes)

    def _bucket(self, profile: bytes) -> int:
        return bucket_of(profile, self._router.buckets)

    async def _append(self, work: Sequence[tuple[int, Item]], decisions_end: int | None = None) -> None:
        head = {} if decisions_end is None else {"decisions_end": decisions_end}
        await self._router.append(work, **head)
        if decisions_end is not None:
            self._router.place.decisions = decisions_end

    # People who are folded anew.

    async def fold_anew(self, ids: Collection[bytes], replay: str) -> Mapping[bytes, Difference | None]:
        """See `FoldsAnew.fold_anew`."""
        async with self._router.turn:
            await self._router.stored()
            found: dict[bytes, Difference | None] = {}
            waiting = list(dict.fromkeys(ids))
            for at in range(0, len(waiting), _PAGE):
                found |= await self._fold_some(waiting[at : at + _PAGE], replay)
            await self._router.stored()
            return found

    async def _fold_some(self, ids: Collection[bytes], replay: str) -> Mapping[bytes, Difference | None]:
        whole = await self._whole((), ids)
        definitions, found = whole.definitions, dict[bytes, Difference | None]()
        alone, told = for_refold(definitions), await told_of(self._parts.store, whole.profiles, _CALLS)
        work: list[tuple[int, Became]] = []
        for one, profile in whole.profiles.items():
            made = Profile(one, filled=whole.filled)
            for past in told.get(one, ()):
                refold(made, past, alone)
            if made.events < profile.events:
                _log.warning("not all events of a person are kept", profile=one.hex())
                found[one] = None
                continue
            moved = profiles.advance(profile, profile.now, definitions)
            what = found[one] = difference(profile, made, definitions)
            if what.is_any:
                stamp = Stamp(profile.now, REPLAY, f"{REPLAY}:{replay}")
                done = swap_in(profile, made, what, definitions, stamp=stamp, filled=whole.filled)
                found[one] = with_moves(what, done)
                moved = [*moved, *done]
            if what.is_any or moved:
                work.append(self._became(profile, definitions, moved))
        if work:
            self._router.people.replace([one.packed for _, one in work], self._router.place.routed)
            await self._append(work)
        return found


def outcome_of(decision: Decision, missing: int = 0) -> Outcome:
    """What is told of a decision that was asked for; `missing` events of the profile are not kept any more."""
    edge = decision.edges[0]
    if decision.kind != "unmerge":
        return Outcome(done=True, detail=f"{edge.a} and {edge.b} are of one profile")
    pair = "{} and {}".format(*edge_key(edge.a, edge.b))
    if not decision.parts:
        return Outcome(done=True, detail=f"{pair} are not tied any more; other edges keep them in one profile")
    names = [", ".join(part.identifiers) for part in decision.parts if part.profile is not None]
    said = f"{'; '.join(names)}: a profile of its own" if names else f"{pair} are not tied any more"
    if missing > 0:
        said += (
            f"; {missing} events are not kept any more, so the profile that stays is as it was, and what goes is made "
            "of the events that are kept"
        )
    return Outcome(done=True, detail=said)

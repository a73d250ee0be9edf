"""Replay to unify: people are folded anew from what the store keeps, and mended where they are otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import TYPES
from obverse.core.identity import id_name
from obverse.core.profiles import Profile, unpack
from obverse.core.refolding import REPLAY, Difference, difference, for_refold, refold, swap_in, with_moves
from obverse.core.replays import Span, UnifyReport, Wanted
from obverse.flows.ranges import spans_of
from obverse.flows.replaying.steps import AT_ONCE, CannotReplay, Tell
from obverse.ports.engine import Engine, FoldsAnew
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime

SAMPLE: Final = 20_000
"""People whom a plan looks at; of more it takes so many. Ids are as good as random, so the first are a fair sample."""
_PAGE: Final = 100_000
"""Ids of people of a part of the log that are looked up at once."""
_EVENTS: Final = 2000
"""Events that are read at once."""
_SLICE: Final = 200
"""Events that are folded before others get their turn."""
_SHOWN: Final = 10
_CALLS: Final = [(one, None) for one in sorted(TYPES)]


@dataclass(slots=True)
class _Count:
    """What was found."""

    people: int = 0
    looked_at: int = 0
    changed: int = 0
    others: int = 0
    traits: Counter[str] = field(default_factory=Counter)
    attributes: Counter[str] = field(default_factory=Counter)
    entered: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    refused: list[bytes] = field(default_factory=list)

    def add(self, found: Mapping[bytes, Difference | None]) -> None:
        for one, what in found.items():
            if what is None:
                self.refused.append(one)
            elif what.is_any:
                self.changed += 1
                self.others += not (what.traits or what.attributes)
                self.traits.update(what.traits)
                self.entered.update(what.entered)
                self.left.update(what.left)
                # PostgreSQL keeps no NUL.
                self.attributes.update(name.replace("\0", "\N{REPLACEMENT CHARACTER}") for name in what.attributes)

    def report(self, spans: Mapping[int, Span]) -> UnifyReport:
        return UnifyReport(
            spans=spans,
            people=self.people,
            looked_at=self.looked_at,
            changed=self.changed,
            traits=dict(self.traits.most_common()),
            attributes=dict(self.attributes.most_common()),
            entered=dict(self.entered.most_common()),
            left=dict(self.left.most_common()),
            others=self.others,
            refused=len(self.refused),
            refused_some=[id_name(one) for one in self.refused[:_SHOWN]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleAnew:
    """
    Compares people with what their history makes of them, as of the last checkpoint; of who differs the engine is told.

    So whoever is right costs two reads of the store, and nothing of them is touched.
    """

    log: EventLog
    store: ProfileStore
    engine: Engine
    definitions: Callable[[], Definitions]
    runtime: Runtime
    sample: int = SAMPLE

    async def plan(self, wanted: Wanted, tell: Tell) -> UnifyReport:
        """
        Say what would be mended.

        Raises:
            BadRange, UnknownMark: as `spans_of`.
            CannotReplay: the engine folds nobody anew.
            Unreachable: the log or the store cannot be read now.
        """
        self._folds()
        spans, count = await spans_of(self.log, Stream.EVENTS, wanted), _Count()
        async for ids in self._people(wanted, spans):
            count.people += len(ids)
            for some in _slices(ids[: max(0, self.sample - count.looked_at)]):
                count.add(await self.compare(some))
                count.looked_at += len(some)
                await tell(count.looked_at)
        return count.report(spans)

    async def run(self, wanted: Wanted, spans: Mapping[int, Span], replay: str, tell: Tell) -> UnifyReport:
        """
        Mend whoever is otherwise; when this returns, all of it is in the store.

        Raises:
            CannotReplay, Unreachable: as `plan`.
        """
        engine, count = self._folds(), _Count()
        async for ids in self._people(wanted, spans):
            count.people += len(ids)
            for some in _slices(ids):
                found = await self.compare(some)
                otherwise = [one for one, what in found.items() if what is None or what.is_any]
                # What the engine says stands: it knows what has come since.
                count.add(await engine.fold_anew(otherwise, replay=replay) if otherwise else {})
                count.looked_at += len(some)
                await tell(count.looked_at)
        return count.report(spans)

    def _folds(self) -> FoldsAnew:
        if not isinstance(self.engine, FoldsAnew):
            raise CannotReplay(
                "the engine of this installation folds nobody anew: replay to the other flows, --to activate or "
                "--to deliver, or let the engine of the worker be `embedded`"
            )
        return self.engine

    async def _people(self, wanted: Wanted, spans: Mapping[int, Span]) -> AsyncIterator[Sequence[bytes]]:
        everybody = wanted.partition is None and wanted.since is None and wanted.until is None
        after: bytes | None = None
        while True:
            if everybody:
                page = await self.store.people(limit=_PAGE, after=after)
            else:
                page = await self.store.people_of(spans, limit=_PAGE, after=after)
            if page:
                yield page
            if len(page) < _PAGE:
                return
            after = page[-1]

    async def compare(self, ids: Collection[bytes]) -> Mapping[bytes, Difference | None]:
        """
        Return what is otherwise of each, as the store has them; None: not all of their events are kept.

        Raises:
            Unreachable: the store cannot be read now.
        """
        found = await self._compare(ids)
        otherwise = [one for one, what in found.items() if what is None or what.is_any]
        # Once more: somebody may have become one with another between the look at them and at their events.
        return {**found, **await self._compare(otherwise)} if otherwise else found

    async def _compare(self, ids: Collection[bytes]) -> dict[bytes, Difference | None]:
        definitions = self.definitions()
        alone = for_refold(definitions)
        people = {one.id: one for one in (unpack(packed, definitions) for packed in await self.store.load((), ids))}
        fresh = {one: Profile(one) for one in people}
        after = 0
        while fresh:
            page = await self.store.told_of(people, _CALLS, limit=_EVENTS, after=after)
            for at in range(0, len(page), _SLICE):
                for told in page[at : at + _SLICE]:
                    # What has been folded into them since is not on the profile that we look at.
                    if told.offset <= people[told.profile].version.get(told.partition, -1):
                        refold(fresh[told.profile], told, alone)
                await self.runtime.sleep(0)
            if len(page) < _EVENTS:
                break
            after = page[-1].id
        return {one: _tried(profile, fresh[one], definitions) for one, profile in people.items()}


def _tried(profile: Profile, fresh: Profile, definitions: Definitions) -> Difference | None:
    """What is otherwise, and what comes of it when it is mended; both profiles are used up."""
    if fresh.events < profile.events:
        return None
    found = difference(profile, fresh, definitions)
    if not found.is_any:
        return found
    stamp = Stamp(profile.now, REPLAY, REPLAY)
    return with_moves(found, swap_in(profile, fresh, found, definitions, stamp=stamp, filled=profile.filled))


def _slices(ids: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))

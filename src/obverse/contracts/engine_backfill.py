"""What every engine must prove of definitions that change: all ends as if they had been there from the start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final, cast

import pytest

from obverse.contracts.engine_clock import ClockPromises
from obverse.contracts.engine_steps import PATIENCE, Placed, append, expected, kept, load, read
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core import conditions, profiles
from obverse.core.audiences import Audience
from obverse.core.changes import ENTERED, LEFT, TRAIT, Change
from obverse.core.definitions import Definitions, Trait, arriving, define
from obverse.core.history import PastEvent
from obverse.core.traits.collections import UniqueCount
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.numbers import Count, Sum
from obverse.ports.backfills import Phase
from obverse.ports.engine import Arriving, Engine, EngineParts
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import ProfileStore


def _trait(name: str, kind: TraitKind, event: str, prop: str | None = None) -> Trait:
    return Trait(name=name, kind=kind, key=f"n:{name}:1", type="track", event=event, property=prop, field=None)


_SOME: Final = ("smallest", "largest", "first_order", "last_order", "favourite", "variety")
NEWEST: Final = define(
    traits=[
        *(DEFINITIONS.trait_of_name[name] for name in _SOME),
        _trait("orders", Count(), "Product Viewed"),  # another definition of a name
        _trait("spent", Sum(), "Order Completed", "revenue"),  # the same, written anew
        _trait("skus", UniqueCount(), "Product Viewed", "sku"),
    ],
    audiences=[
        Audience("big", conditions.parse({"op": "gte", "trait": "spent", "value": 50})),
        Audience("looked", conditions.parse({"op": "did", "event": "Product Viewed", "times": 2})),
        Audience("busy", conditions.parse({"op": "gte", "trait": "orders", "value": 3})),
    ],
    identity=DEFINITIONS.identity,
)
"""Against `DEFINITIONS` two traits are changed and one is new; an audience is changed, two are new, two are gone."""


async def _nobody() -> None:
    """Nobody reads."""


class Changing:
    """Definitions that change, as an engine sees them."""

    def __init__(self, live: Definitions) -> None:
        self.newest = self.live = self.shown = live
        self.version = self.arrived_at = 1
        self.arrived_last = 0
        self.others: Callable[[], Awaitable[None]] = _nobody

    def change(self, newest: Definitions) -> None:
        """Have these on their way."""
        self.newest, self.version = newest, self.version + 1
        self.shown = arriving.shown(newest, self.live)

    def now(self) -> Definitions:
        """What everybody sees."""
        return self.shown

    def coming(self) -> Arriving | None:
        """What is on its way."""
        return Arriving(self.version, self.newest) if self.version != self.arrived_at else None

    async def announce(self, version: int) -> None:
        """Have others follow it, and do what they do meanwhile."""
        if version == self.version:
            await self.others()

    async def arrived(self, version: int) -> None:
        """Take it that a version is there."""
        self.arrived_last = version
        if version == self.version:
            self.live, self.arrived_at = self.newest, version
            self.shown = self.newest

    def given_to(self, parts: EngineParts) -> EngineParts:
        """The same parts, with these definitions."""
        return replace(parts, definitions=self.now, arriving=self.coming, announce=self.announce, arrived=self.arrived)


class SlowHistory:
    """A store that tells what happened to people once somebody lets it; all else is passed on."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store
        self.asked = asyncio.Event()
        self.told = asyncio.Event()

    async def told_of(self, *people: Any, **page: Any) -> Sequence[PastEvent]:
        """See `Backfills.told_of`."""
        self.asked.set()
        await self.told.wait()
        return await self._store.told_of(*people, **page)

    def __getattr__(self, name: str) -> Any:
        """Pass it on."""
        return getattr(self._store, name)


class BackfillPromises(ClockPromises):
    """Changed traits and audiences are computed from history while events come, and seen when they are whole."""

    folds_while_it_reads: bool = True
    """Whether events are folded while history is read; else they wait in the log."""

    async def changing(self, partitions: int = 1) -> tuple[Changing, EngineParts]:
        """Definitions that can change, and the parts that they are given to."""
        changing = Changing(DEFINITIONS)
        return changing, changing.given_to(await self.open_parts(partitions))

    async def live(self, changing: Changing, parts: EngineParts) -> None:
        """Wait until what was changed is seen, and everybody follows it."""

        async def done() -> bool:
            known = await parts.store.backfill()
            return known is not None and known.phase is Phase.DONE and known.version == changing.version

        async with asyncio.timeout(PATIENCE):
            while changing.coming() is not None or not await done():
                await parts.runtime.sleep(0.02)

    async def members(self, parts: EngineParts) -> dict[str, set[bytes]]:
        """Who is in which audience, as the store tells it."""
        names = {one.name for one in (*DEFINITIONS.audiences, *NEWEST.audiences)}
        found = {name: {one.profile for one in await parts.store.members(name, limit=500)} for name in names}
        return {name: members for name, members in found.items() if members}

    async def as_from_the_start(self, parts: EngineParts, placed: list[Placed]) -> None:
        """Everybody is as a plain reduce with the newest definitions has them, in the store too."""
        assert await kept(parts, placed) == expected(placed, NEWEST)
        people = await load(parts, placed)
        wanted: dict[str, set[bytes]] = {}
        for one in people:
            for name, standing in one.audiences.items():
                if standing.member:
                    wanted.setdefault(name, set()).add(one.id)
        assert await self.members(parts) == wanted

    async def test_what_is_defined_late_is_as_if_it_had_been_there_from_the_start(self) -> None:
        changing, parts = await self.changing(2)
        story = tell(seed=61, people=12, events=300)
        placed = await append(parts, story[:150], batch=7)
        await self.fold(parts)
        before = await kept(parts, placed)
        assert before == expected(placed)

        async with self.running(parts) as engine:
            changing.change(NEWEST)
            for at in range(150, 300, 30):
                placed += await append(parts, story[at : at + 30], batch=7)
                await parts.runtime.sleep(0.01)
            await self.live(changing, parts)
            await asyncio.wait_for(engine.drain(), PATIENCE)
        await self.as_from_the_start(parts, placed)
        assert changing.arrived_last == changing.version

    async def test_whoever_reads_sees_the_old_value_until_all_have_the_new(self) -> None:
        changing, parts = await self.changing()
        placed = await append(parts, tell(seed=62, people=8, events=120), batch=10)
        await self.fold(parts)
        old = expected(placed)
        seen = [await kept(parts, placed) == old]

        async with self.running(parts):
            changing.change(NEWEST)
            async with asyncio.timeout(PATIENCE):
                while changing.coming() is not None:
                    shown = parts.definitions()
                    some = await load(parts, placed)
                    if parts.definitions() is not shown:
                        continue  # it has come between
                    for one in some:
                        values = profiles.computed_traits(one, shown)
                        theirs = frozenset(one.identifiers)
                        seen.append(values == old[theirs]["traits"])
                    await parts.runtime.sleep(0.005)
            await self.live(changing, parts)
        assert all(seen)
        await self.as_from_the_start(parts, placed)

    async def test_others_read_both_the_old_and_the_new_value_until_all_of_them_follow(self) -> None:
        changing, parts = await self.changing()
        story = tell(seed=68, people=8, events=120)
        placed = await append(parts, story[:80], batch=10)
        await self.fold(parts)
        asked = 0

        async def read_by_both(engine: Engine) -> None:
            nonlocal asked, placed
            if self.folds_while_it_reads:
                placed += await append(parts, story[80:], batch=10)
                await asyncio.wait_for(engine.drain(), PATIENCE)
            for definitions in (DEFINITIONS, NEWEST):
                wanted = expected(placed, definitions)
                for one in await load(parts, placed, definitions):
                    values = profiles.computed_traits(one, definitions)
                    assert values == wanted[frozenset(one.identifiers)]["traits"]
                    asked += 1

        async with self.running(parts) as engine:
            changing.others = partial(read_by_both, engine)
            changing.change(NEWEST)
            await self.live(changing, parts)
        assert asked >= 8
        await self.as_from_the_start(parts, placed)

    async def test_events_are_folded_and_kept_while_history_is_read(self) -> None:
        if not self.folds_while_it_reads:
            pytest.skip("never: it does one thing after another")
        changing, parts = await self.changing()
        story = tell(seed=67, people=8, events=120)
        placed = await append(parts, story[:80], batch=10)
        await self.fold(parts)
        slow = SlowHistory(parts.store)
        async with self.running(replace(parts, store=cast("ProfileStore", slow))) as engine:
            changing.change(NEWEST)
            await asyncio.wait_for(slow.asked.wait(), PATIENCE)
            placed += await append(parts, story[80:], batch=10)
            await asyncio.wait_for(engine.drain(), PATIENCE)
            shown, old = parts.definitions(), expected(placed)
            for one in await load(parts, placed):
                assert profiles.computed_traits(one, shown) == old[frozenset(one.identifiers)]["traits"]
            assert changing.coming() is not None
            slow.told.set()
            await self.live(changing, parts)
        await self.as_from_the_start(parts, placed)

    async def test_who_enters_and_who_leaves_is_told(self) -> None:
        changing, parts = await self.changing()
        placed = await append(parts, tell(seed=63, people=8, events=120), batch=10)
        await self.fold(parts)
        before = await self.members(parts)
        count = len(await read(parts, Stream.CHANGES, Change))
        async with self.running(parts):
            changing.change(NEWEST)
            await self.live(changing, parts)
        after = await self.members(parts)
        told = (await read(parts, Stream.CHANGES, Change))[count:]

        assert after.keys() <= {"big", "looked", "busy"}
        for name in before.keys() | after.keys():
            entered = {one.profile for one in told if (one.kind, one.name) == (ENTERED, name)}
            left = {one.profile for one in told if (one.kind, one.name) == (LEFT, name)}
            assert entered == after.get(name, set()) - before.get(name, set()), name
            assert left == before.get(name, set()) - after.get(name, set()), name
        moved = {one.name for one in told if one.kind == TRAIT}
        assert moved >= {"orders", "skus"}, sorted({(one.kind, one.name) for one in told})
        await self.as_from_the_start(parts, placed)

    async def test_an_engine_that_is_stopped_anywhere_goes_on(self) -> None:
        dice = Random(64)  # noqa: S311 - a story
        for _ in range(6):
            changing, parts = await self.changing(2)
            story = tell(seed=dice.randrange(1000), people=10, events=160)
            placed = await append(parts, story[:100], batch=7)
            await self.fold(parts)
            changing.change(NEWEST)
            for at in range(100, 160, 20):
                placed += await append(parts, story[at : at + 20], batch=5)
                async with self.running(parts):
                    await parts.runtime.sleep(dice.random() * 0.15)
            async with self.running(parts) as engine:
                await self.live(changing, parts)
                await asyncio.wait_for(engine.drain(), PATIENCE)
            await self.as_from_the_start(parts, placed)

    async def test_definitions_change_again_and_again(self) -> None:
        changing, parts = await self.changing()
        story = tell(seed=65, people=8, events=120)
        placed = await append(parts, story[:60], batch=6)
        async with self.running(parts) as engine:
            await asyncio.wait_for(engine.drain(), PATIENCE)
            for newest in (NEWEST, DEFINITIONS, NEWEST):
                changing.change(newest)
                await self.live(changing, parts)
            placed += await append(parts, story[60:], batch=6)
            await asyncio.wait_for(engine.drain(), PATIENCE)
        await self.as_from_the_start(parts, placed)

    async def test_before_anybody_is_there_nothing_has_to_be_computed(self) -> None:
        changing, parts = await self.changing()
        changing.change(NEWEST)
        async with self.running(parts) as engine:
            await self.live(changing, parts)
            placed = await append(parts, tell(seed=66, people=5, events=40), batch=6)
            await asyncio.wait_for(engine.drain(), PATIENCE)
        await self.as_from_the_start(parts, placed)

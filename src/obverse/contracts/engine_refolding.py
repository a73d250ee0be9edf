"""What every engine that folds people anew must prove: who is right stays, who is not is mended, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from obverse.contracts.engine_backfill import NEWEST, BackfillPromises
from obverse.contracts.engine_requests import BOB, ORDERS, TABLET, RequestPromises, asked, shown
from obverse.contracts.engine_steps import PATIENCE, append, expected, kept, load, read
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core import profiles
from obverse.core.changes import ENTERED, LEFT, TRAIT, Change
from obverse.core.profiles import Profile
from obverse.core.refolding import Difference
from obverse.ports.engine import WRITER, EngineParts, FoldsAnew
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import Checkpoint, ProfileRow

_SPENT: Final = DEFINITIONS.trait_of_name["spent"].key
_NO_DIFFERENCE: Final = Difference()


async def everybody(parts: EngineParts) -> Collection[bytes]:
    """The ids of all people of the store."""
    return await parts.store.people(limit=500)


async def harm(parts: EngineParts, do: Callable[[Profile], Any]) -> list[bytes]:
    """Have some people be otherwise in the store; no engine runs. Return who."""
    harmed = list[Profile]()
    writer = await parts.store.open_writer(WRITER)
    for packed in await parts.store.load((), await everybody(parts)):
        profile = profiles.unpack(packed, parts.definitions())
        if do(profile):
            profile.known_moved = profile.standing_moved = True
            harmed.append(profile)
    rows = [ProfileRow.of(one, parts.definitions()) for one in harmed]
    await writer.commit(Checkpoint(marks=writer.marks, profiles=rows))
    await writer.close()
    return [one.id for one in harmed]


async def holders(parts: EngineParts, ids: Collection[bytes]) -> set[bytes]:
    """Return who holds these now."""
    found = [await parts.store.load((), (one,)) for one in set(ids)]
    return {profiles.unpack_briefly(packed).id for some in found for packed in some}


async def _folds(engine: FoldsAnew) -> bool:
    """Whether it has begun: with nothing to drain, it may be drained before."""
    try:
        await engine.fold_anew((), replay="0")
    except Unreachable:
        return False
    return True


def without_spent(profile: Profile) -> bool:
    """Forget what somebody has spent."""
    return profile.traits.pop(_SPENT, None) is not None


class RefoldPromises(BackfillPromises, RequestPromises):
    """People are folded anew beside those who are live."""

    keeps_what_was_stored: bool = True
    """Whether a profile that is wrong in the store is wrong in the engine; one that folds all anew mends it itself."""

    @asynccontextmanager
    async def folding_anew(self, parts: EngineParts) -> AsyncIterator[FoldsAnew]:
        """An engine that runs while the block does, if it can fold people anew."""
        async with self.running(parts) as engine:
            if not isinstance(engine, FoldsAnew):
                pytest.skip("never: this engine folds nobody anew, and a replay to it is refused in words")
            async with asyncio.timeout(PATIENCE):
                await engine.drain()
                while not await _folds(engine):
                    await parts.runtime.sleep(0.02)
            yield engine

    async def test_who_is_right_stays_while_others_come_and_merge(self) -> None:
        parts = await self.open_parts(2)
        story = tell(seed=71, people=12, events=300)
        placed = await append(parts, story[:100], batch=7)
        async with self.folding_anew(parts) as engine:
            for at in range(100, 300, 20):
                placed += await append(parts, story[at : at + 20], batch=5)
                found = await asyncio.wait_for(engine.fold_anew(await everybody(parts), replay="1"), PATIENCE)
                assert set(found.values()) <= {_NO_DIFFERENCE}
            await asyncio.wait_for(engine.drain(), PATIENCE)  # type: ignore[attr-defined]
        assert await kept(parts, placed) == expected(placed)
        assert {one.event for one in await read(parts, Stream.CHANGES, Change)} <= {one.message_id for one in story}

    async def test_who_is_not_is_mended_while_others_come(self) -> None:
        parts = await self.open_parts(1)
        # Of somebody who does nothing more nobody but the replay can tell.
        story = [shown(0, user_id="quiet"), *tell(seed=72, people=8, events=240)]
        placed = await append(parts, story[:160], batch=7)
        await self.fold(parts)
        harmed = await harm(parts, without_spent)
        assert harmed
        before = len(await read(parts, Stream.CHANGES, Change))
        async with self.folding_anew(parts) as engine:
            adding = asyncio.create_task(append(parts, story[160:], batch=3))
            found = await asyncio.wait_for(engine.fold_anew(await everybody(parts), replay="7"), PATIENCE)
            placed += [(0, place, one) for place, one in enumerate(story[160:], 160)]
            await adding
            await asyncio.wait_for(engine.drain(), PATIENCE)  # type: ignore[attr-defined]
        assert await kept(parts, placed) == expected(placed)
        if self.keeps_what_was_stored:
            # By who holds them in the end: some may have been merged meanwhile.
            wanted = await holders(parts, harmed)
            mended = [one for one, what in found.items() if what is not None and "spent" in what.traits]
            assert await holders(parts, mended) == wanted
            told = (await read(parts, Stream.CHANGES, Change))[before:]
            # An event that came a moment later may tell it instead.
            spent = [one for one in told if (one.kind, one.name) == (TRAIT, "spent")]
            assert await holders(parts, [one.profile for one in spent]) >= wanted
            assert "replay:7" in {one.event for one in spent}

    async def test_who_moves_all_the_time_is_mended_too(self) -> None:
        parts = await self.open_parts(1)
        story = [shown(number, user_id="ada") for number in range(2000)]
        await append(parts, story[:50], batch=50)
        await self.fold(parts)
        harmed = await harm(parts, without_spent)
        sent = 50
        async with self.folding_anew(parts) as engine:
            mending = asyncio.create_task(engine.fold_anew(harmed, replay="1"))
            async with asyncio.timeout(PATIENCE):
                while not mending.done():
                    if sent < len(story):
                        await append(parts, story[sent : sent + 1], batch=1)
                        sent += 1
                    await parts.runtime.sleep(0.002)
            found = mending.result()
            await asyncio.wait_for(engine.drain(), PATIENCE)  # type: ignore[attr-defined]
        placed = [(0, place, one) for place, one in enumerate(story[:sent])]
        assert await kept(parts, placed) == expected(placed)
        if self.keeps_what_was_stored:
            assert [what.traits for what in found.values() if what is not None] == [("spent",)]

    async def test_nobody_enters_what_they_are_in(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=73, people=8, events=200), batch=20)
        await self.fold(parts)
        before = {one.id: one.audiences for one in await load(parts, placed)}
        assert any(one["big"].member for one in before.values() if "big" in one)
        await harm(parts, without_spent)
        async with self.folding_anew(parts) as engine:
            await asyncio.wait_for(engine.fold_anew(await everybody(parts), replay="1"), PATIENCE)
        assert {one.id: one.audiences for one in await load(parts, placed)} == before
        moved = [one for one in await read(parts, Stream.CHANGES, Change) if one.event == "replay:1"]
        assert [one for one in moved if one.kind in {ENTERED, LEFT}] == []

    async def test_whose_events_are_not_all_kept_is_left_alone(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=74, people=3, events=60), batch=20)
        await self.fold(parts)

        def more(profile: Profile) -> bool:
            profile.events += 1  # as if one of theirs had been let go
            return without_spent(profile)

        harmed = await harm(parts, more)
        async with self.folding_anew(parts) as engine:
            found = await asyncio.wait_for(engine.fold_anew(harmed, replay="1"), PATIENCE)
        if self.keeps_what_was_stored:
            assert found == dict.fromkeys(harmed)
            assert all(_SPENT not in one.traits for one in await load(parts, placed) if one.id in harmed)

    async def test_during_a_backfill_both_come_to_their_end(self) -> None:
        changing, parts = await self.changing(1)
        story = tell(seed=75, people=10, events=200)
        placed = await append(parts, story[:120], batch=7)
        await self.fold(parts)
        await harm(parts, without_spent)
        async with self.folding_anew(parts) as engine:
            changing.change(NEWEST)
            for at in range(120, 200, 20):
                placed += await append(parts, story[at : at + 20], batch=5)
                await asyncio.wait_for(engine.fold_anew(await everybody(parts), replay="1"), PATIENCE)
            await self.live(changing, parts)
            await asyncio.wait_for(engine.fold_anew(await everybody(parts), replay="2"), PATIENCE)
            await asyncio.wait_for(engine.drain(), PATIENCE)  # type: ignore[attr-defined]
        await self.as_from_the_start(parts, placed)

    async def test_during_an_unmerge_too(self) -> None:
        parts = await self.limitless()
        placed = await append(parts, ORDERS, batch=2)
        await self.fold(parts)
        await harm(parts, without_spent)
        await parts.store.ask_identity(asked(BOB, TABLET))
        async with self.folding_anew(parts) as engine:
            async with asyncio.timeout(PATIENCE):
                while (one := await parts.store.identity_request("r1")) is not None and one.outcome is None:
                    await engine.fold_anew(await everybody(parts), replay="1")
                    await parts.runtime.sleep(0.02)
            found = await asyncio.wait_for(engine.fold_anew(await everybody(parts), replay="2"), PATIENCE)
        assert set(found.values()) == {_NO_DIFFERENCE}
        await self.told_apart(parts, placed)

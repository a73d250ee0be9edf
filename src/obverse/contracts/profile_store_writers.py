"""What every `ProfileStore` must prove of its writers: all or nothing, and one of a name at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from obverse.contracts.profile_store_steps import (
    StoreQuestions,
    a_profile,
    a_rejected,
    an_event,
    done_by,
    found,
    latest,
    soon,
    up_to,
    write,
    writing,
)
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import Checkpoint, Fenced, ProfileStore, StoreWriter


def large(writer: StoreWriter, events: int = 3000, profiles: int = 300) -> Checkpoint:
    """Return a checkpoint that takes a while."""
    rows = [a_profile(f"p{number}", f"user_id:p{number}", big=1) for number in range(profiles)]
    stored = done_by("p0", *(an_event(f"m{number}") for number in range(events)))
    return Checkpoint(marks=up_to(events), profiles=rows, events=[writer.pack(stored)], rejected=[a_rejected(1)])


class WriterPromises(StoreQuestions):
    """Marks, turns, crashes."""

    async def test_marks_are_empty_before_the_first_checkpoint(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            assert not writer.marks

    async def test_marks_are_those_of_the_last_checkpoint(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            await writer.commit(Checkpoint(marks={Stream.EVENTS: {0: 5, 1: 7}, Stream.DECISIONS: {0: 2}}))
            await writer.commit(Checkpoint(marks={Stream.EVENTS: {1: 9}}))
            assert writer.marks == {Stream.EVENTS: {0: 5, 1: 9}, Stream.DECISIONS: {0: 2}}

        async with writing(store) as writer:
            assert writer.marks == {Stream.EVENTS: {0: 5, 1: 9}, Stream.DECISIONS: {0: 2}}

    async def test_writers_of_two_names_have_marks_of_their_own(self, store: ProfileStore) -> None:
        async with writing(store, "unify") as unify, writing(store, "keep_rejected") as keep:
            await unify.commit(Checkpoint(marks=up_to(5)))
            await keep.commit(Checkpoint(marks={Stream.REJECTED: {0: 3}}, rejected=[a_rejected(1)]))
            assert unify.marks == up_to(5)
            assert keep.marks == {Stream.REJECTED: {0: 3}}

        marks = (await store.overview()).marks
        assert marks == {"unify": up_to(5), "keep_rejected": {Stream.REJECTED: {0: 3}}}

    async def test_writers_of_two_names_do_not_disturb_each_other(self, store: ProfileStore) -> None:
        rows = [a_profile(f"p{number}") for number in range(200)]

        async def work(name: str) -> None:
            async with writing(store, name) as writer:
                for turn in range(3):
                    backwards = rows if name == "unify" else rows[::-1]
                    events = done_by("p1", an_event(f"{name} {turn}"))
                    await writer.commit(Checkpoint(marks=up_to(turn), profiles=backwards, events=[writer.pack(events)]))

        await soon(asyncio.gather(work("unify"), work("replay")))

        overview = await store.overview()
        assert (overview.profiles, overview.events) == (200, 6)

    async def test_a_writer_waits_for_the_former_one_of_its_name(self, store: ProfileStore) -> None:
        first = await store.open_writer("unify")
        second = asyncio.ensure_future(store.open_writer("unify"))
        await first.commit(Checkpoint(marks=up_to(1)))
        # In this time others are let in, one after another.
        for other in range(5):
            async with writing(store, f"other {other}"):
                await asyncio.sleep(0)
        assert not second.done()
        await first.commit(Checkpoint(marks=up_to(2)))
        await first.close()

        writer = await soon(second)
        assert writer.marks == up_to(2)
        await writer.close()

    async def test_who_is_cancelled_while_waiting_is_in_nobodys_way(self, store: ProfileStore) -> None:
        async with writing(store):
            waiting = asyncio.ensure_future(store.open_writer("unify"))
            await soon(store.overview())
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        await write(store, marks=up_to(1))

    async def test_after_a_crash_the_next_writer_goes_on_where_the_last_commit_ended(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", an_event("m1")), marks=up_to(1))
        writer = await store.open_writer("unify")
        await writer.commit(Checkpoint(marks=up_to(2), events=[writer.pack(done_by("ada", an_event("m2")))]))

        again = await self.reopen(store)

        async with writing(again) as next_writer:
            assert next_writer.marks == up_to(2)
        assert await found(again, "user_id:ada") == [b"state of ada"]
        assert await latest(again, "ada") == ["m2", "m1"]

    async def test_a_writer_that_was_replaced_writes_nothing(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada")])
        stale = await store.open_writer("unify")
        again = await self.reopen(store)
        async with writing(again) as writer:
            await writer.commit(Checkpoint(marks=up_to(5)))

            late = stale.pack(done_by("ada", an_event("late")))
            with pytest.raises((Fenced, Unreachable)):
                await soon(stale.commit(Checkpoint(marks=up_to(9), events=[late])))

        assert await latest(again, "ada") == []
        assert (await again.overview()).marks == {"unify": up_to(5)}

    async def test_a_crash_during_a_commit_leaves_all_of_it_or_nothing(self, store: ProfileStore) -> None:
        writer = await store.open_writer("unify")
        commit = asyncio.ensure_future(writer.commit(large(writer)))
        await asyncio.sleep(0)
        again = await self.reopen(store)
        with suppress(Fenced, Unreachable):
            await soon(commit)

        async with writing(again) as next_writer:
            await all_or_nothing(again, commit_ended_at=next_writer.marks.get(Stream.EVENTS, {}).get(0, 0))

    async def test_a_commit_that_is_cancelled_leaves_all_of_it_or_nothing(self, store: ProfileStore) -> None:
        for turns in (1, 3, 6, 12):
            writer = await soon(store.open_writer("unify"))
            commit = asyncio.ensure_future(writer.commit(large(writer)))
            for _ in range(turns):
                await asyncio.sleep(0)
            commit.cancel()
            with suppress(asyncio.CancelledError, Fenced, Unreachable):
                await soon(commit)
            await soon(writer.close())
            async with writing(store) as next_writer:
                ended_at = next_writer.marks.get(Stream.EVENTS, {}).get(0, 0)
            await all_or_nothing(store, commit_ended_at=ended_at)
            if ended_at:
                return

    async def test_a_reader_never_sees_part_of_a_commit(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            commit = asyncio.ensure_future(writer.commit(large(writer)))
            while not commit.done():
                await asyncio.sleep(0)
                overview = await store.overview()
                seen = (overview.profiles, overview.events, overview.rejected, overview.audiences.get("big", 0))
                assert seen in {(0, 0, 0, 0), (300, 3000, 1, 300)}
                assert bool(overview.marks.get("unify")) == bool(overview.events)
            await commit

        assert (await store.overview()).events == 3000

    async def test_a_large_commit_lets_others_have_their_turns(self, store: ProfileStore) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with writing(store) as writer:
            counting = asyncio.ensure_future(count())
            await writer.commit(large(writer, events=5000, profiles=1000))
            counting.cancel()
        assert turns >= 12, f"{turns} turns for 6,000 rows"

    async def test_a_closed_writer_writes_nothing(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            pass
        with pytest.raises((Fenced, Unreachable)):
            await soon(writer.commit(Checkpoint(marks=up_to(9))))
        assert not (await store.overview()).marks


async def all_or_nothing(store: ProfileStore, *, commit_ended_at: int) -> None:
    """See that a store holds all of `large`, or nothing, as its marks say."""
    overview = await store.overview()
    figures = (overview.profiles, overview.events, overview.rejected, overview.audiences.get("big", 0))
    assert figures == ((300, 3000, 1, 300) if commit_ended_at else (0, 0, 0, 0))
    assert len(await latest(store, "p0", limit=5000)) == (3000 if commit_ended_at else 0)
    assert len(await found(store, "user_id:p0", "user_id:p299")) == (2 if commit_ended_at else 0)

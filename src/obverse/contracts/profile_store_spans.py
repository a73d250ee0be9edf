"""What every `ProfileStore` must prove of the people of a part of the log."""

from __future__ import annotations

from obverse.contracts.profile_store_steps import StoreQuestions, a_profile, an_event, an_id, soon, write
from obverse.core.replays import Span
from obverse.ports.profile_store import ProfileStore, StoredEvent

NAMES = ("ada", "bob", "cleo", "dora")


class SpanPromises(StoreQuestions):
    """People are found by the places in the log that their events were folded from."""

    async def test_people_are_found_by_the_places_of_their_events(self, store: ProfileStore) -> None:
        places = {"ada": [(0, 0), (0, 3)], "bob": [(0, 1)], "cleo": [(1, 0)], "dora": [(1, 7)]}
        events = [
            StoredEvent(an_id(name), partition, offset, an_event(f"m-{partition}-{offset}"))
            for name, theirs in places.items()
            for partition, offset in theirs
        ]
        await write(store, profiles=[a_profile(name) for name in NAMES], events=events)

        async def found(**spans: tuple[int, int]) -> set[str]:
            named = {int(part[1:]): Span(*span) for part, span in spans.items()}
            ids = await soon(store.people_of(named, limit=10))
            assert list(ids) == sorted(ids)
            return {name for name in NAMES if an_id(name) in ids}

        assert await found(p0=(0, 1)) == {"ada"}
        assert await found(p0=(1, 3)) == {"bob"}
        assert await found(p0=(2, 99), p1=(0, 7)) == {"ada", "cleo"}
        assert await found(p0=(0, 99), p1=(0, 99)) == set(NAMES)
        assert await found(p0=(4, 99), p1=(7, 7), p9=(0, 99)) == set()
        assert await found() == set()

        await write(store, absorbed={an_id("bob"): an_id("cleo")})
        assert await found(p0=(1, 2)) == {"cleo"}
        assert list(await soon((await self.neighbour(store)).people_of({0: Span(0, 99)}, limit=10))) == []

    async def test_they_are_told_a_page_at_a_time(self, store: ProfileStore) -> None:
        events = [StoredEvent(an_id(name), 0, place, an_event(f"m{place}")) for place, name in enumerate(NAMES)]
        await write(store, profiles=[a_profile(name) for name in NAMES], events=events)
        after, found = None, list[bytes]()
        while page := await soon(store.people_of({0: Span(0, 9)}, limit=3, after=after)):
            found += page
            after = page[-1]
        assert found == sorted(an_id(name) for name in NAMES)

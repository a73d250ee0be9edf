"""What every `ProfileStore` must prove of backfills, and of the history that they are computed from."""

from __future__ import annotations

from obverse.contracts.profile_store_steps import StoreQuestions, a_profile, an_event, an_id, done_by, soon, write
from obverse.core.tracking_plans import NOTE
from obverse.ports.backfills import Backfill, Phase
from obverse.ports.profile_store import ProfileStore

Calls = list[tuple[str, str | None]]


class BackfillPromises(StoreQuestions):
    """One backfill is remembered; people's events are told in the order of the fold."""

    async def test_the_latest_backfill_is_remembered(self, store: ProfileStore) -> None:
        assert await soon(store.backfill()) is None
        first = Backfill(1, {0: 5, 12: 2**40}, names=("orders", "it's \u0153"))
        await soon(store.note_backfill(first))
        assert await soon(store.backfill()) == first
        for phase in Phase:
            await soon(store.note_backfill(Backfill(2, {}, phase)))
            assert await soon(store.backfill()) == Backfill(2, {}, phase)

        again = await self.reopen(store)
        assert await soon(again.backfill()) == Backfill(2, {}, Phase.DONE)

    async def test_another_workspace_has_its_own(self, store: ProfileStore) -> None:
        await soon(store.note_backfill(Backfill(1, {})))
        assert await soon((await self.neighbour(store)).backfill()) is None

    async def test_events_are_told_by_whose_they_are_now(self, store: ProfileStore) -> None:
        names = ("ada", "bob", "cleo")
        await write(
            store,
            profiles=[a_profile(name) for name in names],
            events=[
                one for place, name in enumerate(names) for one in done_by(name, an_event(f"m-{name}"), first=place)
            ],
        )
        await write(store, absorbed={an_id("bob"): an_id("ada")})

        bought: Calls = [("track", "Order Completed")]
        told = await soon(store.told_of([an_id("ada")], bought, limit=10))
        assert [(one.event.message_id, one.profile, one.offset) for one in told] == [
            ("m-ada", an_id("ada"), 0),
            ("m-bob", an_id("ada"), 1),
        ]
        assert [one.event.message_id for one in await soon(store.told_of([an_id("cleo")], bought, limit=10))] == [
            "m-cleo"
        ]
        assert list(await soon(store.told_of([an_id("dora")], bought, limit=10))) == []
        assert list(await soon(store.told_of([], bought, limit=10))) == []

    async def test_calls_are_told_apart(self, store: ProfileStore) -> None:
        events = [
            an_event("m1"),
            an_event("m2", name="Order Refunded"),
            an_event("m3", type="page", name="Order Completed"),
            an_event("m4", type="identify", name=None),
        ]
        await write(store, profiles=[a_profile("ada")], events=done_by("ada", *events))

        async def told(*calls: tuple[str, str | None]) -> list[str]:
            found = await soon(store.told_of([an_id("ada")], calls, limit=10))
            return [one.event.message_id for one in found]

        assert await told(("track", "Order Completed")) == ["m1"]
        assert await told(("track", None)) == ["m1", "m2"]
        assert await told(("identify", None), ("page", "Order Completed")) == ["m3", "m4"]
        assert await told(("page", "Other")) == []
        assert await told() == []

    async def test_events_are_told_a_page_at_a_time(self, store: ProfileStore) -> None:
        people = ("ada", "bob")
        events = [one for place in range(6) for one in done_by(people[place % 2], an_event(f"m{place}"), first=place)]
        await write(store, profiles=[a_profile(name) for name in people], events=events)
        after, found = 0, list[str]()
        while page := await soon(
            store.told_of([an_id(one) for one in people], [("track", None)], limit=4, after=after)
        ):
            found += [one.event.message_id for one in page]
            after = page[-1].id
        assert found == [f"m{place}" for place in range(6)]

    async def test_places_are_those_of_what_is_told(self, store: ProfileStore) -> None:
        changed = an_event("m3", extra=b'{"violations": 1, "%s": {"plan": "shop 1.0"}}' % NOTE.encode())
        events = [an_event("m1"), an_event("m2", name="Order Refunded"), changed, an_event("m4")]
        await write(store, profiles=[a_profile("ada"), a_profile("bob")], events=done_by("ada", *events, first=7))
        await write(store, events=done_by("bob", an_event("m5"), first=11), absorbed={an_id("bob"): an_id("ada")})
        ada: list[bytes] = [an_id("ada")]
        calls: Calls = [("track", "Order Completed")]
        told = await soon(store.told_of(ada, calls, limit=10))
        places = await soon(store.places_of(ada, calls, limit=10))

        assert [(one.id, one.profile, one.partition, one.offset) for one in places] == [
            (one.id, one.profile, one.partition, one.offset) for one in told
        ]
        assert [one.offset for one in places] == [7, 9, 10, 11]
        assert [one.event for one in places] == [None, told[1].event, None, None]
        assert await soon(store.places_of(ada, calls, limit=2, after=places[1].id)) == places[2:]
        assert list(await soon(store.places_of([], calls, limit=10))) == []

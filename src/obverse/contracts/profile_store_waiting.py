"""What every `ProfileStore` must prove of events that wait to be appended to the log."""

from __future__ import annotations

from obverse.contracts.profile_store_steps import NOON, StoreQuestions, an_event, soon
from obverse.core.events import Event
from obverse.ports.profile_store import ProfileStore


async def _waiting(store: ProfileStore, limit: int = 9) -> list[Event]:
    return [*await soon(store.waiting_events(limit=limit))]


class WaitingPromises(StoreQuestions):
    """Asked for once, given back as they were, settled for good."""

    async def test_what_is_asked_for_waits_as_it_was_given_the_first_first(self, store: ProfileStore) -> None:
        odd = an_event("b", properties=b'{ "a": 1e400000 }', extra=b"\xff", name="\x00 \U0001d4b3")
        first, last = an_event("c"), an_event("a")
        assert await _waiting(store) == []
        for one in (first, odd, last):
            assert await soon(store.ask_event(one)) is True

        assert await _waiting(store) == [first, odd, last]
        assert await _waiting(store, limit=2) == [first, odd]
        assert await _waiting(await self.reopen(store)) == [first, odd, last]

    async def test_of_one_message_id_the_first_is_asked_for_and_no_other_ever(self, store: ProfileStore) -> None:
        assert await soon(store.ask_event(an_event("a"))) is True
        assert await soon(store.ask_event(an_event("a", name="Other"))) is False
        assert await _waiting(store) == [an_event("a")]

        await soon(store.settle_event("a", at=NOON))
        assert await soon(store.ask_event(an_event("a"))) is False
        assert await _waiting(store) == []

    async def test_what_was_appended_waits_no_more(self, store: ProfileStore) -> None:
        for name in "abc":
            await soon(store.ask_event(an_event(name)))
        for _ in range(2):
            await soon(store.settle_event("b", at=NOON))
        await soon(store.settle_event("never asked for \0", at=NOON))

        assert await _waiting(store) == [an_event("a"), an_event("c")]

    async def test_nothing_of_it_is_of_another_workspace(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await soon(store.ask_event(an_event("a")))

        assert await _waiting(other) == []
        assert await soon(other.ask_event(an_event("a"))) is True
        await soon(other.settle_event("a", at=NOON))
        assert await _waiting(store) == [an_event("a")]

    async def test_many_are_asked_for_at_once_but_those_that_ever_were(self, store: ProfileStore) -> None:
        await soon(store.ask_events([]))
        await soon(store.ask_event(an_event("b", name="First")))
        await soon(store.ask_events([an_event("c"), an_event("b"), an_event("a"), an_event("c", name="Other")]))

        assert await _waiting(store) == [an_event("b", name="First"), an_event("c"), an_event("a")]

    async def test_what_was_appended_is_forgotten_by_its_source_and_time(self, store: ProfileStore) -> None:
        of_others = an_event("b", source="app")
        await soon(store.ask_events([an_event("a"), of_others, an_event("c"), an_event("d")]))
        for one, at in (("a", NOON), ("b", NOON), ("c", NOON + 1)):
            await soon(store.settle_event(one, at=at))
        await soon(store.forget_events(an_event("a").source, before=NOON + 1))

        assert await _waiting(store) == [an_event("d")]
        again = [await soon(store.ask_event(an_event(one))) for one in "abcd"]
        assert again == [True, False, False, False]

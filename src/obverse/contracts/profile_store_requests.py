"""What every `ProfileStore` must prove of what people ask of identity, and of what comes of it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from obverse.contracts.profile_store_steps import (
    NOON,
    StoreQuestions,
    a_profile,
    an_event,
    an_id,
    done_by,
    found,
    latest,
    write,
)
from obverse.ports.identity_requests import IdentityRequest, Outcome
from obverse.ports.profile_history import FOREVER
from obverse.ports.profile_store import ProfileStore


def a_request(name: str, **said: Any) -> IdentityRequest:
    """Return a request that nobody has looked at yet."""
    fields = {"one": "user_id:ada", "other": "email:\ufffd İ 👩@example.com", "by": "bob", "why": "odd: \u202e"} | said
    return IdentityRequest(id=name, kind="unmerge", asked_at=NOON, **fields)


class RequestPromises(StoreQuestions):
    """Requests wait until a checkpoint settles them; what was parted is kept apart."""

    async def test_a_request_waits_as_it_was_given_until_it_is_settled(self, store: ProfileStore) -> None:
        first, second = a_request("r1"), a_request("r2", one="user_id:bea")
        assert await store.ask_identity(second)
        assert await store.ask_identity(first)
        assert not await store.ask_identity(a_request("r1", one="user_id:other"))

        assert list(await store.waiting_identity(limit=10)) == [second, first]
        assert list(await store.waiting_identity(limit=1)) == [second]
        outcome = Outcome(done=True, detail="so")
        await write(store, settled={"r2": outcome, "unheard of": outcome})
        assert list(await store.waiting_identity(limit=10)) == [first]
        assert await store.identity_request("r1") == first
        assert await store.identity_request("r2") == replace(second, outcome=outcome)
        assert await store.identity_request("r3") is None

    async def test_requests_are_of_one_workspace(self, store: ProfileStore) -> None:
        await store.ask_identity(a_request("r1"))
        other = await self.neighbour(store)
        assert list(await other.waiting_identity(limit=10)) == []
        assert await other.ask_identity(a_request("r1"))
        await write(other, settled={"r1": Outcome(done=False, detail="no")})
        assert len(await store.waiting_identity(limit=10)) == 1

    async def test_what_was_merged_comes_back_with_its_events_and_identifiers(self, store: ProfileStore) -> None:
        theirs = done_by("bea", an_event("b1"), an_event("b2"))
        await write(store, profiles=[a_profile("ada"), a_profile("bea")], events=theirs)
        both = a_profile("ada", "user_id:ada", "user_id:bea", state=b"both")
        await write(store, profiles=[both], absorbed={an_id("bea"): an_id("ada")})
        told = [an_event("a1"), an_event("b3"), an_event("x1")]
        await write(store, profiles=[both], events=done_by("ada", *told, first=2))
        assert (await store.overview()).merges == 1
        kept = await store.past_events([an_id("ada")], until=FOREVER, limit=9)
        events = {one.event.message_id: one.id for one in kept}

        await write(
            store,
            profiles=[a_profile("ada", state=b"again"), a_profile("bea", state=b"back")],
            moved={events["b3"]: an_id("bea")},
        )

        assert await found(store, "user_id:bea") == [b"back"]
        assert await found(store, "user_id:ada", ids=[an_id("ada")]) == [b"again"]
        assert await latest(store, "bea") == ["b3", "b2", "b1"]
        assert await latest(store, "ada") == ["x1", "a1"]
        overview = await store.overview()
        assert (overview.profiles, overview.merges, overview.events) == (2, 0, 5)

    async def test_what_an_unmerge_leaves_to_nobody_is_nobodys(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", "user_id:ada", "anonymous_id:a-1")])
        await write(store, profiles=[a_profile("ada")], nobodys=["anonymous_id:a-1", "anonymous_id:unknown"])
        assert await found(store, "anonymous_id:a-1") == []
        assert await found(store, "user_id:ada") == [b"state of ada"]

    async def test_the_absorbed_of_who_comes_back_go_with_them(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea"), a_profile("cleo")])
        await write(store, profiles=[a_profile("bea")], absorbed={an_id("cleo"): an_id("bea")})
        await write(store, profiles=[a_profile("ada")], absorbed={an_id("bea"): an_id("ada")})
        back = a_profile("bea", "user_id:bea", "user_id:cleo", state=b"back")
        await write(store, profiles=[back], absorbed={an_id("cleo"): an_id("bea")})
        assert await found(store, ids=[an_id("cleo")]) == [b"back"]
        assert await found(store, ids=[an_id("bea")]) == [b"back"]

"""What every `ProfileStore` must prove of merging: what was merged away is found under its keeper."""

from __future__ import annotations

import pytest

from obverse.contracts.profile_store_steps import (
    NOON,
    StoreQuestions,
    a_profile,
    an_event,
    an_id,
    deciding,
    done_by,
    found,
    latest,
    up_to,
    write,
    writing,
)
from obverse.core.identity import SetAside
from obverse.ports.profile_store import Checkpoint, ProfileStore

ADA, BEA, CLEO = an_id("ada"), an_id("bea"), an_id("cleo")


class MergePromises(StoreQuestions):
    """Keepers, chains, events."""

    async def test_the_absorbed_is_found_under_its_keeper(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")])
        await write(store, profiles=[a_profile("ada", state=b"both")], absorbed={BEA: ADA})

        assert await found(store, ids=[BEA]) == [b"both"]
        assert await found(store, "user_id:bea") == [b"both"]
        assert await found(store, "user_id:bea", "user_id:ada", ids=[ADA, BEA]) == [b"both"]

    async def test_the_absorbed_keeps_a_row_without_state(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", vip=1), a_profile("bea", vip=1, new=2)])
        await write(store, absorbed={BEA: ADA})

        kept = await self.kept(store, BEA)
        assert kept is not None
        assert kept.merged_into == ADA
        assert kept.state is None
        assert not kept.computed_traits
        assert not kept.attributes
        assert not kept.audiences
        keeper = await self.kept(store, ADA)
        assert keeper is not None
        assert keeper.merged_into is None

    async def test_everybody_can_be_visited_but_those_merged_away(self, store: ProfileStore) -> None:
        names = [f"p{number}" for number in range(7)]
        await write(store, profiles=[a_profile(name) for name in names])
        await write(store, profiles=[a_profile("p0")], absorbed={an_id("p3"): an_id("p0")})

        visited: list[bytes] = []
        while page := await store.people(limit=4, after=visited[-1] if visited else None):
            visited += page

        assert visited == sorted(an_id(name) for name in names if name != "p3")

    async def test_figures_count_people_and_merges(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile(name, vip=1) for name in ("ada", "bea", "cleo")])
        await write(store, absorbed={BEA: ADA})
        await write(store, profiles=[a_profile("ada", vip=1)], absorbed={BEA: ADA})

        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (2, 1)
        assert dict(overview.audiences) == {"vip": 2}

    async def test_events_of_the_absorbed_belong_to_the_keeper(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[a_profile("ada"), a_profile("bea")],
            events=[*done_by("ada", an_event("a1")), *done_by("bea", an_event("b1")), *done_by("ada", an_event("a2"))],
        )
        await write(store, absorbed={BEA: ADA}, events=done_by("bea", an_event("b2")))

        assert await latest(store, "ada") == ["b2", "a2", "b1", "a1"]
        assert await latest(store, "bea") == ["b2", "a2", "b1", "a1"]
        assert await latest(store, "ada", limit=2) == ["b2", "a2"]

    async def test_a_profile_made_and_absorbed_between_two_checkpoints(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada")], absorbed={BEA: ADA}, events=done_by("bea", an_event("b1")))

        assert await latest(store, "ada") == ["b1"]
        assert await found(store, ids=[BEA]) == [b"state of ada"]
        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (1, 1)

    async def test_a_chain_within_one_checkpoint(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")])
        await write(
            store,
            profiles=[a_profile("cleo")],
            absorbed={ADA: BEA, BEA: CLEO},
            events=done_by("ada", an_event("a1")),
        )

        assert await found(store, "user_id:ada", "user_id:bea", ids=[ADA, BEA]) == [b"state of cleo"]
        assert await latest(store, "cleo") == ["a1"]
        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (1, 2)

    async def test_a_chain_over_checkpoints(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")], events=done_by("ada", an_event("a1")))
        await write(store, absorbed={ADA: BEA})
        await write(store, profiles=[a_profile("cleo")], absorbed={BEA: CLEO})

        for absorbed in (ADA, BEA):
            kept = await self.kept(store, absorbed)
            assert kept is not None
            assert kept.merged_into == CLEO
        assert await found(store, "user_id:ada", "user_id:bea", ids=[ADA, BEA]) == [b"state of cleo"]
        assert await latest(store, "ada") == ["a1"]
        assert (await store.overview()).merges == 2

    async def test_merges_that_are_told_again_change_nothing(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")])
        await write(store, absorbed={ADA: BEA})
        await write(store, profiles=[a_profile("cleo")], absorbed={ADA: BEA, BEA: CLEO})
        await write(store, absorbed={ADA: BEA, BEA: CLEO})

        kept = await self.kept(store, ADA)
        assert kept is not None
        assert kept.merged_into == CLEO
        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (1, 2)

    async def test_a_keeper_that_was_absorbed_before_leads_on(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("bea"), a_profile("cleo")])
        await write(store, absorbed={BEA: CLEO})
        await write(store, absorbed={ADA: BEA}, events=done_by("ada", an_event("a1")))

        assert await found(store, ids=[ADA]) == [b"state of cleo"]
        assert await latest(store, "cleo") == ["a1"]

    async def test_what_is_absorbed_is_no_person_though_its_row_is_given(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea", "email:bea@example.com")], absorbed={BEA: ADA})

        assert await found(store, "email:bea@example.com", ids=[BEA]) == [b"state of ada"]
        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (1, 1)

    async def test_what_is_given_again_is_a_person_again(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")], absorbed={BEA: ADA})
        await write(store, profiles=[a_profile("bea", state=b"herself")], events=done_by("bea", an_event("b1")))

        assert await found(store, "user_id:bea", ids=[BEA]) == [b"herself"]
        assert await latest(store, "ada") == []
        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (2, 0)

    async def test_many_merges_at_once(self, store: ProfileStore) -> None:
        rows = [a_profile(f"p{number}") for number in range(400)]
        await write(store, profiles=rows)
        await write(store, absorbed={row.id: rows[number // 2].id for number, row in enumerate(rows) if number > 0})

        assert await found(store, *(f"user_id:p{number}" for number in range(400))) == [b"state of p0"]
        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (1, 399)

    async def test_a_circle_is_refused_whole(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")])
        async with writing(store) as writer:
            with pytest.raises(ValueError, match="absorbed by itself"):
                await writer.commit(Checkpoint(marks=up_to(7), absorbed={ADA: BEA, BEA: ADA}))

        overview = await store.overview()
        assert (overview.profiles, overview.merges) == (2, 0)
        assert overview.marks == {"unify": up_to(1)}

    # What is nobody's.

    async def test_what_is_set_aside_is_listed_and_nobodys(self, store: ProfileStore) -> None:
        first = SetAside("email:test@example.com", 11, "m1", NOON)
        await write(store, profiles=[a_profile("ada"), a_profile("bea", "user_id:bea", first.identifier)])
        await write(store, decisions=[deciding(0, first)])

        assert await found(store, first.identifier) == []
        assert await found(store, "user_id:bea", "user_id:ada") == [b"state of ada", b"state of bea"]
        # Claimed and set aside in one checkpoint; and said again, as after a crash.
        odd = SetAside("anonymous_id:\ufffe 👩‍👩‍👧 'x' \U0010ffff", 12, "m2", NOON + 1)
        both = [deciding(1, odd), deciding(2, first, odd)]
        await write(store, profiles=[a_profile("cleo", "user_id:cleo", odd.identifier)], decisions=both)
        assert await found(store, odd.identifier) == []
        assert list(await store.set_aside()) == [odd, first]
        assert (await store.owners("unify")).set_aside == 2

    async def test_nothing_is_set_aside_at_first_or_of_another_workspace(self, store: ProfileStore) -> None:
        assert list(await store.set_aside()) == []
        await write(
            store, profiles=[a_profile("ada")], decisions=[deciding(0, SetAside("user_id:ada", 11, "m1", NOON))]
        )
        other = await self.neighbour(store)
        await write(other, profiles=[a_profile("bea", "user_id:ada")])
        assert list(await other.set_aside()) == []
        assert await found(other, "user_id:ada") == [b"state of bea"]
        assert len(await store.set_aside()) == 1

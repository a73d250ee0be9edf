"""What every `ProfileStore` must prove of the past that it keeps."""

from __future__ import annotations

import pytest

from obverse.contracts.profile_store_steps import NOON, StoreQuestions, an_id, soon, up_to, write, writing
from obverse.core.crdt.clock import Stamp
from obverse.core.identity import Decision, Edge
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileStore


def decided(offset: int, name: str, *absorbed: str, kind: str = "") -> KeptDecision:
    """Return a decision on the profile of this name, at this place of the log."""
    decision = Decision(
        kind=kind or ("merge" if absorbed else "create"),
        profile=an_id(name),
        absorbed=tuple(map(an_id, absorbed)),
        identifiers=(f"user_id:{name}", "anonymous_id:\ufffd İ 👩"),
        edges=(Edge("anonymous_id:a", f"user_id:{name}", f"m{offset}", "seen_together", NOON),),
        event=f"m{offset}",
        stamp=Stamp(NOON + offset, "shop", f"m{offset}"),
        received_at=NOON + offset,
    )
    return KeptDecision(offset, decision)


async def offsets(store: ProfileStore, name: str) -> list[int]:
    """Return the places of the decisions that concern a profile, in the order given."""
    return [one.offset for one in await soon(store.decisions_of(an_id(name)))]


class HistoryPromises(StoreQuestions):
    """Decisions of identity."""

    async def test_of_nobody_nothing_was_decided(self, store: ProfileStore) -> None:
        assert await soon(store.decided()) == 0
        assert list(await soon(store.decisions_of(an_id("ada")))) == []

    async def test_decisions_come_back_as_they_were_in_the_order_of_the_log(self, store: ProfileStore) -> None:
        first, second, third = decided(0, "ada"), decided(1, "ada", kind="link"), decided(2, "ada", kind="refuse")
        await write(store, decisions=[first, second])
        await write(store, decisions=[decided(3, "bea"), third])

        assert list(await soon(store.decisions_of(an_id("ada")))) == [first, second, third]
        assert await soon(store.decided()) == 4

    async def test_merges_lead_to_the_keeper_and_to_all_that_it_absorbed(self, store: ProfileStore) -> None:
        names = ["ada", "bea", "cleo", "dora", "eve", "fay"]
        made = [decided(place, name) for place, name in enumerate(names)]
        await write(store, decisions=made)
        # dora became part of cleo, cleo and bea of ada; eve and fay have nothing to do with them.
        merged = [decided(6, "cleo", "dora"), decided(7, "ada", "bea", "cleo"), decided(8, "eve", "fay")]
        await write(store, decisions=merged)
        await write(store, decisions=[decided(9, "dora", kind="link")])

        for name in ("ada", "bea", "cleo", "dora"):
            assert await offsets(store, name) == [0, 1, 2, 3, 6, 7, 9]
        for name in ("eve", "fay"):
            assert await offsets(store, name) == [4, 5, 8]

    async def test_many_decisions_of_many_profiles(self, store: ProfileStore) -> None:
        made = [decided(place, f"p{place}") for place in range(1500)]
        merged = [decided(1500 + place, f"p{place}", f"p{place + 1}") for place in range(400)]
        await write(store, decisions=[*made, *merged])

        assert await offsets(store, "p400") == [*range(401), *range(1500, 1900)]
        assert await offsets(store, "p401") == [401]
        assert await soon(store.decided()) == 1900

    async def test_decisions_are_written_with_their_checkpoint_or_not_at_all(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            await soon(writer.commit(Checkpoint(marks=up_to(1), decisions=[decided(0, "ada")])))
            circle = {an_id("ada"): an_id("bea"), an_id("bea"): an_id("ada")}
            with pytest.raises(ValueError, match="absorbed by itself"):
                await soon(writer.commit(Checkpoint(marks=up_to(2), decisions=[decided(1, "ada")], absorbed=circle)))

        assert await offsets(store, "ada") == [0]

    async def test_decisions_outlive_the_process(self, store: ProfileStore) -> None:
        await write(store, decisions=[decided(0, "ada")])

        assert await offsets(await self.reopen(store), "ada") == [0]

    async def test_nobody_sees_the_decisions_of_another_workspace(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await write(store, decisions=[decided(0, "ada"), decided(1, "ada", "bea")])
        await write(other, decisions=[decided(0, "bea")])

        assert await offsets(other, "ada") == []
        assert await offsets(other, "bea") == [0]
        assert await offsets(store, "bea") == [0, 1]
        assert await soon(other.decided()) == 1

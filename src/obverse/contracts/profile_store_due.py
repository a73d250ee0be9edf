"""What every `ProfileStore` must prove of profiles that time alone may change."""

from __future__ import annotations

from msgspec.structs import replace

from obverse.contracts.profile_store_steps import NOON, StoreQuestions, a_profile, an_id, soon, writing
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow, ProfileStore


def _at(name: str, due_at: int | None) -> ProfileRow:
    return replace(a_profile(name), due_at=due_at)


async def _write(store: ProfileStore, *rows: ProfileRow, absorbed: dict[bytes, bytes] | None = None) -> None:
    async with writing(store) as writer:
        await soon(writer.commit(Checkpoint(marks={Stream.EVENTS: {}}, profiles=rows, absorbed=absorbed or {})))


async def _due(store: ProfileStore, before: int, limit: int = 9) -> list[tuple[int, bytes]]:
    return [*await soon(store.due(before, limit=limit))]


class DuePromises(StoreQuestions):
    """Whose instant has come is found, as the last checkpoint told it, in pages, the earliest first."""

    async def test_whose_instant_has_come_is_found_the_earliest_first(self, store: ProfileStore) -> None:
        assert await _due(store, NOON) == []
        await _write(store, _at("ada", NOON), _at("bob", NOON - 5), _at("cy", NOON + 1), _at("dan", None))

        assert await _due(store, NOON) == [(NOON - 5, an_id("bob")), (NOON, an_id("ada"))]
        assert await _due(store, NOON - 6) == []
        assert await _due(await self.reopen(store), NOON + 1) == [
            (NOON - 5, an_id("bob")),
            (NOON, an_id("ada")),
            (NOON + 1, an_id("cy")),
        ]

    async def test_pages_follow_each_other_also_among_those_of_one_instant(self, store: ProfileStore) -> None:
        await _write(store, *(_at(f"p{number}", NOON + number % 2) for number in range(7)))
        whole = await _due(store, NOON + 1)
        found: list[tuple[int, bytes]] = []
        while page := await soon(store.due(NOON + 1, limit=2, after=found[-1] if found else None)):
            found += page

        assert found == whole
        assert whole == sorted(whole)
        assert len(whole) == 7

    async def test_what_a_later_checkpoint_tells_counts(self, store: ProfileStore) -> None:
        await _write(store, _at("ada", NOON), _at("bob", NOON))
        await _write(store, replace(_at("ada", NOON + 9), known=None), replace(_at("bob", None), known=None))

        assert await _due(store, NOON + 5) == []
        assert await _due(store, NOON + 9) == [(NOON + 9, an_id("ada"))]

    async def test_what_was_merged_away_is_due_no_more(self, store: ProfileStore) -> None:
        await _write(store, _at("ada", NOON), _at("bob", NOON))
        await _write(store, _at("ada", NOON), absorbed={an_id("bob"): an_id("ada")})

        assert await _due(store, NOON) == [(NOON, an_id("ada"))]

    async def test_nobody_of_another_workspace_is_found(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await _write(store, _at("ada", NOON))

        assert await _due(other, NOON) == []

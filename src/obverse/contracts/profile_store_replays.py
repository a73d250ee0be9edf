"""What every `ProfileStore` must prove of rejected events that are looked for and sent again."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from obverse.contracts.profile_store_steps import NOON, StoreQuestions, a_rejected, soon, write
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import ProfileStore, RejectedCount, RejectedFilter, ReplayState

OPEN, WAITING, REPLAYED = ReplayState.OPEN, ReplayState.WAITING, ReplayState.REPLAYED


async def _three(store: ProfileStore) -> list[int]:
    """Write three rejected events, the second of another source and code, and return their ids, the earliest first."""
    one, two, three = (a_rejected(number) for number in range(3))
    await write(store, rejected=[one, structs.replace(two, source="app", code="invalid_json", field=None), three])
    return [kept.id for kept in await soon(store.rejected(limit=9))][::-1]


async def _ids(store: ProfileStore, **wanted: object) -> list[int]:
    return [one.id for one in await soon(store.rejected(RejectedFilter(**wanted), limit=9))]  # type: ignore[arg-type]  # as asked for


class ReplayPromises(StoreQuestions):
    """Filters, counts, and the way of one that is sent again."""

    async def test_rejected_events_are_found_by_what_they_are(self, store: ProfileStore) -> None:
        one, two, three = await _three(store)

        assert await _ids(store) == [three, two, one]
        assert await _ids(store, source="app") == [two]
        assert await _ids(store, code="missing_id") == [three, one]
        assert await _ids(store, source="app", code="missing_id") == []
        assert await _ids(store, ids=[one, two, 2**70, -1]) == [two, one]
        assert await _ids(store, ids=[]) == []
        assert await _ids(store, state=WAITING) == []
        assert await _ids(store, source="\0a\ud83d") == []

    async def test_rejected_events_are_found_by_what_can_be_read_of_them(self, store: ProfileStore) -> None:
        bodies = [
            rb'{"type": "track", "event": "Bought", "userId": 7, "anonymousId": "a", "properties": {"nul": "\u0000"}}',
            rb'{"type": "track", "event": "Sold", "userId": {}, "anonymousId": "a", "properties": 5}',
            rb'{"type": "track", "userId": 7, "anonymousId": "b", "timestamp": "never", "odd": "\u0000"}',
            rb'{"type": "track", "event": "Sold", "userId": "7',
        ]
        await write(store, rejected=[structs.replace(a_rejected(0), body=body) for body in bodies])
        one, two, three, four = [kept.id for kept in await soon(store.rejected(limit=9))][::-1]

        assert await _ids(store, user="7") == [three, one]
        assert await _ids(store, user="a") == [two, one]
        assert await _ids(store, event="Sold") == [two]
        assert await _ids(store, event="track") == [four, three]
        assert await _ids(store, event="track", user="b", code="missing_id") == [three]
        assert await _ids(store, event="Sold", user="7") == []
        assert await soon(store.ask_replay(RejectedFilter(user="b"))) == [three]

    async def test_they_are_counted_by_source_code_and_state(self, store: ProfileStore) -> None:
        assert await soon(store.rejected_counts()) == []
        one, _, _ = await _three(store)
        await soon(store.ask_replay(RejectedFilter(ids=[one])))

        assert list(await soon(store.rejected_counts())) == [
            RejectedCount("app", "invalid_json", OPEN, 1),
            RejectedCount("shop", "missing_id", OPEN, 1),
            RejectedCount("shop", "missing_id", WAITING, 1),
        ]

    async def test_what_is_asked_for_waits_the_earliest_first(self, store: ProfileStore) -> None:
        one, _, three = await _three(store)

        assert sorted(await soon(store.ask_replay(RejectedFilter(source="shop")))) == [one, three]
        assert await soon(store.ask_replay(RejectedFilter(source="shop"))) == []
        waiting = await soon(store.waiting_replays(limit=9))
        assert [(kept.id, kept.state, kept.correction) for kept in waiting] == [
            (one, WAITING, None),
            (three, WAITING, None),
        ]
        assert [kept.id for kept in await soon(store.waiting_replays(limit=1))] == [one]

    async def test_one_that_was_accepted_is_settled_for_good(self, store: ProfileStore) -> None:
        one, _, _ = await _three(store)
        await soon(store.ask_replay(RejectedFilter(ids=[one]), correction=b'{"a": "\\u0000 \xff"}'))
        await soon(store.settle_replay(one, at=NOON))

        (kept,) = await soon(store.rejected(RejectedFilter(ids=[one]), limit=1))
        assert kept.event == a_rejected(0)
        assert (kept.state, kept.settled_at, kept.correction) == (REPLAYED, NOON, b'{"a": "\\u0000 \xff"}')
        assert len(await soon(store.ask_replay(RejectedFilter()))) == 2

    async def test_one_that_was_rejected_again_is_open_with_the_new_reason(self, store: ProfileStore) -> None:
        one, _, _ = await _three(store)
        again = structs.replace(a_rejected(0), code="other", reason="still not \0", field=None, body=b"other")
        await soon(store.ask_replay(RejectedFilter(ids=[one])))
        await soon(store.settle_replay(one, at=NOON, again=again))

        (kept,) = await soon(store.rejected(RejectedFilter(ids=[one]), limit=1))
        assert (kept.event.code, kept.event.field, kept.state, kept.settled_at) == ("other", None, OPEN, NOON)
        assert kept.event.reason.startswith("still not ")
        assert kept.event.body == a_rejected(0).body
        assert await soon(store.ask_replay(RejectedFilter(ids=[one]))) == [one]

    async def test_what_does_not_wait_is_not_settled(self, store: ProfileStore) -> None:
        one, _, _ = await _three(store)
        await soon(store.settle_replay(one, at=NOON))

        assert await _ids(store, state=REPLAYED) == []

    async def test_nobody_else_is_asked_to_send_again(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await _three(store)

        assert await soon(other.ask_replay(RejectedFilter())) == []
        assert await soon(other.rejected_counts()) == []
        assert await soon(other.waiting_replays(limit=9)) == []

    # Whose turn it is.

    async def test_one_of_several_sends_again(self, store: ProfileStore) -> None:
        first = await soon(store.open_replay_turn())
        second = asyncio.ensure_future(store.open_replay_turn())
        for _ in range(5):
            await soon(first.check())
            await soon(store.overview())
        assert not second.done()
        await soon(first.close())
        following = await soon(second)
        await soon(following.check())
        await soon(following.close())

    async def test_whoever_dies_leaves_its_turn_to_the_next(self, store: ProfileStore) -> None:
        first = await soon(store.open_replay_turn())
        again = await self.reopen(store)
        following = await soon(again.open_replay_turn())
        with pytest.raises(Unreachable):
            await soon(first.check())
        await soon(following.check())
        await soon(following.close())

    async def test_turns_of_two_workspaces_are_apart(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        turns = [await soon(one.open_replay_turn()) for one in (store, other)]
        for turn in turns:
            await soon(turn.check())
            await soon(turn.close())

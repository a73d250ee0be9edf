"""Routes of proposals: looked through, accepted and rejected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api_steps import build_api, is_problem
from asgi import Answer, App, ask
from matching_steps import ADA, BOB, Queue
from obverse.adapters.memory.merge_requests import Asked
from obverse.adapters.runtime.system import open_runtime
from obverse.core.identity import id_name, id_text
from obverse.core.matching import State
from obverse.flows.decide import Decide
from obverse.ports.outcomes import Unreachable
from reading import Faulty, Shop, open_shop

PATH = "/v1/proposals"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = await open_shop()
    yield shop
    await shop.close()


@pytest.fixture
async def queue(shop: Shop) -> Queue:
    """Two pairs: Ada's, of whom all is the same, and Bob's, who has another phone and birth date."""
    queue = Queue(shop)
    for user, person in (
        ("1", ADA),
        ("2", ADA),
        ("3", BOB),
        ("4", BOB | {"phone": "+44 20 7000 0009", "birthday": "1990-02-28"}),
    ):
        await queue.tell(user, **person)
    await queue.match()
    return queue


def api_of(queue: Queue, merges: Any = None, proposals: Any = None) -> App:
    decide = Decide(
        proposals or queue.proposals,
        queue.shop.faulty_store,
        merges or queue.merges,
        lambda: queue.definitions,
        open_runtime(),
    )
    return build_api(queue.shop, decide=decide)


@pytest.fixture
def api(queue: Queue) -> App:
    return api_of(queue)


async def post(api: App, path: str) -> Answer:
    return await ask(api, f"{PATH}/{path}", method="POST")


async def listed(api: App, query: str = "") -> list[Any]:
    answer = await ask(api, f"{PATH}?{query}")
    assert answer.status == 200
    found: list[Any] = answer.json["proposals"]
    return found


async def test_both_people_stand_side_by_side_with_the_reasons(api: App, queue: Queue) -> None:
    first = (await listed(api))[0]

    one, other = sorted([await queue.id_of("1"), await queue.id_of("2")])
    assert (first["one"]["id"], first["other"]["id"]) == (id_text(one), id_text(other))
    assert (first["one"]["name"], first["tier"], first["state"]) == ("Ada Lovelace", "exact", "open")
    assert first["probability"] == 1
    assert first["reasons"] == ["same first name", "same surname", "same birth date", "same phone"]
    assert first["compared"] == [
        {"field": "given_name", "one": "ada", "other": "ada"},
        {"field": "family_name", "one": "lovelace", "other": "lovelace"},
        {"field": "birth_date", "one": "18151210", "other": "18151210"},
        {"field": "phone", "one": "442070000001", "other": "442070000001"},
    ]
    assert (first["decided_by"], first["decided_at"]) == (None, None)


async def test_they_are_paged_and_filtered(api: App) -> None:
    page = (await ask(api, f"{PATH}?limit=1")).json
    rest = (await ask(api, f"{PATH}?limit=1&after={page['next']}")).json
    assert [one["tier"] for one in (*page["proposals"], *rest["proposals"])] == ["exact", "loose"]
    assert rest["next"] is None

    assert [one["tier"] for one in await listed(api, "tier=loose")] == ["loose"]
    assert await listed(api, "tier=strict") == []
    assert len(await listed(api, "state=open")) == 2
    assert await listed(api, "state=rejected&tier=exact") == []
    assert (await ask(api, f"{PATH}/counts")).json == {
        "counts": [
            {"tier": "exact", "state": "open", "count": 1},
            {"tier": "loose", "state": "open", "count": 1},
        ]
    }


async def test_accepting_asks_for_the_merge(api: App, queue: Queue) -> None:
    first = (await listed(api))[0]

    answer = await post(api, f"{first['id']}/accept")

    assert (answer.status, answer.json["state"], answer.json["decided_by"]) == (200, "accepted", "api key")
    assert answer.json["decided_at"] is not None
    one, other = sorted([await queue.id_of("1"), await queue.id_of("2")])
    why = "same first name; same surname; same birth date; same phone"
    assert queue.merges.asked == [Asked(id_name(one), id_name(other), "api key", why)]


async def test_why_an_accepted_pair_stayed_two_is_told(api: App, queue: Queue) -> None:
    first = (await listed(api))[0]
    accepted = await post(api, f"{first['id']}/accept")
    assert accepted.json["refused"] is None

    (asked,) = queue.merges.asked
    queue.merges.refused[asked] = "a rule keeps them apart"
    (told,) = await listed(api, "state=accepted")
    assert (told["state"], told["refused"]) == ("accepted", "a rule keeps them apart")

    await queue.become_one("1", "2")
    (told,) = await listed(api, "state=accepted")
    assert told["refused"] is None


async def test_rejecting_asks_for_nothing(api: App, queue: Queue) -> None:
    first = (await listed(api))[0]

    answer = await post(api, f"{first['id']}/reject")

    assert (answer.status, answer.json["state"]) == (200, "rejected")
    assert queue.merges.asked == []
    assert (await queue.match()).open == 1  # Bob's


@pytest.mark.parametrize("again", ["accept", "reject"])
async def test_a_decision_stands(api: App, queue: Queue, again: str) -> None:
    first = (await listed(api))[0]
    await post(api, f"{first['id']}/reject")

    answer = await post(api, f"{first['id']}/{again}")

    assert is_problem(answer, 409, "already-decided")
    assert "is rejected" in answer.json["detail"]
    assert queue.merges.asked == []


async def test_two_who_have_become_one_are_not_merged_again(api: App, queue: Queue) -> None:
    first = (await listed(api))[0]
    await queue.become_one("1", "2")

    answer = await post(api, f"{first['id']}/accept")

    assert is_problem(answer, 409, "already-decided")
    assert "have become one" in answer.json["detail"]
    assert queue.merges.asked == []
    shown = (await listed(api, "state=closed"))[0]
    assert shown["id"] == first["id"]
    assert shown["one"]["id"] == shown["other"]["id"]


@pytest.mark.parametrize("verdict", ["accept", "reject"])
@pytest.mark.parametrize(
    ("id_", "status", "kind"),
    [
        ("99", 404, "unknown-proposal"),
        ("one", 400, "invalid-id"),
        ("-1", 400, "invalid-id"),
        ("9" * 30, 400, "invalid-id"),
    ],
)
async def test_an_id_that_names_none_is_told(api: App, verdict: str, id_: str, status: int, kind: str) -> None:
    assert is_problem(await post(api, f"{id_}/{verdict}"), status, kind)


@pytest.mark.parametrize(
    "query",
    [
        "tier=sure",
        "state=done",
        "limit=0",
        "limit=101",
        "after=",
        "after=0.5",
        "after=x-1",
        "after=0.5-x",
        "after=nan-1",
        "after=inf-1",
    ],
)
async def test_a_bad_parameter_is_told(api: App, query: str) -> None:
    assert is_problem(await ask(api, f"{PATH}?{query}"), 400, "invalid-parameter")


async def test_a_get_decides_nothing(api: App) -> None:
    first = (await listed(api))[0]
    assert is_problem(await ask(api, f"{PATH}/{first['id']}/accept"), 405, "method-not-allowed")


async def test_where_merges_cannot_be_asked_for_nothing_is_decided(queue: Queue) -> None:
    merges = Faulty(queue.merges)
    merges.failure = Unreachable("the database is away")
    api = api_of(queue, merges=merges)
    first = (await listed(api))[0]

    assert is_problem(await post(api, f"{first['id']}/accept"), 503, "unavailable")
    assert [one.state for one in await queue.every()] == [State.OPEN, State.OPEN]


async def test_while_the_store_is_away_that_is_told(queue: Queue) -> None:
    faulty = Faulty(queue.proposals)
    faulty.failure = Unreachable("the database is away")
    api = api_of(queue, proposals=faulty)

    assert is_problem(await ask(api, PATH), 503, "unavailable")
    assert is_problem(await ask(api, f"{PATH}/counts"), 503, "unavailable")
    assert is_problem(await post(api, "1/accept"), 503, "unavailable")
    assert is_problem(await post(api, "1/reject"), 503, "unavailable")

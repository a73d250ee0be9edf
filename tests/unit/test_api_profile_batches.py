"""Many profiles at once: each found or not by itself, in the order asked, at one look."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import Answer, App, ask
from obverse.core.identity import id_text
from obverse.ports.outcomes import Unreachable
from reading import Shop, group_call, identify, track

PATH = "/v1/profiles/read"
PARTS = ["traits", "audiences", "attributes", "identifiers", "groups"]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        await opened.fold(
            group_call(3, "acme", user_id="ada"), identify(4, '{"plan": "pro", "score": 2.50}', user_id="bea")
        )
        await opened.checkpoint()
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def post(api: App, body: Any) -> Answer:
    return await ask(api, PATH, method="POST", body=json.dumps(body).encode())


async def read(api: App, *identifiers: str, **options: Any) -> list[Any]:
    answer = await post(api, {"identifiers": identifiers, **options})
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json["profiles"]
    return found


async def test_each_is_what_it_is_alone(api: App) -> None:
    found = await read(api, "user_id:bea", "email:ADA@example.com", "anonymous_id:a-1")

    assert [one["identifier"] for one in found] == ["user_id:bea", "email:ADA@example.com", "anonymous_id:a-1"]
    for one, address in zip(found, ["user_id:bea", "user_id:ada", "user_id:ada"], strict=True):
        alone = (await ask(api, f"/v1/profiles/{address}")).json
        assert one["profile"] == {name: alone[name] for name in ("id", "changed_at", *PARTS)}
        assert (one["found"], one["read_from"], one["problem"]) == (True, "cache", None)
    answer = await post(api, {"identifiers": ["user_id:bea"]})
    assert b'"value":2.50' in answer.body


@pytest.mark.parametrize("part", PARTS)
async def test_only_the_parts_that_are_asked_for_are_told(api: App, part: str) -> None:
    (one,) = await read(api, "user_id:ada", include=[part])

    assert one["profile"].keys() == {"id", "changed_at", part}
    assert one["profile"][part]


async def test_one_that_is_unknown_hides_nobody(api: App) -> None:
    found = await read(api, "user_id:nobody", "user_id:ada", "phone:42", "user_id:null", "ada", "user_id:bea", "")

    assert [one["found"] for one in found] == [False, True, False, False, False, True, False]
    kinds = ["profile-not-found", "invalid-identifier", "profile-not-found", "invalid-identifier", "invalid-identifier"]
    problems = [one["problem"] for one in found if not one["found"]]
    assert [one["type"] for one in problems] == [f"urn:obverse:problem:{kind}" for kind in kinds]
    assert [one["status"] for one in problems] == [404, 400, 404, 400, 400]
    assert all(one["detail"] and one["remedy"] for one in problems)
    assert all(one["profile"] is None for one in found if not one["found"])
    assert "no profile has the user_id 'nobody'" in problems[0]["detail"]
    assert "identifies nobody" in problems[2]["detail"]


async def test_one_that_cannot_be_read_hides_nobody(api: App, shop: Shop) -> None:
    await shop.forget()
    known = await shop.store.load_named(["user_id:ada"])
    shop.faulty_store.answers["load_named"] = {**known, "user_id:bea": b"\x91\x63"}

    ada, bea = await read(api, "user_id:ada", "user_id:bea")

    assert ada["found"]
    assert (bea["found"], bea["problem"]["type"]) == (False, "urn:obverse:problem:unreadable-profile")


async def test_one_asked_for_twice_is_told_twice(api: App) -> None:
    first, _, again = await read(api, "user_id:ada", "user_id:bea", "user_id:ada")

    assert first == again
    assert first["found"]


async def test_nobody_is_asked_for(api: App, shop: Shop) -> None:
    shop.faulty_store.asked.clear()

    assert await read(api) == []
    assert await read(api, "nonsense") != []
    assert shop.faulty_store.asked == []


async def test_two_hundred_take_one_look_at_the_cache_and_one_query(api: App, shop: Shop) -> None:
    await shop.fold(*(track(number, "1", user_id=f"u{number}") for number in range(10, 100)))
    await shop.checkpoint()
    await shop.fold(*(track(number, "1", user_id=f"v{number}") for number in range(100, 150)))
    await shop.forget()
    fresh = [shop.people.profiles[shop.people.owners[f"user_id:v{number}"]] for number in range(100, 150)]
    await shop.shown.publish(fresh)
    shop.faulty_store.asked.clear()
    shop.faulty_cache.asked.clear()

    asked = [*(f"user_id:u{one}" for one in range(10, 100)), *(f"user_id:v{one}" for one in range(100, 150))]
    asked += [f"user_id:nobody-{one}" for one in range(60)]
    found = await read(api, *asked, include=["traits"])

    assert [one["read_from"] for one in found] == ["store"] * 90 + ["cache"] * 50 + [None] * 60
    assert (shop.faulty_cache.asked, shop.faulty_store.asked) == (["get_all"], ["load_named"])


async def test_what_the_cache_knows_needs_no_store(api: App, shop: Shop) -> None:
    shop.faulty_store.failure = Unreachable("no database", after=2)

    assert [one["found"] for one in await read(api, "user_id:ada", "user_id:bea")] == [True, True]
    answer = await post(api, {"identifiers": ["user_id:ada", "user_id:nobody"]})
    assert is_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_without_a_worker_the_store_tells(api: App, shop: Shop) -> None:
    shop.faulty_cache.failure = Unreachable("no worker")
    assert [one["read_from"] for one in await read(api, "user_id:ada", "user_id:bea")] == ["store", "store"]

    shop.faulty_cache.failure = None
    shop.faulty_cache.answers["get_all"] = {"user_id:ada": b"\x91\x63"}  # a worker of another release
    assert [one["read_from"] for one in await read(api, "user_id:ada")] == ["store"]


async def test_an_id_that_was_merged_away_shows_what_the_cache_knows_of_its_keeper(api: App, shop: Shop) -> None:
    await shop.fold(track(10, "1", anonymous_id="a-9"))
    await shop.checkpoint()
    lost = id_text(shop.people.owners["anonymous_id:a-9"])
    await shop.fold(identify(11, "{}", user_id="bea", anonymous_id="a-9"))
    await shop.checkpoint()
    await shop.fold(identify(12, '{"plan": "free"}', user_id="bea"))
    assert lost != id_text(shop.people.owners["user_id:bea"])

    (one,) = await read(api, f"id:{lost.upper()}")
    assert (one["read_from"], one["profile"]["attributes"]["plan"]["value"]) == ("cache", "free")
    await shop.forget()
    (one,) = await read(api, f"id:{lost}")
    assert (one["read_from"], one["profile"]["attributes"]["plan"]["value"]) == ("store", "pro")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read"),
        (b"[]", "object"),
        (b"\xff", "cannot be read"),
        (b"{}", "identifiers"),
        (b'{"identifiers": "user_id:ada"}', "$.identifiers"),
        (b'{"identifiers": [42]}', "$.identifiers[0]"),
        (b'{"identifiers": [], "include": ["edges"]}', "$.include[0]"),
        (b'{"identifiers": [], "parts": []}', "parts"),
        (json.dumps({"identifiers": ["user_id:ada"] * 201}).encode(), "$.identifiers"),
    ],
)
async def test_malformed_bodies(api: App, body: bytes, words: str) -> None:
    answer = await ask(api, PATH, method="POST", body=body)

    assert is_problem(answer, 400, "invalid-body")
    assert words in answer.json["detail"]
    assert "at most 200" in answer.json["remedy"]


async def test_a_body_that_is_too_large(api: App) -> None:
    answer = await post(api, {"identifiers": ["user_id:" + "x" * 300_000]})

    assert is_problem(answer, 413, "too-large")


async def test_the_key_is_needed(shop: Shop) -> None:
    assert is_problem(await post(build_api(shop, api_key="secret"), {"identifiers": []}), 401, "unauthorized")

"""The API of the past: a profile as of a time, and compared between two; and every way to ask wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from urllib.parse import quote

import pytest

from api_steps import build_api, is_problem
from asgi import App, ask
from obverse.adapters.runtime.system import open_runtime
from obverse.core import json_values
from obverse.core.identity import id_name
from obverse.core.identity.rules import PRESETS
from obverse.core.people import People
from obverse.flows.history import PAGE, History
from obverse.flows.serve import Serve
from obverse.ports.outcomes import Unreachable
from past_steps import ADA, BROWSER, MINUTE, as_of, at, compare, minute, open_past_shop, restore, told
from reading import DEFINITIONS, NOON, Shop, identify, open_shop, track


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_past_shop() as opened:
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


# As of a time.


async def test_a_profile_as_of_a_time_is_what_was_known_then(api: App) -> None:
    answer = await as_of(api, 2.5)

    assert answer.headers["obverse-read-from"] == "store"
    assert [f"{one['kind']}:{one['value']}" for one in answer.json["identifiers"]] == [ADA]
    assert told(answer) == {"plan": "pro", "city": "Oslo", "score": Decimal("1.50")}
    assert [one["value"] for one in answer.json["attributes"]["plan"]["previous"]] == ["free"]
    assert answer.json["traits"] == {}
    assert answer.json["events"] == 2
    assert answer.json["version"] == {"0": 2}


async def test_it_says_what_was_apart_then_and_is_one_now(api: App, shop: Shop) -> None:
    keeper = next(iter(shop.people.profiles))
    ada, browser = await as_of(api, 2), await as_of(api, 2, BROWSER)

    assert ada.json["id"] != browser.json["id"]
    now = id_name(keeper).removeprefix("id:")
    assert ada.json["past"] == {
        "as_of": minute(2),
        "complete": True,
        "kept_from": None,
        "known_from": minute(0),
        "now": now,
        "merged": [browser.json["id"]],
    }
    assert browser.json["past"]["merged"] == [ada.json["id"]]
    assert browser.json["past"]["now"] == browser.json["id"] == now
    again = await as_of(api, 2, f"id:{ada.json['id']}")
    assert again.json == ada.json
    assert (await as_of(api, 3.5)).json["past"]["merged"] == []


async def test_what_came_late_is_there_from_its_arrival_on(api: App) -> None:
    assert told(await as_of(api, 4.9))["city"] == "Oslo"
    answer = await as_of(api, 5)
    assert told(answer)["city"] == "Rome"
    plan = answer.json["attributes"]["plan"]
    assert [plan["value"], *(one["value"] for one in plan["previous"])] == ["trial", "pro", "free"]


async def test_from_its_last_event_on_it_is_as_it_is_now(api: App, shop: Shop) -> None:
    now = (await ask(api, f"/v1/profiles/{ADA}")).json
    assert "past" not in now
    for when in (6, 7, "2026-02-01"):
        answer = await as_of(api, when)
        assert answer.headers["obverse-read-from"] == "cache"
        past = answer.json.pop("past")
        assert {name: one for name, one in answer.json.items() if name != "past"} == now
        assert (past["complete"], past["now"], past["merged"]) == (True, now["id"], [])
    assert {*shop.faulty_store.asked} == {"decisions_of"}


async def test_it_is_the_same_whether_folded_or_known(api: App) -> None:
    """A moment before the last event, the one that was last is folded: nothing else differs."""
    before, now = (await as_of(api, 5.9)).json, (await as_of(api, 6)).json
    for one in (before, now):
        one.pop("past")
    assert before["attributes"].pop("city")["value"] == "Rome"
    city = now["attributes"].pop("city")
    assert (city["value"], city["previous"][0]["value"]) == (None, "Rome")
    same = ("id", "edges", "refused", "attributes", "traits", "audiences", "first_seen")
    assert {name: before[name] for name in same} == {name: now[name] for name in same}


async def test_before_anything_was_known_of_it_nobody_is_there(api: App) -> None:
    answer = await as_of(api, 0.5)

    assert is_problem(answer, 404, "not-there-yet")
    assert answer.json["detail"] == f"user_id:ada was nobody yet at {minute(0.5)}"
    assert answer.json["remedy"].startswith(f"ask for a time from {minute(1)} on, or for who was there then")
    browser = answer.json["remedy"].rpartition(" ")[2]
    assert (await as_of(api, 0.5, browser)).json["events"] == 1
    answer = await as_of(api, -1, BROWSER)
    assert is_problem(answer, 404, "not-there-yet")
    assert answer.json["remedy"] == f"ask for a time from {minute(0)} on"


async def test_whom_nobody_knows_now_nobody_knew(api: App) -> None:
    assert is_problem(await as_of(api, 3, "user_id:eve"), 404, "profile-not-found")
    assert is_problem(await compare(api, f"from={minute(1)}", "user_id:eve"), 404, "profile-not-found")
    assert is_problem(await restore(api, {"as_of": minute(1)}, "user_id:eve"), 404, "profile-not-found")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12", "2026-01-31T12:00:00 02:00", "\x00", "é" * 200])
async def test_what_is_no_time_is_refused_everywhere(api: App, text: str) -> None:
    for answer in (
        await as_of(api, text),
        await compare(api, f"from={quote(text)}"),
        await compare(api, f"from={minute(1)}&to={quote(text)}"),
        await restore(api, {"as_of": text}),
    ):
        assert is_problem(answer, 400, "invalid-time")
        assert "is no ISO 8601 time" in answer.json["detail"]
        assert "%2B" in answer.json["remedy"]


async def test_a_time_that_is_to_come_is_refused_everywhere(api: App) -> None:
    for answer in (
        await as_of(api, "9000-01-01"),
        await compare(api, "from=2026-01-01&to=9000-01-01"),
        await restore(api, {"as_of": "9000-01-01"}),
    ):
        assert is_problem(answer, 400, "invalid-time")
        assert "is to come" in answer.json["detail"]


async def test_any_way_to_write_a_time(api: App) -> None:
    first = await as_of(api, 2.5)
    for text in ("2026-01-31T13:02:30+01:00", "2026-01-31 12:02:30", " 2026-01-31T12:02:30.000Z "):
        assert (await as_of(api, text)).json == first.json
    assert is_problem(await as_of(api, "0001-01-01"), 404, "not-there-yet")


async def test_an_identifier_that_was_taken_since_leads_to_who_had_it_then() -> None:
    """By a rule that lets a new customer number take the device: twice, there and back."""
    shop = await open_shop()
    rules = replace(DEFINITIONS, identity=PRESETS["unique_user_id"])
    shop.people = People("main", rules)
    shop.serve = Serve(shop.faulty_store, shop.faulty_cache, lambda: rules)
    history = History(shop.faulty_store, shop.serve, lambda: rules, open_runtime())
    shared = {"anonymous_id": "tablet"}
    await shop.fold(
        identify(1, '{"name": "Ada"}', user_id="ada", **shared),
        identify(2, '{"name": "Bob"}', user_id="bob", **shared),
        identify(3, '{"city": "Oslo"}', user_id="ada", **shared),
        identify(4, '{"city": "Rome"}', user_id="bob"),
        identify(5, '{"city": "Bonn"}', user_id="ada"),
    )
    await shop.checkpoint()
    had = [await history.profile("anonymous_id:tablet", NOON + at * MINUTE) for at in (1, 2, 3, 4)]
    await shop.close()

    views = [one.view for one in had if one is not None]
    assert [json_values.decode(bytes(one.attributes["name"].value)) for one in views] == ["Ada", "Bob", "Ada", "Ada"]
    assert [one.identifiers[-1].value for one in views] == ["ada", "bob", "ada", "ada"]
    assert [one.events for one in views] == [1, 1, 2, 2]


# What the store does not have.


async def test_what_is_not_in_the_store_yet_is_not_left_out_in_silence(api: App, shop: Shop) -> None:
    await shop.fold(track(8, "5", user_id="ada"), track(9, "6", user_id="ada"))

    assert (await as_of(api, 10)).json["events"] == 9
    assert (await as_of(api, 5.9)).json["events"] == 6
    answer = await as_of(api, 8.5)
    assert is_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert "on their way into the store" in answer.json["detail"]

    await shop.checkpoint()
    assert (await as_of(api, 8.5)).json["events"] == 8


async def test_somebody_who_is_not_in_the_store_at_all_yet(api: App, shop: Shop) -> None:
    await shop.fold(track(8, "5", user_id="new"), track(9, "6", user_id="new"))

    assert is_problem(await as_of(api, 8.5, "user_id:new"), 503, "unavailable")
    assert (await as_of(api, 10, "user_id:new")).json["events"] == 2


async def test_oldest_events_that_are_let_go_are_told_exactly(api: App, shop: Shop) -> None:
    assert (await as_of(api, 5.9)).json["past"]["complete"] is True
    for events in shop.store._tables.events.values():  # type: ignore[attr-defined]  # the store in memory lets nothing go
        events[:] = [one for one in events if one.event.received_at >= NOON + 2 * MINUTE]

    answer = await as_of(api, 5.9)
    assert answer.json["past"]["complete"] is False
    assert answer.json["past"]["kept_from"] == minute(2)
    assert len(answer.json["identifiers"]) == 3
    assert told(answer)["city"] == "Rome"
    assert (await as_of(api, 6)).json["past"]["complete"] is True
    compared = (await compare(api, f"from={minute(1)}&to={minute(5.5)}")).json
    assert (compared["complete"], compared["kept_from"]) == (False, minute(2))
    refused = await restore(api, {"as_of": minute(5.9)})
    assert is_problem(refused, 409, "not-restorable")
    assert minute(2) in refused.json["detail"]
    assert await shop.store.waiting_events(limit=9) == []


async def test_while_the_store_is_away_the_past_is_too(api: App, shop: Shop) -> None:
    shop.faulty_store.failure = Unreachable("no server")

    assert is_problem(await as_of(api, 2), 503, "unavailable")
    assert is_problem(await compare(api, f"from={minute(1)}"), 503, "unavailable")
    assert is_problem(await as_of(api, 7), 503, "unavailable")


async def test_more_events_than_a_page_and_a_few_questions(api: App, shop: Shop) -> None:
    many = 2 * PAGE + 3
    await shop.fold(*(at(track(10 + number, "1", user_id="bea"), 10, 10 + number / many) for number in range(many)))
    await shop.checkpoint()
    shop.faulty_store.asked.clear()

    answer = await as_of(api, 10.5, "user_id:bea")

    assert answer.json["traits"]["orders"] == answer.json["events"] == many // 2 + 1
    assert shop.faulty_store.asked == ["load", "decisions_of", "remains", "past_events", "past_events"]


# Compared.


async def test_what_is_different_at_two_times(api: App) -> None:
    answer = (await compare(api, f"from={minute(2)}&to={minute(6)}")).json

    assert (answer["from"], answer["to"], answer["existed"], answer["events"]) == (minute(2), minute(6), True, 5)
    assert (answer["complete"], answer["kept_from"]) == (True, None)
    added = [(one["kind"], one["value"], one["event"]) for one in answer["identifiers"]["added"]]
    assert added == [("anonymous_id", "a-1", "m-0"), ("email", "ada@example.com", "m-3")]
    assert answer["identifiers"]["removed"] == []
    values = [
        (one["name"], *((one[side] or {}).get(what) for side in ("before", "after") for what in ("value", "event")))
        for one in answer["attributes"]
    ]
    assert values == [
        ("city", "Oslo", "m-1", None, "m-6"),
        ("email", None, None, "ada@example.com", "m-3"),
        ("plan", "pro", "m-2", "trial", "m-5"),
    ]
    assert answer["traits"] == [
        {"name": "favourite_product", "before": None, "after": "A0"},
        {"name": "first_order_at", "before": None, "after": minute(0)},
        {"name": "lifetime_value", "before": None, "after": Decimal("1000.30")},
        {"name": "orders", "before": None, "after": 2},
    ]
    assert [one["name"] for one in answer["audiences"]["entered"]] == ["big_spenders"]
    assert answer["audiences"]["left"] == []
    assert answer["merged"] == [(await as_of(api, 2, BROWSER)).json["id"]]
    assert answer["id"] == (await as_of(api, 6)).json["id"]


async def test_an_audience_that_was_left_and_a_value_that_was_taken_back(api: App, shop: Shop) -> None:
    await shop.fold(track(10, "5", user_id="bea"), track(11, "5", user_id="bea"))
    await shop.checkpoint()
    answer = (await compare(api, f"from={minute(10.5)}&to={minute(12)}", "user_id:bea")).json

    assert [one["name"] for one in answer["audiences"]["left"]] == ["one_time_buyers"]
    assert answer["audiences"]["entered"] == []
    assert {"name": "lifetime_value", "before": 5, "after": 10} in answer["traits"]


async def test_with_a_time_before_anybody_was_there_all_is_new(api: App) -> None:
    answer = (await compare(api, f"from={minute(-1)}&to={minute(2)}")).json

    assert (answer["existed"], answer["events"], answer["merged"]) == (False, 2, [])
    assert [one["value"] for one in answer["identifiers"]["added"]] == ["ada"]
    assert {one["name"]: one["before"] for one in answer["attributes"]} == {"city": None, "plan": None, "score": None}
    assert is_problem(await compare(api, f"from={minute(-2)}&to={minute(-1)}"), 404, "not-there-yet")


async def test_by_a_name_that_came_later_it_is_compared_with_who_became_it(api: App) -> None:
    answer = (await compare(api, f"from={minute(0.5)}&to={minute(6)}")).json

    assert (answer["existed"], answer["events"]) == (True, 6)
    assert [one["kind"] for one in answer["identifiers"]["added"]] == ["email", "user_id"]


async def test_now_is_what_the_worker_knows(api: App, shop: Shop) -> None:
    await shop.fold(identify(8, '{"plan": "gold"}', user_id="ada"))

    answer = (await compare(api, f"from={minute(4)}")).json
    changed = {one["name"]: one for one in answer["attributes"]}
    assert (changed["plan"]["before"]["value"], changed["plan"]["after"]["value"]) == ("pro", "gold")
    assert is_problem(await compare(api, f"from={minute(7)}"), 503, "unavailable")


async def test_times_in_the_wrong_order_and_a_time_that_is_missing(api: App) -> None:
    answer = await compare(api, f"from={minute(3)}&to={minute(2)}")
    assert is_problem(answer, 400, "invalid-time")
    assert "give the earlier time as from" in answer.json["detail"]
    assert is_problem(await compare(api, ""), 400, "invalid-parameter")


async def test_between_two_times_at_which_all_is_the_same_nothing_is_different(api: App) -> None:
    for query in (f"from={minute(3.2)}&to={minute(3.9)}", f"from={minute(6)}&to={minute(6)}", f"from={minute(6)}"):
        answer = (await compare(api, query)).json
        assert (answer["attributes"], answer["traits"], answer["events"], answer["merged"]) == ([], [], 0, [])
        assert answer["identifiers"] == {"added": [], "removed": []}
        assert answer["audiences"] == {"entered": [], "left": []}

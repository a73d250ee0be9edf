"""Segment's Profile API: the events of a user, of the last 14 days, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from api_steps import open_api_shop
from asgi import App
from obverse.core.identity import id_text
from obverse.flows.mirror import MOST_LOOKED_AT, Asked
from reading import Shop, identify, track
from spaces_steps import DAY, HOUR, USERS, AtNoon, moved, read, read_all, spaces

EVENTS = f"{USERS}/user_id:ada/events"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return spaces(shop)


def ids(page: Any) -> list[str]:
    return [one["message_id"] for one in page["data"]]


async def test_an_event_is_told_as_segment_tells_it(api: App, shop: Shop) -> None:
    found = await read(api, EVENTS)

    assert ids(found) == ["m-2", "m-1", "m-0"]
    assert found["data"][2] == {
        "external_ids": [{"collection": "users", "type": "anonymous_id", "id": "a-1", "encoding": "none"}],
        "context": {},
        "type": "track",
        "message_id": "m-0",
        "source_id": "shop",
        "timestamp": "2026-01-31T12:00:00Z",
        "properties": {"revenue": found["data"][2]["properties"]["revenue"], "sku": "A0"},
        "event": "Order Completed",
        "related": {"users": id_text(shop.people.owners["user_id:ada"])},
    }
    assert [one["type"] for one in found["data"][1]["external_ids"]] == ["user_id", "anonymous_id"]
    assert found["cursor"] == {"url": EVENTS, "has_more": False, "next": "", "limit": 10}


async def test_only_the_last_fourteen_days_are_told(shop: Shop) -> None:
    clock = AtNoon()
    api = spaces(shop, runtime=clock)

    clock.at += 13 * DAY + 60_000_000  # a minute after the first order turned fourteen days old
    assert ids(await read(api, EVENTS)) == ["m-2", "m-1"]
    clock.at += DAY
    assert (await read(api, EVENTS))["data"] == []
    # What happened long ago and came today is not of the last days either.
    await shop.fold(structs.replace(track(7, "1", user_id="ada"), received_at=clock.at))
    await shop.checkpoint()
    assert (await read(api, EVENTS))["data"] == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("include=identify", ["m-1"]),
        ("include=Order%20Completed,identify", ["m-2", "m-1", "m-0"]),
        ("include=Order+Completed", ["m-2", "m-0"]),
        ("include=nothing", []),
        ("exclude=Order%20Completed", ["m-1"]),
        ("exclude=identify&include=identify", []),
        ("start=2026-01-31T12:01:00Z", ["m-2", "m-1"]),
        ("end=2026-01-31T12:01:00Z", ["m-0"]),
        ("start=2026-01-31&end=2026-02-01&sort=desc", ["m-2", "m-1", "m-0"]),
        ("start=2026-02-01", []),
        ("limit=2", ["m-2", "m-1"]),
    ],
)
async def test_which_events_are_told(api: App, query: str, found: list[str]) -> None:
    assert ids(await read(api, f"{EVENTS}?{query}")) == found


async def test_every_event_comes_once_while_others_come(api: App, shop: Shop) -> None:
    await shop.fold(*(track(number, "1", user_id="ada") for number in range(10, 135)))
    await shop.checkpoint()

    pages = await read_all(api, EVENTS, limit=50)
    assert [len(page["data"]) for page in pages] == [50, 50, 28]
    assert [one for page in pages for one in ids(page)] == [f"m-{one}" for one in (*range(134, 9, -1), 2, 1, 0)]

    first = await read(api, f"{EVENTS}?limit=100")
    await shop.fold(*(track(number, "1", user_id="ada") for number in range(200, 300)))
    await shop.checkpoint()
    rest = await read(api, f"{EVENTS}?limit=100&next={first['cursor']['next']}")
    assert ids(first) + ids(rest) == [one for page in pages for one in ids(page)]
    assert rest["cursor"]["has_more"] is False


async def test_pages_go_on_after_a_merge(api: App, shop: Shop) -> None:
    await shop.fold(*(track(number, "1", anonymous_id="a-2") for number in range(10, 14)))
    await shop.checkpoint()
    path = f"{USERS}/anonymous_id:a-2/events"
    first = await read(api, f"{path}?limit=2")

    await shop.fold(identify(20, "{}", user_id="ada", anonymous_id="a-2"))
    await shop.checkpoint()

    rest = await read(api, f"{path}?limit=10&next={first['cursor']['next']}")
    assert ids(first) + ids(rest) == ["m-13", "m-12", "m-11", "m-10", "m-2", "m-1", "m-0"]


async def test_who_seeks_few_among_many_gets_shorter_pages(api: App, shop: Shop) -> None:
    many = MOST_LOOKED_AT + 50
    one = structs.replace(track(10, "1", user_id="ada"), message_id="new")
    await shop.fold(*(structs.replace(one, message_id=f"n-{number}") for number in range(many)))
    await shop.checkpoint()

    first = await read(api, f"{EVENTS}?include=identify")
    assert (ids(first), first["cursor"]["has_more"]) == ([], True)
    second = await read(api, f"{EVENTS}?include=identify&next={first['cursor']['next']}")
    assert (ids(second), second["cursor"]["has_more"]) == (["m-1"], False)


async def test_events_that_were_read_in_another_order_are_found(api: App, shop: Shop) -> None:
    # Of two partitions the one with later events was read first, so the latest ids are those of hours before.
    late = [moved(track(number, "1", user_id="ada"), 6 * HOUR) for number in range(20, 30)]
    early = [track(number, "1", user_id="ada") for number in range(100, 220)]
    await shop.fold(*late, *early)
    await shop.checkpoint()

    assert ids(await read(api, f"{EVENTS}?start=2026-01-31T18:00:00Z")) == [f"m-{one}" for one in range(29, 19, -1)]


async def test_a_user_who_goes_meanwhile_ends_the_list(api: App, shop: Shop) -> None:
    async def go() -> None:
        shop.faulty_cache.answers["get"], shop.faulty_store.answers["load"] = None, []

    shop.faulty_cache.between = go

    assert (await read(api, EVENTS))["data"] == []


@given(st.sets(st.text(max_size=5), max_size=12), st.integers(1, 5), st.data())
def test_pages_show_each_once_whatever_comes_and_goes(names: set[str], limit: int, data: st.DataObject) -> None:
    """What is there from the first page to the last is shown exactly once."""
    present, steady, shown, following = set(names), set(names), [], ""
    while True:
        page, cursor = Asked(url="/", limit=limit, next=following).page(sorted(present), str)
        shown += page
        if not cursor.has_more:
            break
        following = cursor.next
        gone = data.draw(st.sets(st.sampled_from(sorted(present)), max_size=2)) if present else set()
        present = (present - gone) | data.draw(st.sets(st.text(max_size=5), max_size=2))
        steady -= gone

    assert len(shown) == len(set(shown))
    assert steady <= set(shown)

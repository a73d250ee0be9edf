"""Reading: from the cache first, from the store when the cache does not know or is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import cast

import msgspec
import pytest

from obverse.core import json_values
from obverse.core.definitions import define
from obverse.core.identity import IdentityRules, id_text, profile_id
from obverse.core.profiles import Profile, parts, whole
from obverse.flows.serve import BadIdentifier, Serve, UnreadableProfile, parse_identifier
from obverse.flows.views import PartitionLag
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_cache import ProfileCache
from reading import DEFINITIONS, Shop, identify, open_shop, pack, track


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    opened = await open_shop()
    yield opened
    await opened.close()


async def test_a_profile_is_shown_with_all_that_is_known_of_it(shop: Shop) -> None:
    await shop.fold(
        track(0, "0.10", anonymous_id="a-1"),
        identify(1, '{"email": "Ada@Example.com", "age": 41, "score": 1.50}', user_id="ada", anonymous_id="a-1"),
        track(2, "1000.20", user_id="ada"),
        identify(3, '{"age": 42}', user_id="ada", source="crm"),
    )

    view = await shop.serve.profile("user_id:ada")

    assert view is not None
    assert view.id == id_text(profile_id("main", "anonymous_id:a-1"))
    assert [(one.kind, one.value, one.event) for one in view.identifiers] == [
        ("anonymous_id", "a-1", "m-0"),
        ("email", "ada@example.com", "m-1"),
        ("user_id", "ada", "m-1"),
    ]
    assert view.identifiers[2].first_seen == "2026-01-31T12:01:00Z"
    assert view.identifiers[2].last_seen == "2026-01-31T12:03:00Z"
    assert {(edge.a, edge.b, edge.rule) for edge in view.edges} == {
        ("email:ada@example.com", "user_id:ada", "seen_together"),
        ("anonymous_id:a-1", "user_id:ada", "seen_together"),
    }
    assert view.traits == {
        "orders": 2,
        "lifetime_value": Decimal("1000.30"),
        "favourite_product": "A0",
        "first_order_at": "2026-01-31T12:00:00Z",
    }
    assert [(one.name, one.since, one.number) for one in view.audiences] == [
        ("big_spenders", "2026-01-31T12:02:00Z", 1)
    ]
    assert view.version == {"0": 3}
    assert view.events == 4
    assert view.first_seen == "2026-01-31T12:00:00Z"
    assert view.changed_at == "2026-01-31T12:03:00Z"


async def test_an_attribute_says_who_wrote_it_and_what_it_beat(shop: Shop) -> None:
    await shop.fold(
        identify(1, '{"age": 41}', user_id="ada"),
        identify(3, '{"age": 43}', user_id="ada", source="crm"),
        identify(2, '{"age": 42}', user_id="ada"),
    )

    view = await shop.serve.profile("user_id:ada")

    assert view is not None
    assert msgspec.json.decode(json_values.encode(view.attributes)) == {
        "age": {
            "value": 43,
            "source": "crm",
            "updated_at": "2026-01-31T12:03:00Z",
            "event": "m-3",
            "previous": [
                {"value": 42, "source": "shop", "updated_at": "2026-01-31T12:02:00Z", "event": "m-2"},
                {"value": 41, "source": "shop", "updated_at": "2026-01-31T12:01:00Z", "event": "m-1"},
            ],
        }
    }


async def test_numbers_come_out_with_every_digit(shop: Shop) -> None:
    await shop.fold(
        identify(1, '{"big": 12345678901234567890.123456789012345678, "cents": 1.50, "far": 1e400}', user_id="ada"),
        track(2, "0.1", user_id="ada"),
        track(3, "0.2", user_id="ada"),
        track(4, "99999999999999999999.00", user_id="ada"),
    )

    text = json_values.encode(await shop.serve.profile("user_id:ada"))

    assert b'"value":12345678901234567890.123456789012345678,' in text
    assert b'"value":1.50,' in text
    assert b'"value":1e400,' in text
    assert b'"lifetime_value":99999999999999999999.30' in text


async def test_the_cache_is_asked_first_and_is_ahead_of_the_store(shop: Shop) -> None:
    await shop.fold(track(1, "1", user_id="ada"))
    await shop.checkpoint()
    await shop.fold(track(2, "2", user_id="ada"))

    found = await shop.serve.find("user_id:ada")

    assert found is not None
    assert (found.read_from, found.view.traits["orders"]) == ("cache", 2)
    assert shop.faulty_store.asked == []


@pytest.mark.parametrize("failure", [Unreachable("away"), AccessRefused("not you")])
async def test_the_store_is_asked_when_the_cache_is_away(shop: Shop, failure: Exception) -> None:
    await shop.fold(track(1, "1", user_id="ada"))
    await shop.checkpoint()
    await shop.fold(track(2, "2", user_id="ada"))
    shop.faulty_cache.failure = failure

    found = await shop.serve.find("user_id:ada")

    assert found is not None
    assert (found.read_from, found.view.traits["orders"]) == ("store", 1)


async def test_the_store_is_asked_when_the_cache_does_not_know(shop: Shop) -> None:
    await shop.fold(track(1, "1", user_id="ada"))
    await shop.checkpoint()
    await shop.forget()

    found = await shop.serve.find("user_id:ada")

    assert found is not None
    assert found.read_from == "store"


async def test_the_store_is_asked_when_another_release_wrote_the_cache(shop: Shop) -> None:
    await shop.fold(track(1, "1", user_id="ada"))
    await shop.checkpoint()

    def pack(_: Profile) -> bytes:
        return b"\x91\x63"

    writer = await shop.cache.open_writer(pack)
    await writer.publish(shop.people.profiles.values())

    found = await shop.serve.find("user_id:ada")

    assert found is not None
    assert found.read_from == "store"


async def test_a_profile_that_another_release_stored_says_so(shop: Shop) -> None:
    await shop.fold(track(1, "1", user_id="ada"))
    await shop.checkpoint()
    await shop.forget()
    known, state = parts(pack(next(iter(shop.people.profiles.values()))))
    shop.faulty_store.answers["load"] = [whole(known, state[:1] + b"\x63" + state[2:])]

    with pytest.raises(UnreadableProfile, match="format 99 is not known; this release reads 2"):
        await shop.serve.profile("user_id:ada")


async def test_when_neither_answers_that_is_said(shop: Shop) -> None:
    shop.faulty_cache.failure, shop.faulty_store.failure = Unreachable("no worker"), Unreachable("no database")

    with pytest.raises(Unreachable, match="no database"):
        await shop.serve.profile("user_id:ada")


async def test_what_the_cache_knows_is_read_without_the_store(shop: Shop) -> None:
    await shop.fold(track(1, "1", user_id="ada"))
    shop.faulty_store.failure = Unreachable("no database")

    assert await shop.serve.profile("user_id:ada") is not None


async def test_nobody_is_none(shop: Shop) -> None:
    assert await shop.serve.profile("user_id:nobody") is None
    assert await shop.serve.events("user_id:nobody", limit=5) is None


async def test_after_a_merge_the_lost_identifiers_show_the_keeper(shop: Shop) -> None:
    await shop.fold(track(1, "1", anonymous_id="a-1"), track(2, "2", user_id="ada"))
    await shop.fold(identify(3, "{}", user_id="ada", anonymous_id="a-1"))

    one, other = [await shop.serve.profile(name) for name in ("user_id:ada", "anonymous_id:a-1")]

    assert one is not None
    assert one == other
    assert one.traits["orders"] == 2


async def test_events_come_in_pages_the_latest_first(shop: Shop) -> None:
    await shop.fold(*(track(number, "1", user_id="ada") for number in range(5)), track(9, "1", user_id="bob"))
    await shop.checkpoint()
    names, before = [], None
    for _ in range(3):
        page = await shop.serve.events("user_id:ada", limit=2, before=before)
        assert page is not None
        names.append([event.message_id for event in page.events])
        before = page.next

    assert names == [["m-4", "m-3"], ["m-2", "m-1"], ["m-0"]]
    assert before is None


async def test_a_page_that_is_just_full_is_the_last(shop: Shop) -> None:
    await shop.fold(track(1, "1", user_id="ada"), track(2, "1", user_id="ada"))
    await shop.checkpoint()

    page = await shop.serve.events("user_id:ada", limit=2)

    assert page is not None
    assert page.next is None


async def test_an_event_is_shown_as_it_was_sent(shop: Shop) -> None:
    await shop.fold(track(1, "10.50", user_id="ada", anonymous_id="a-1", context=b'{"ip": "192.0.2.1"}'))
    await shop.checkpoint()

    page = await shop.serve.events("user_id:ada", limit=1)

    assert page is not None
    assert msgspec.json.decode(msgspec.json.encode(page.events[0])) | {"id": 0} == {
        "id": 0,
        "type": "track",
        "event_type": "Order Completed",
        "name": "Order Completed",
        "message_id": "m-1",
        "source": "shop",
        "timestamp": "2026-01-31T12:01:00Z",
        "received_at": "2026-01-31T12:01:01Z",
        "user_id": "ada",
        "anonymous_id": "a-1",
        "group_id": None,
        "previous_id": None,
        "properties": {"revenue": 10.5, "sku": "A1"},
        "context": {"ip": "192.0.2.1"},
    }
    assert bytes(page.events[0].properties) == b'{"revenue": 10.50, "sku": "A1"}'


async def test_the_overview_names_every_audience_that_is_defined(shop: Shop) -> None:
    await shop.fold(
        track(1, "5", user_id="ada"),
        track(2, "5", anonymous_id="a-1"),
        identify(3, "{}", user_id="ada", anonymous_id="a-1"),
        identify(4, "{}", user_id="bob"),
    )
    await shop.checkpoint()

    figures = await shop.serve.overview()

    assert (figures.profiles, figures.merges, figures.events, figures.rejected) == (2, 1, 4, 0)
    assert figures.audiences == {"big_spenders": 0, "one_time_buyers": 0}


async def test_the_overview_tells_how_far_its_figures_are_behind_the_log(shop: Shop) -> None:
    await shop.fold(track(1, "5", user_id="ada"))
    await shop.checkpoint()
    await shop.fold(track(2, "5", user_id="bob"), track(3, "5", user_id="bob"))

    figures = await shop.serve.overview()

    assert (figures.profiles, figures.lag) == (1, {"0": PartitionLag(appended=3, kept=1, lag=2)})


async def test_the_overview_never_calls_figures_current_that_a_checkpoint_overtook(shop: Shop) -> None:
    await shop.fold(track(1, "5", user_id="ada"))
    shop.faulty_log.between = shop.faulty_store.between = shop.checkpoint

    figures = await shop.serve.overview()

    assert figures.lag is not None
    assert (figures.profiles, figures.lag["0"].lag) == (1, 0)


async def test_the_overview_while_events_come_and_go_between_its_questions(shop: Shop) -> None:
    async def overtake() -> None:
        await shop.fold(track(2, "5", user_id="bob"))
        await shop.checkpoint()

    await shop.fold(track(1, "5", user_id="ada"))
    shop.faulty_log.between = overtake

    figures = await shop.serve.overview()

    assert (figures.profiles, figures.lag) == (2, {"0": PartitionLag(appended=2, kept=2, lag=0)})


async def test_the_overview_while_the_log_cannot_be_asked(shop: Shop) -> None:
    await shop.fold(track(1, "5", user_id="ada"))
    await shop.checkpoint()
    shop.faulty_log.failure = Unreachable("no log")

    figures = await shop.serve.overview()

    assert (figures.profiles, figures.lag) == (1, None)


async def test_components_tell_what_is_wrong_and_what_to_do(shop: Shop) -> None:
    assert [(one.name, one.status) for one in await shop.serve.components()] == [("store", "ok"), ("cache", "ok")]
    shop.faulty_store.failure, shop.faulty_cache.failure = AccessRefused("no role"), Unreachable("no worker")

    store, cache = await shop.serve.components()

    assert (store.status, store.detail, cache.status, cache.detail) == (
        "unreachable", "no role", "unreachable", "no worker"
    )  # fmt: skip
    assert "DATABASE_URL" in str(store.remedy)
    assert "start the worker" in str(cache.remedy)


async def test_a_component_that_says_nothing_is_unreachable(shop: Shop) -> None:
    serve = Serve(shop.faulty_store, shop.cache, lambda: DEFINITIONS, patience=0.01)
    shop.faulty_store.silent = True

    store, cache = await serve.components()

    assert (store.status, store.detail) == ("unreachable", "no answer within 0.01 s")
    assert cache.status == "ok"


async def test_definitions_that_go_live_while_a_profile_is_fetched_leave_no_trait_without_its_value(shop: Shop) -> None:
    await shop.fold(track(0, "0.10", user_id="ada"), track(1, "0.20", user_id="ada"))
    orders = replace(DEFINITIONS.trait_of_name["orders"], key="another:orders")
    others = [one for one in DEFINITIONS.traits if one.name != "orders"]
    now = [DEFINITIONS]

    class Turning:
        """A cache during whose answers others go live."""

        async def get(self, identifier: str) -> bytes | None:
            now[0] = define(traits=[*others, orders], audiences=DEFINITIONS.audiences)
            return await shop.cache.get(identifier)

    serve = Serve(shop.store, cast("ProfileCache", Turning()), lambda: now[0])
    before = await serve.profile("user_id:ada")
    after = await serve.profile("user_id:ada")

    assert before is not None
    assert after is not None
    assert (before.traits["orders"], after.traits.get("orders")) == (2, None), "nobody has computed the other one here"


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("user_id:42", "user_id:42"),
        ("user_id: 42 ", "user_id: 42 "),
        ("user_id:a:b", "user_id:a:b"),
        ("email: Ada@Example.COM ", "email:ada@example.com"),
        ("anonymous_id:Zoë/1", "anonymous_id:Zoë/1"),
    ],
)
def test_identifiers_are_read(text: str, identifier: str) -> None:
    assert parse_identifier(text, IdentityRules()) == identifier


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write kind:value, with one of these kinds: user_id, email, android.id"),
        ("42", "write kind:value"),
        ("phone:42", "'phone' is no kind of identifier: use one of user_id"),
        (":42", "'' is no kind"),
        ("user_id:", "has no value"),
        ("email:  ", "has no value"),
        ("user_id:a\0b", "NUL"),
    ],
)
def test_what_is_no_identifier_is_told(text: str, words: str) -> None:
    with pytest.raises(BadIdentifier, match=words):
        parse_identifier(text, IdentityRules())

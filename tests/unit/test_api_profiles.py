"""The API of profiles: every part, every error, and identifiers as odd as people make them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.apps.metrics import new_registry
from obverse.contracts.profile_store_steps import deciding
from obverse.core.identity import SetAside
from obverse.flows import views
from obverse.ports.outcomes import AccessRefused, Unreachable
from reading import Shop, track


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def test_a_profile_by_any_of_its_identifiers(api: App) -> None:
    answers = [await ask(api, f"/v1/profiles/{name}") for name in ("user_id:ada", "anonymous_id:a-1")]

    for answer in answers:
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["obverse-read-from"] == "cache"
        assert answer.parsed(views.ProfileView).events == 3
    assert answers[0].body == answers[1].body


async def test_numbers_are_exact(api: App) -> None:
    answer = await ask(api, "/v1/profiles/user_id:ada")

    assert b'"lifetime_value":1000.30' in answer.body
    assert b'"value":1.50' in answer.body
    assert answer.json["traits"]["lifetime_value"] == Decimal("1000.30")


@pytest.mark.parametrize("part", ["traits", "audiences", "identifiers", "attributes", "version"])
async def test_a_part_is_what_the_whole_has_under_its_name(api: App, part: str) -> None:
    whole = await ask(api, "/v1/profiles/user_id:ada")

    answer = await ask(api, f"/v1/profiles/user_id:ada/{part}")

    assert answer.status == 200
    assert answer.headers["obverse-read-from"] == "cache"
    assert answer.json == whole.json[part]
    assert answer.json


ADDRESSED = [
    "user_id:ada",
    "user_id:",
    "nobody",
    "user_id:b",
    "shoe_size:9",
    "user_id:a%2Fb",
    "user_id:a/b",
    "user_id:%FF",
]


@pytest.mark.parametrize("part", ["", "/traits", "/groups", "/consents", "/events", "/", "//traits", "/traits/", "/x"])
async def test_with_parameters_that_it_has_not_an_address_answers_just_the_same(shop: Shop, part: str) -> None:
    """Those without any go another, shorter way."""
    registry = new_registry("api")
    api = build_api(shop, registry=registry)
    for method in ("GET", "HEAD", "POST"):
        for one in ADDRESSED:
            short, long = [
                await ask(api, f"/v1/profiles/{one}{part}{query}", method=method, headers={"X-Request-ID": "r-1"})
                for query in ("", "?of=nothing")
            ]
            assert short == long

    counted = [
        (sample.labels["route"], sample.labels["status"], sample.value)
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "obverse_api_requests_total"
    ]
    assert all(count % 2 == 0 for _, _, count in counted), "either way is counted as the same route"


async def test_a_profile_that_only_the_store_has(api: App, shop: Shop) -> None:
    await shop.forget()

    answer = await ask(api, "/v1/profiles/user_id:ada/traits")

    assert (answer.status, answer.headers["obverse-read-from"]) == (200, "store")


async def test_events_in_pages(api: App) -> None:
    first = await ask(api, "/v1/profiles/user_id:ada/events?limit=2")
    second = await ask(api, f"/v1/profiles/user_id:ada/events?limit=2&before={first.json['next']}")

    assert [event["message_id"] for event in first.json["events"]] == ["m-2", "m-1"]
    assert [event["message_id"] for event in second.json["events"]] == ["m-0"]
    assert second.json["next"] is None
    assert b'"revenue": 1000.20' in first.body


async def test_twenty_events_unless_asked_otherwise(api: App, shop: Shop) -> None:
    await shop.fold(*(track(number, "1", user_id="bob") for number in range(10, 40)))
    await shop.checkpoint()

    assert len((await ask(api, "/v1/profiles/user_id:bob/events")).json["events"]) == 20
    assert len((await ask(api, "/v1/profiles/user_id:bob/events?limit=100")).json["events"]) == 30


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=many", "limit=", "before=-1", "before=x", f"before={2**63}"],
)
async def test_malformed_parameters(api: App, query: str) -> None:
    answer = await ask(api, f"/v1/profiles/user_id:ada/events?{query}")

    assert is_problem(answer, 400, "invalid-parameter")
    assert answer.json["errors"][0]["where"] == f"query.{query.partition('=')[0]}"


ODD = [
    "a/b",
    "a/traits",
    "traits",
    "/",
    "//",
    "x/",
    "a:b:c",
    "a+b c",
    "50%",
    "%2F",
    "a?b#c&d=e",
    "../..",
    "Zoë ☕ 数据 \U0001f9ff",
    "e\N{COMBINING ACUTE ACCENT}",
    "line\nfeed",
    'quote"\\',
    "user_id:user_id:",
]


@pytest.mark.parametrize("value", ODD)
async def test_odd_identifiers(api: App, shop: Shop, value: str) -> None:
    await shop.fold(track(5, "7", user_id=value), track(6, "8", user_id=value + "/traits"))
    await shop.checkpoint()
    encoded = quote(f"user_id:{value}", safe="")

    whole = await ask(api, f"/v1/profiles/{encoded}")
    traits = await ask(api, f"/v1/profiles/{encoded}/traits")
    events = await ask(api, f"/v1/profiles/{encoded}/events")
    other = await ask(api, f"/v1/profiles/{encoded}%2Ftraits")

    assert whole.json["identifiers"][0]["value"] == value
    assert traits.json == whole.json["traits"]
    assert traits.json["lifetime_value"] == 7
    assert len(events.json["events"]) == 1
    assert other.json["traits"]["lifetime_value"] == 8


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("a/b", "user_id:a/b"),
        ("a/b", "user_id%3Aa%2fb"),
        ("a+b", "user_id:a+b"),
        ("a/b", "%75ser_id:a/%62"),
        ("x/", "user_id:x/"),
        ("//x", "user_id://x"),
        ("50%", "user_id:50%"),
        ("Zoë", "user_id:Zo%c3%ab"),
    ],
)
async def test_spellings_of_one_address(api: App, shop: Shop, value: str, target: str) -> None:
    await shop.fold(track(5, "7", user_id=value))

    assert (await ask(api, f"/v1/profiles/{target}")).json["identifiers"][0]["value"] == value
    assert (await ask(api, f"/v1/profiles/{target}/version")).json == {"0": 3}


async def test_what_is_no_value_may_be_encoded_too(api: App, shop: Shop) -> None:
    await shop.fold(track(5, "7", user_id="%2F"))

    answer = await ask(api, "/v1/%70rofiles/%75ser_id%3A%252F/%74raits")

    assert answer.json["lifetime_value"] == 7


async def test_addresses_are_found_in_any_case(api: App) -> None:
    assert (await ask(api, "/v1/profiles/email:ADA%40example.COM")).status == 200


async def test_a_server_that_tells_no_raw_path(api: App, shop: Shop) -> None:
    async def without(scope: dict[str, Any], *rest: Any) -> None:
        del scope["raw_path"]
        await api(scope, *rest)

    await shop.fold(track(5, "7", user_id="a/%2F"))

    assert (await ask(without, "/v1/profiles/user_id:a%2F%252F/traits")).json["lifetime_value"] == 7


async def test_behind_a_prefix(api: App, shop: Shop) -> None:
    await shop.fold(track(5, "7", user_id="a/traits"))

    async def mounted(scope: dict[str, Any], *rest: Any) -> None:
        await api({**scope, "root_path": "/pre fix"}, *rest)

    assert (await ask(mounted, "/pre%20fix/v1/profiles/user_id:a%2Ftraits")).json["events"] == 1
    assert (await ask(mounted, "/pre%20fix/v1/profiles/user_id:a%2Ftraits/traits")).json["lifetime_value"] == 7
    assert (await ask(mounted, "/pre%20fix/health")).status == 200


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "kind:value"),
        ("42", "write kind:value, with one of these kinds: user_id, email, android.id"),
        ("phone:42", "'phone' is no kind"),
        ("user_id:", "has no value"),
        ("user_id:/traits", "has no value"),
        ("email:%20", "has no value"),
        ("user_id:a%00b", "NUL"),
        ("user_id:%ff", "no UTF-8"),
        ("traits", "is no identifier"),
    ],
)
async def test_malformed_identifiers(api: App, target: str, words: str) -> None:
    answer = await ask(api, f"/v1/profiles/{target}")

    assert is_problem(answer, 400, "invalid-identifier")
    assert words in answer.json["detail"]
    assert "percent-encode" in answer.json["remedy"]


@pytest.mark.parametrize("part", ["", "/traits", "/audiences", "/identifiers", "/attributes", "/version", "/events"])
async def test_unknown_profiles(api: App, part: str) -> None:
    answer = await ask(api, f"/v1/profiles/user_id:nobody{part}")

    assert is_problem(answer, 404, "profile-not-found")
    assert answer.json["detail"] == "no profile has the user_id 'nobody'"
    assert "user_id, email, android.id" in answer.json["remedy"]


@pytest.mark.parametrize("value", ["null", "shared-till", "0000", "x" * 401])
async def test_values_that_identify_nobody_say_so(api: App, value: str) -> None:
    answer = await ask(api, f"/v1/profiles/user_id:{value}")

    assert is_problem(answer, 404, "profile-not-found")
    assert "identifies nobody" in answer.json["detail"]


async def test_neither_cache_nor_store(api: App, shop: Shop) -> None:
    shop.faulty_cache.failure = Unreachable("no worker")
    shop.faulty_store.failure = Unreachable("no database", after=2.2)

    for target in ("profiles/user_id:ada", "profiles/user_id:ada/events", "overview", "rejected-events"):
        answer = await ask(api, f"/v1/{target}")
        assert is_problem(answer, 503, "unavailable")
        assert answer.json["detail"] == "no database"
        assert answer.headers["retry-after"] == "3"


async def test_a_store_that_refuses_us(api: App, shop: Shop) -> None:
    shop.faulty_store.failure = AccessRefused("password wrong: check DATABASE_URL")

    answer = await ask(api, "/v1/overview")

    assert is_problem(answer, 503, "unavailable")
    assert "check DATABASE_URL" in answer.json["detail"]


async def test_a_profile_of_another_release(api: App, shop: Shop) -> None:
    await shop.forget()
    shop.faulty_store.answers["load"] = [b"\x91\x63"]

    assert is_problem(await ask(api, "/v1/profiles/user_id:ada"), 500, "unreadable-profile")


async def test_what_too_many_share_is_listed_and_nobodys(api: App, shop: Shop) -> None:
    empty = await ask(api, "/v1/identity/set-aside")
    assert (empty.status, empty.json) == (200, {"identifiers": []})

    kiosk = SetAside("anonymous_id:kiosk/☕", 11, "m-11", 1_700_000_000_000_000)
    shop.decided.append(deciding(shop.decisions, kiosk))
    await shop.checkpoint()

    (aside,) = (await ask(api, "/v1/identity/set-aside")).json["identifiers"]
    assert aside == {
        "kind": "anonymous_id",
        "value": "kiosk/☕",
        "profiles": 11,
        "event": "m-11",
        "at": "2023-11-14T22:13:20Z",
    }
    for part in ("", "/events"):
        answer = await ask(api, f"/v1/profiles/{quote('anonymous_id:kiosk/☕', safe=':')}{part}")
        assert is_problem(answer, 404, "profile-not-found")
        assert "11 profiles shared it" in answer.json["detail"]
        assert "/v1/identity/set-aside" in answer.json["remedy"]

    shop.faulty_store.failure = Unreachable("the database is away")
    assert is_problem(await ask(api, "/v1/identity/set-aside"), 503, "unavailable")

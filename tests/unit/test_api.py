"""The API: every route, every error, and identifiers as odd as people make them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry

from asgi import Answer, App, ask
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.api import openapi, profiles, workspace
from obverse.apps.api.app import ApiParts, build
from obverse.apps.metrics import new_registry
from obverse.core.events import RejectedEvent
from obverse.flows import views
from obverse.ports.outcomes import AccessRefused, Unreachable
from reading import NOON, Shop, identify, open_shop, track


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    opened = await open_shop()
    await opened.fold(
        track(0, "0.10", anonymous_id="a-1"),
        identify(1, '{"email": "Ada@Example.com", "score": 1.50}', user_id="ada", anonymous_id="a-1"),
        track(2, "1000.20", user_id="ada"),
    )
    await opened.checkpoint()
    yield opened
    await opened.close()


def build_api(shop: Shop, **options: Any) -> App:
    known: dict[str, Any] = {
        "serve": shop.serve,
        "runtime": open_runtime(),
        "registry": new_registry("api"),
        "routes": (profiles.routes, workspace.routes),
    }
    return build(ApiParts(**known | options))


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


def is_problem(answer: Answer, status: int, kind: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status == answer.json["status"] == status
    assert answer.json["type"] == f"urn:obverse:problem:{kind}"
    return bool(answer.json["title"] and answer.json["detail"] and answer.json["remedy"])


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
        ("42", "write kind:value, with one of these kinds: user_id, email, anonymous_id"),
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
    assert "user_id, email, anonymous_id" in answer.json["remedy"]


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


async def test_an_error_of_ours_tells_nothing_of_it(api: App, shop: Shop) -> None:
    shop.faulty_store.failure = RuntimeError("secret")

    with structlog.testing.capture_logs() as logged:
        answer = await ask(api, "/v1/overview", headers={"X-Request-Id": "r-1"})

    assert [(line["route"], line["request_id"]) for line in logged] == [("/v1/overview", "r-1")]
    assert is_problem(answer, 500, "internal")
    assert b"secret" not in answer.body
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    metrics = await ask(api, "/metrics")
    assert b'obverse_api_requests_total{route="/v1/overview",status="500"} 1.0' in metrics.body


@pytest.mark.parametrize("target", ["/", "/v1", "/v1/profiles", "/v2/overview", "/health/", "/docs/other.js"])
async def test_addresses_without_anything(api: App, target: str) -> None:
    answer = await ask(api, target)

    assert is_problem(answer, 404, "not-found")
    assert "/docs" in answer.json["remedy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_methods_that_are_not_taken(api: App, method: str) -> None:
    for target in ("/v1/profiles/user_id:ada", "/v1/overview", "/health"):
        answer = await ask(api, target, method=method)
        assert is_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET"
        assert "collector" in answer.json["remedy"]


async def test_head_is_get_without_the_body(api: App) -> None:
    for target in ("/health", "/v1/profiles/user_id:ada"):
        head, get = await ask(api, target, method="HEAD"), await ask(api, target)
        assert head.status == 200
        assert head.headers["content-length"] == get.headers["content-length"]


async def test_the_overview(shop: Shop) -> None:
    answer = await ask(build_api(shop), "/v1/overview")

    assert answer.json == {
        "profiles": 1,
        "merges": 0,
        "events": 3,
        "rejected": 0,
        "audiences": {"big_spenders": 1, "one_time_buyers": 0},
        "lag": {"0": {"appended": 3, "kept": 3, "lag": 0}},
    }


async def test_the_overview_while_the_log_cannot_be_asked(shop: Shop) -> None:
    shop.faulty_log.failure = Unreachable("no log")

    answer = await ask(build_api(shop), "/v1/overview")

    assert (answer.status, answer.json["lag"], answer.json["profiles"]) == (200, None, 1)


async def test_rejected_events(api: App, shop: Shop) -> None:
    event = RejectedEvent(source="shop", received_at=NOON, code="invalid_json", reason="no JSON at 1", body=b"{")
    await shop.checkpoint(rejected=[event] * 30)

    shown = await ask(api, "/v1/rejected-events")

    assert len(shown.json["rejected"]) == 20
    assert shown.json["rejected"][0]["reason"] == "no JSON at 1"
    assert len((await ask(api, "/v1/rejected-events?limit=25")).json["rejected"]) == 25
    assert is_problem(await ask(api, "/v1/rejected-events?limit=1001"), 400, "invalid-parameter")


@pytest.mark.parametrize("target", ["/health", "/livez", "/healthz"])
async def test_health_asks_nobody(api: App, shop: Shop, target: str) -> None:
    shop.faulty_store.failure = shop.faulty_cache.failure = RuntimeError("must not be asked")

    answer = await ask(api, target)

    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert shop.faulty_store.asked == shop.faulty_cache.asked == []


@pytest.mark.parametrize("target", ["/ready", "/readyz"])
async def test_ready(api: App, shop: Shop, target: str) -> None:
    well = await ask(api, target)
    shop.faulty_cache.failure = Unreachable("no worker")
    degraded = await ask(api, target)
    shop.faulty_store.failure = Unreachable("no database")
    down = await ask(api, target)

    assert (well.status, well.json["status"]) == (200, "ready")
    assert (degraded.status, degraded.json["status"]) == (200, "degraded")
    assert [one["status"] for one in degraded.json["components"]] == ["ok", "unreachable"]
    assert degraded.json["components"][1]["detail"] == "no worker"
    assert is_problem(down, 503, "not-ready")
    assert "no database" in down.json["detail"]
    assert [one["status"] for one in down.json["components"]] == ["unreachable", "unreachable"]
    assert all(one["remedy"] for one in down.json["components"])
    assert down.headers["retry-after"] == "1"


async def test_the_release(api: App) -> None:
    answer = await ask(api, "/version")

    assert answer.status == 200
    assert answer.json["version"]


async def test_robots_stay_out(api: App) -> None:
    answer = await ask(api, "/robots.txt")

    assert (answer.status, answer.body) == (200, b"User-agent: *\nDisallow: /\n")


async def test_metrics(api: App) -> None:
    await ask(api, "/v1/profiles/user_id:ada/traits")
    await ask(api, "/v1/profiles/user_id:bob/traits")
    await ask(api, "/v1/nothing/of/ada")

    answer = await ask(api, "/metrics")

    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert 'obverse_api_requests_total{route="/v1/profiles/{identifier}/traits",status="200"} 1.0' in text
    assert 'obverse_api_requests_total{route="/v1/profiles/{identifier}/traits",status="404"} 1.0' in text
    assert 'obverse_api_requests_total{route="unmatched",status="404"} 1.0' in text
    assert 'obverse_api_request_duration_seconds_count{route="unmatched"} 1.0' in text
    assert 'obverse_build_info{role="api",version=' in text
    assert "ada" not in text


KEYED = ["/v1/profiles/user_id:ada", "/v1/overview", "/v1/rejected-events", "/%76%31/overview", "/nothing"]


@pytest.mark.parametrize("given", [None, "", "secret", "Basic secret", "Bearer", "Bearer secre", "Bearer secret2"])
async def test_with_a_key_nothing_is_read_without_it(shop: Shop, given: str | None) -> None:
    api = build_api(shop, api_key="secret")

    for target in KEYED:
        answer = await ask(api, target, headers={} if given is None else {"Authorization": given})
        assert is_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "OBVERSE_API__KEY" in answer.json["remedy"]
    assert shop.faulty_store.asked == shop.faulty_cache.asked == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_with_the_key_all_is_read(shop: Shop, scheme: str) -> None:
    api = build_api(shop, api_key="sëcret")

    for target in KEYED[:4]:
        assert (await ask(api, target, headers={"Authorization": f"{scheme} sëcret"})).status == 200


OPEN = ["/health", "/ready", "/version", "/metrics", "/robots.txt", "/openapi.json", "/docs", "/docs/start.js"]


@pytest.mark.parametrize("target", OPEN)
async def test_what_tells_of_nobody_needs_no_key(shop: Shop, target: str) -> None:
    assert (await ask(build_api(shop, api_key="secret"), target)).status == 200


async def test_a_route_of_somebody_else_needs_the_key_too(shop: Shop) -> None:
    def extra(parts: ApiParts) -> APIRouter:
        assert parts.serve is shop.serve
        router = APIRouter()

        @router.get("/extra/{name}")
        async def hello(name: str) -> PlainTextResponse:
            return PlainTextResponse(name)

        return router

    api = build_api(shop, api_key="secret", routes=(profiles.routes, extra))

    assert (await ask(api, "/extra/hello")).status == 401
    assert (await ask(api, "/extra/hello", headers={"Authorization": "Bearer secret"})).body == b"hello"
    assert "/extra/{name}" in (await ask(api, "/openapi.json")).json["paths"]


async def test_every_answer_has_the_headers_that_protect_it(api: App) -> None:
    for target in (*KEYED, *OPEN):
        answer = await ask(api, target)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert (answer.headers.get("cache-control") == "no-store") == (target in KEYED)


async def test_a_request_has_an_id(api: App) -> None:
    made = [(await ask(api, "/health")).headers["x-request-id"] for _ in range(2)]
    odd = (await ask(api, "/health", headers={"X-Request-Id": "two words"})).headers["x-request-id"]

    assert (await ask(api, "/health", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    assert len({*made, odd}) == 3
    assert odd != "two words"


async def test_the_document_is_the_one_that_is_committed(api: App) -> None:
    answer = await ask(api, "/openapi.json")

    assert openapi.pretty(answer.json) == openapi.PATH.read_text(encoding="utf-8"), (
        "the API has moved away from its document: look at the difference, then `python -m obverse.apps.api.openapi`"
    )
    assert await openapi.generate() == answer.json


async def test_the_document_tells_every_answer(api: App) -> None:
    tree = (await ask(api, "/openapi.json")).json

    assert tree["openapi"].startswith("3.1")
    assert set(tree["paths"]) == {
        "/v1/profiles/{identifier}",
        *(f"/v1/profiles/{{identifier}}/{part}" for part in (
            "traits", "audiences", "identifiers", "attributes", "events", "version"
        )),
        "/v1/overview",
        "/v1/rejected-events",
        "/health",
        "/ready",
        "/version",
        "/metrics",
    }  # fmt: skip
    for path, operations in tree["paths"].items():
        for operation in operations.values():
            told = operation["responses"]
            expected = {"200", "500"} | ({"401"} if path.startswith("/v1/") else set())
            assert expected <= set(told)
            assert "422" not in told
            for status, response in told.items():
                (media,) = response["content"]
                assert media == ("application/problem+json" if status != "200" else media)
                assert response["content"][media]["schema"]
            for parameter in operation.get("parameters", ()):
                assert parameter["description"]
    assert {"400", "404", "503"} <= set(tree["paths"]["/v1/profiles/{identifier}/traits"]["get"]["responses"])


def test_every_reference_of_the_document_leads_somewhere() -> None:
    tree = json.loads(openapi.PATH.read_text(encoding="utf-8"))

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    known = {f"#/components/schemas/{name}" for name in tree["components"]["schemas"]}
    assert set(references(tree)) == known


async def test_the_page_loads_nothing_from_elsewhere(api: App) -> None:
    page = await ask(api, "/docs")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert "http://" not in text
    assert "https://" not in text
    assert "'unsafe-inline'" not in page.headers["content-security-policy"].partition("style-src")[0]
    script, style = await ask(api, "/docs/swagger-ui-bundle.js"), await ask(api, "/docs/swagger-ui.css")
    assert (script.status, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert b"SwaggerUIBundle" in script.body
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert b"SwaggerUIBundle(" in (await ask(api, "/docs/start.js")).body


async def test_two_apps_need_two_registries(shop: Shop) -> None:
    registry = CollectorRegistry()
    build: Callable[[], App] = lambda: build_api(shop, registry=registry)  # noqa: E731 - named for what follows
    assert (await ask(build(), "/health")).status == 200
    with pytest.raises(ValueError, match="Duplicated"):
        await ask(build(), "/health")

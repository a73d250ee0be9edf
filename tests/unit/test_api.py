"""The API of the workspace and of the process: every route, every error, keys, headers, the document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.apps.api import openapi, profiles
from obverse.apps.api.app import ApiParts
from obverse.ports.outcomes import Unreachable
from reading import Shop


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


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


@pytest.mark.parametrize("target", ["/v1", "/v1/nothing", "/v2/overview", "/health/", "/docs/other.js"])
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
        "received": 3,
        "connections": [],
        "behind": {"activate": None, "deliver": None},
        "messages": dict.fromkeys(("queued", "waiting", "sending", "sent", "refused", "unknown"), 0),
    }


async def test_the_overview_while_the_log_cannot_be_asked(shop: Shop) -> None:
    shop.faulty_log.failure = Unreachable("no log")

    answer = await ask(build_api(shop), "/v1/overview")

    assert (answer.status, answer.json["lag"], answer.json["profiles"]) == (200, None, 1)


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


KEYED = ["/v1/profiles/user_id:ada", "/v1/overview", "/v1/rejected-events", "/%76%31/overview", "/v1/nothing"]


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
            "traits", "audiences", "groups", "identifiers", "attributes", "events", "version", "compare", "restore"
        )),
        "/v1/profiles",
        "/v1/profiles/read",
        "/v1/audiences",
        "/v1/audiences/{name}/members",
        "/v1/traits",
        "/v1/traits/{name}",
        "/v1/groups",
        "/v1/groups/{id}",
        "/v1/groups/{id}/members",
        "/v1/events",
        "/v1/events/live",
        "/v1/identity/requests/{id}",
        "/v1/identity/set-aside",
        "/v1/identity/unmerge",
        "/v1/inbox",
        "/v1/inbox/{id}",
        "/v1/connections",
        "/v1/definitions",
        "/v1/definitions/changes",
        "/v1/definitions/folder",
        "/v1/definitions/{kind}/{name}",
        *(f"/v1/connections/{{name}}/{part}" for part in (
            "records", "queue", "dead-letters", "dead-letters/retry"
        )),
        "/v1/loads",
        "/v1/loads/{load}",
        *(f"/v1/loads/{{load}}/{part}" for part in ("mapping", "try", "start", "stop", "rejects")),
        "/v1/messages",
        "/v1/messages/{id}",
        "/v1/messages/{id}/resolve",
        "/v1/campaigns",
        "/v1/session",
        "/v1/sources", "/v1/sources/{name}/rotate", "/v1/sources/{name}/retire",
        "/v1/overview",
        *(f"/v1/spaces/{{space}}/collections/{{collection}}/profiles/{{identifier}}/{part}" for part in (
            "traits", "external_ids", "events", "metadata", "links"
        )),
        "/v1/proposals", "/v1/proposals/counts", "/v1/proposals/{id}/accept", "/v1/proposals/{id}/reject",
        "/v1/replays", "/v1/replays/{id}", "/v1/replays/{id}/run", "/v1/replays/{id}/cancel",
        "/v1/rejected-events", "/v1/rejected-events/counts", "/v1/rejected-events/replay",
        "/v1/audiences/preview", "/v1/profiles/{identifier}/audiences/{audience}/why",
        "/v1/profiles/{identifier}/consents",
        "/health",
        "/ready",
        "/version",
        "/metrics",
    }  # fmt: skip
    for path, operations in tree["paths"].items():
        for operation in operations.values():
            told = operation["responses"]
            done = min(told)
            assert "200" <= done <= "204"
            expected = {done, "500"} | ({"401"} if path.startswith("/v1/") else set())
            assert expected <= set(told)
            assert told.get("422", {}).get("description") != "Validation Error"
            for status, response in told.items():
                if status == "204":
                    continue
                assert response["content"]
                plain = path.startswith("/v1/spaces/") or status < "400"
                for media, content in response["content"].items():
                    assert media == (media if plain else "application/problem+json")
                    assert content["schema"]
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

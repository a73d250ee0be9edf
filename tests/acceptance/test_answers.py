"""Each row of the contract's table "What ours answers", over HTTP; and nothing half-written."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import secrets
import signal
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from installation import Installation, until
from obverse.apps.bench.machine import tree
from obverse.apps.sources import add_source, new_key

pytestmark = pytest.mark.service

SUCCESS = {"success": True}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Asked", "userId": "u-1", "messageId": secrets.token_hex(8), **fields}


async def rejected(here: Installation, code: str, field: str | None = None) -> dict[str, Any]:
    """The latest rejected event of this code, once it is in the table."""

    async def look() -> Any:
        async with here.sql() as connection:
            return await connection.fetchrow(
                "select * from rejected_events where code = $1 and ($2::text is null or field = $2)"
                " order by received_at desc limit 1",
                code,
                field,
            )

    return dict(await until(look))


async def stored(here: Installation, message_id: str) -> list[dict[str, Any]]:
    """The rows of an event, once everything is kept."""
    await until(here.drained)
    async with here.sql() as connection:
        rows = await connection.fetch("select * from event_stream where message_id = $1", message_id)
    return [dict(row) for row in rows]


@pytest.mark.parametrize(
    ("headers", "body_key"),
    [("good", None), ("colonless", None), ("none", "good"), ("bearer", "good"), ("good", "other")],
)
async def test_a_good_key_in_any_form_is_let_in(here: Installation, headers: str, body_key: str | None) -> None:
    form = {
        "good": basic(here.key),
        "colonless": {"Authorization": "Basic " + b64encode(here.key.encode()).decode()},
        "bearer": {"Authorization": "Bearer some.oauth.token"},
        "none": {},
    }[headers]
    key = {"good": here.key, "other": "wk_other"}.get(body_key or "")
    event = track(**({"writeKey": key} if key else {}))

    assert await here.post("/v1/track", event, **form) == (200, SUCCESS)
    assert len(await stored(here, event["messageId"])) == 1


@pytest.mark.parametrize(
    "headers", [{}, basic("wk_wrong"), {"Authorization": "Bearer x"}, {"Authorization": "Basic %%"}]
)
async def test_without_a_good_key_it_is_401(here: Installation, headers: dict[str, str]) -> None:
    status, answer = await here.post("/v1/track", track(), **headers)

    assert (status, answer["success"], answer["code"]) == (401, False, "invalid_write_key")
    assert "writeKey" in answer["message"]


async def test_a_disabled_source_is_404(here: Installation) -> None:
    key, name = new_key(), f"off-{secrets.token_hex(4)}"
    path = add_source(here.data / "definitions", name, key)
    path.write_text(path.read_text().replace("enabled: true", "enabled: false"))

    async def refused() -> bool:
        status, answer = await here.post("/v1/track", track(), **basic(key))
        return status == 404 and answer["code"] == "source_disabled" and name in answer["message"]

    assert await until(refused)


@pytest.mark.parametrize("body", [b"{", b'{"userId":"\xff"}', b'{"userId":NaN}', b'{"userId":"a",}', b""])
@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
async def test_what_is_no_json_is_400_and_kept(here: Installation, path: str, body: bytes) -> None:
    status, answer = await here.post(path, body, **basic(here.key))

    assert (status, answer["code"]) == (400, "invalid_json")
    kept = await rejected(here, "invalid_json")
    assert kept["source"] == "test"


async def test_of_an_unreadable_body_the_first_kilobyte_is_kept(here: Installation) -> None:
    body = b"{" + secrets.token_hex(1500).encode()

    assert (await here.post("/v1/batch", body, **basic(here.key)))[0] == 400
    async with here.sql() as connection:

        async def look() -> Any:
            return await connection.fetchval("select count(*) from rejected_events where body = $1", body[:1024])

        assert await until(look) == 1


async def test_a_single_event_that_is_too_large_is_400(here: Installation) -> None:
    status, answer = await here.post("/v1/track", track(properties={"x": "y" * 33_000}), **basic(here.key))

    assert (status, answer["code"]) == (400, "event_too_large")
    assert (await rejected(here, "event_too_large", "$"))["body"].startswith(b'{"type":"track"')


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_request_that_unpacks_to_too_much_is_400(here: Installation, encoding: str) -> None:
    body = b'{"batch":[' + b" " * 520_000 + b"]}"
    headers = basic(here.key) | {"Content-Encoding": encoding}

    status, answer = await here.post("/v1/batch", gzip.compress(body) if encoding == "gzip" else body, **headers)

    assert (status, answer["code"]) == (400, "batch_too_large")
    assert (await rejected(here, "batch_too_large"))["body"].startswith(b'{"batch":[   ')


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"[1]", "not_an_object", "$"),
        (b'{"type":"track","event":"A"}', "missing_id", "$.userId"),
        (b'{"type":"track","userId":"u"}', "missing_event", "$.event"),
    ],
)
async def test_json_that_is_no_event_is_200_and_kept(here: Installation, body: bytes, code: str, field: str) -> None:
    assert await here.post("/v1/track", body, **basic(here.key)) == (200, SUCCESS)
    kept = await rejected(here, code, field)
    assert kept["body"] == body
    assert field in kept["reason"]


async def test_an_unknown_type_is_200_and_kept(here: Installation) -> None:
    odd = track(type="sing")

    assert await here.post("/v1/batch", {"batch": [odd]}, **basic(here.key)) == (200, SUCCESS)
    assert (await rejected(here, "unknown_type"))["field"] == "$.batch[0].type"


async def test_the_neighbours_of_bad_items_are_accepted(here: Installation) -> None:
    good, large = [track(), track()], track(properties={"x": "y" * 33_000})
    body = {"batch": [good[0], large, {"type": "track"}, 7, good[1]]}

    status, answer = await here.post("/v1/batch", body, **basic(here.key), **{"X-Obverse-Report": "rejected"})

    assert status == 200
    assert [(one["index"], one["code"]) for one in answer["rejected"]] == [
        (1, "event_too_large"),
        (2, "missing_id"),
        (3, "not_an_object"),
    ]
    for event in good:
        assert len(await stored(here, event["messageId"])) == 1
    assert await stored(here, large["messageId"]) == []


async def test_of_too_many_items_the_first_are_accepted(here: Installation) -> None:
    mark = secrets.token_hex(4)
    batch = [{"type": "page", "userId": "many", "messageId": f"{mark}-{place}"} for place in range(2502)]

    assert await here.post("/v1/batch", {"batch": batch}, **basic(here.key)) == (200, SUCCESS)
    await rejected(here, "too_many_items", "$.batch[2501]")
    await until(here.drained)
    async with here.sql() as connection:
        found = await connection.fetchval("select count(*) from event_stream where message_id like $1", f"{mark}-%")
    assert found == 2500


@asynccontextmanager
async def stopped(here: Installation, name: str) -> AsyncIterator[None]:
    """Hold a process, and what it has started, in the middle of whatever it does."""
    pids = tree(here.note["pids"][name])
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_overload_is_429_with_retry_after(here: Installation) -> None:
    """While PostgreSQL stands still the queue of 4 MiB fills; beyond it senders are asked to wait."""
    large = {"batch": [track(properties={"x": secrets.token_hex(12_000)}) for _ in range(20)]}
    body = msgspec.json.encode(large)
    refused: list[tuple[int, str | None, str]] = []

    async def send() -> None:
        async with here.http.post(here.note["collector"] + "/v1/batch", data=body, headers=basic(here.key)) as answer:
            code = msgspec.json.decode(await answer.read()).get("code", "")
            refused.append((answer.status, answer.headers.get("Retry-After"), code))

    async with stopped(here, "postgres"):
        tasks = [asyncio.create_task(send()) for _ in range(12)]

        async def told() -> bool:
            return (429, "1", "overloaded") in refused

        await until(told)
    await asyncio.gather(*tasks)
    assert {status for status, _, _ in refused} <= {200, 429, 503}
    await until(here.drained)


async def test_while_the_log_is_away_it_is_503_with_retry_after_and_then_goes_on(here: Installation) -> None:
    event = track()
    seen: list[tuple[int, str | None, str]] = []

    async def unavailable() -> bool:
        async with here.http.post(
            here.note["collector"] + "/v1/track", json=track(), headers=basic(here.key)
        ) as answer:
            code = msgspec.json.decode(await answer.read()).get("code", "")
            seen.append((answer.status, answer.headers.get("Retry-After"), code))
        return seen[-1] == (503, "1", "log_unavailable")

    os.kill(here.note["pids"]["postgres"], signal.SIGKILL)
    await until(unavailable)

    async def accepted() -> bool:
        return (await here.post("/v1/track", event, **basic(here.key)))[0] == 200

    await until(accepted)
    assert {status for status, _, _ in seen} <= {200, 503}
    assert len(await stored(here, event["messageId"])) == 1


async def test_a_path_that_is_none_and_a_method_that_is_none_say_so(here: Installation) -> None:
    assert (await here.post("/v1/nothing", b"{}"))[1]["code"] == "not_found"
    async with here.http.get(here.note["collector"] + "/v1/track") as answer:
        assert answer.status == 405
        assert (await answer.json())["code"] == "method_not_allowed"


async def test_health_readiness_and_metrics_of_every_role(here: Installation) -> None:
    for role in ("collector", "worker", "api", "sandbox"):
        for path in ("/health", "/ready", "/metrics"):
            async with here.http.get(here.note[role] + path) as answer:
                text = await answer.text()
                assert answer.status == 200, (role, path, text)
        assert "# EOF" in text
        assert f'role="{role}"' in text


WAITING = {
    "collector": {("replay", "rejected"), ("replay", "events")},
    "worker": {
        ("unify", "events"),
        ("keep_rejected", "rejected"),
        ("activate", "changes"),
        ("deliver", "changes"),
        ("deliver", "messages"),
        ("replaying", "replays"),
    },
}


@pytest.mark.parametrize("role", WAITING)
async def test_of_each_flow_that_has_a_queue_it_is_told_what_waits(here: Installation, role: str) -> None:
    async def told() -> bool:
        async with here.http.get(f"{here.note[role]}/metrics") as answer:
            labels = re.findall(
                r'^obverse_flow_waiting\{flow="(\w+)",queue="(\w+)"\}', await answer.text(), re.MULTILINE
            )
        return set(labels) >= WAITING[role]

    assert await until(told)

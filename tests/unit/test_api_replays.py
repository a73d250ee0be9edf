"""Routes of replays: planned, looked at, run and cancelled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api_steps import build_api, is_problem
from asgi import Answer, App, ask
from obverse.adapters.memory.replays import MemoryReplays
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.replays import REPORT
from obverse.flows.ask_replay import AskReplay
from obverse.ports.outcomes import Unreachable
from reading import Shop, open_shop

PATH = "/v1/replays"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = await open_shop()
    yield shop
    await shop.close()


@pytest.fixture
def ledger() -> MemoryReplays:
    return MemoryReplays()


@pytest.fixture
def api(shop: Shop, ledger: MemoryReplays) -> App:
    return build_api(shop, ask_replay=AskReplay(ledger, open_runtime()))


async def post(api: App, path: str = "", body: Any = None) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return await ask(api, PATH + path, method="POST", body=text)


async def test_a_replay_is_planned_then_run(api: App, ledger: MemoryReplays) -> None:
    asked = await post(api, body={"to": "activate", "connection": "crm", "since": "1 day"})
    assert asked.status == 200, asked.body
    told = asked.json
    assert (told["id"], told["state"], told["to"], told["connection"]) == (1, "planning", ["activate"], "crm")
    assert is_problem(await post(api, "/1/run"), 409, "not-open")

    await (await ledger.open_worker()).planned(1, REPORT)
    planned = (await ask(api, f"{PATH}/1")).json
    assert planned["state"] == "planned"
    assert planned["plan"]["activate"]["connections"]["hubspot"]["fields"] == {"city": 2}
    running = await post(api, "/1/run")
    assert (running.status, running.json["state"]) == (200, "running")
    cancelled = await post(api, "/1/cancel")
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    assert is_problem(await post(api, "/1/cancel"), 409, "not-open")


async def test_they_are_listed_a_page_at_a_time(api: App) -> None:
    for _ in range(3):
        await post(api, body={"to": "all"})
    first = (await ask(api, f"{PATH}?limit=2")).json
    assert ([one["id"] for one in first["replays"]], first["next"]) == ([3, 2], 2)
    second = (await ask(api, f"{PATH}?limit=2&before=2")).json
    assert ([one["id"] for one in second["replays"]], second["next"]) == ([1], None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"to": "everybody"}, "name one of unify, activate, deliver, all"),
        ({"to": "all", "since": "soon"}, "which is no time"),
        ({"to": "unify", "partition": "0"}, "Expected `int | null`"),
        ({"to": "unify", "form": 3}, "unknown field `form`"),
        ({"to": "all", "connection": "crm\0"}, r"connection is 'crm\x00', which can name none"),
        ({"to": "all", "campaign": "x" * 200_000}, "which can name none: give the name of its definition"),
        ({}, "missing required field `to`"),
        (b"{", "cannot be read"),
    ],
)
async def test_what_cannot_be_asked_is_told(api: App, ledger: MemoryReplays, body: Any, said: str) -> None:
    answer = await ask(
        api, PATH, method="POST", body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )  # fmt: skip
    assert is_problem(answer, 400, "invalid-body")
    assert said in answer.json["detail"]
    assert ledger.kept == {}


async def test_one_that_is_not_there_is_told(api: App) -> None:
    for answer in (await ask(api, f"{PATH}/9"), await post(api, "/9/run"), await post(api, "/9/cancel")):
        assert is_problem(answer, 404, "unknown-replay")
    assert (await ask(api, f"{PATH}/x")).status == 400
    assert (await ask(api, f"{PATH}?limit=0")).status == 400


async def test_a_ledger_that_is_away_is_told(shop: Shop) -> None:
    class Away(MemoryReplays):
        async def page(self, *, limit: int, before: int | None = None) -> Any:
            raise Unreachable(f"the database is away ({limit}, {before})")

    api = build_api(shop, ask_replay=AskReplay(Away(), open_runtime()))
    assert (await ask(api, PATH)).status == 503

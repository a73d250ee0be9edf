"""The API tells how connections are, and has dead letters tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import Answer, App, ask
from obverse.adapters.memory.sync_queue import MemorySyncQueue
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.sync_queue import ADA, BOB, T0, record
from obverse.core.identity import id_text
from obverse.flows.syncs import Syncs
from obverse.ports.sync_queue import Attempt, Died, Standing, SyncWorker, Written
from sync_steps import CRM, defined


@dataclass
class Desk:
    """The API over one connection, and the worker of its queue."""

    app: App
    worker: SyncWorker

    async def get(self, path: str) -> Answer:
        return await ask(self.app, f"/v1/connections{path}")

    async def retry(self, body: Any, name: str = "crm") -> Answer:
        sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await ask(self.app, f"/v1/connections/{name}/dead-letters/retry", method="POST", body=sent)

    async def die(self, profile: bytes, reason: str = "bad city") -> None:
        await self.worker.put({"crm": [profile]}, mark=None, now=T0)
        (task,) = [one for one in await self.worker.due("crm", limit=9, now=T0) if one.profile == profile]
        await self.worker.settle("crm", [Died(task=task, fields={"city": "Rome"}, attempt=Attempt(T0, reason))])


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    runtime = open_runtime()
    queue = MemorySyncQueue(runtime)
    worker = await queue.open_worker()
    async with open_api_shop() as shop:
        app = build_api(shop, syncs=Syncs(queue, lambda: defined(CRM), runtime))
        yield Desk(app, worker)
    await worker.close()


async def test_a_connection_that_was_never_tried_waits(desk: Desk) -> None:
    answer = await desk.get("")

    (one,) = answer.json["connections"]
    assert (one["name"], one["crm"], one["state"], one["records"], one["last_success_at"]) == (
        "crm",
        "memory",
        "waiting",
        0,
        None,
    )
    assert one["fields"][0] == {"field": "firstname", "from": "attribute.first_name", "direction": "both"}


async def test_it_is_told_how_a_connection_stands_and_what_to_do(desk: Desk) -> None:
    await desk.worker.stand("crm", Standing(state="refused", reason="who?", remedy="the key", last_success_at=T0))
    await desk.die(ADA)
    await desk.worker.put({"crm": [BOB]}, mark=None, now=T0)

    (one,) = (await desk.get("")).json["connections"]

    assert (one["state"], one["reason"], one["remedy"]) == ("refused", "who?", "the key")
    assert (one["waiting"], one["dead"]) == (1, 1)
    assert one["last_success_at"] == "2026-01-01T00:00:00Z"


async def test_records_are_read_by_pages_and_by_address(desk: Desk) -> None:
    await desk.worker.put({"crm": [ADA, BOB]}, mark=None, now=T0)
    for task in await desk.worker.due("crm", limit=9, now=T0):
        email = "ada@example.com" if task.profile == ADA else "bob@example.com"
        await desk.worker.settle("crm", [Written(task=task, record=record(task.profile, email[0], email, city="Rome"))])

    first = (await desk.get("/crm/records?limit=1")).json
    second = (await desk.get(f"/crm/records?limit=1&after={first['next']}")).json

    assert {one["email"] for one in (*first["records"], *second["records"])} == {"ada@example.com", "bob@example.com"}
    assert second["next"] is None
    (found,) = (await desk.get("/crm/records?q=ADA@")).json["records"]
    assert found == {
        "record_id": "a",
        "profile": id_text(ADA),
        "email": "ada@example.com",
        "fields": {"city": "Rome"},
        "synced_at": "2026-01-01T00:00:00Z",
    }


async def test_what_waits_is_listed(desk: Desk) -> None:
    await desk.worker.put({"crm": [ADA]}, mark=None, now=T0)

    assert (await desk.get("/crm/queue")).json == {
        "waiting": [{"profile": id_text(ADA), "due_at": "2026-01-01T00:00:00Z", "attempts": 0, "last_error": None}],
        "next": None,
    }


async def test_dead_letters_are_listed_and_tried_again(desk: Desk) -> None:
    await desk.die(ADA)
    await desk.die(BOB)

    listed = (await desk.get("/crm/dead-letters")).json["dead_letters"]
    assert {one["id"] for one in listed} == {id_text(ADA), id_text(BOB)}
    assert all(one["remedy"] for one in listed)
    assert listed[0]["attempts"] == [{"at": "2026-01-01T00:00:00Z", "error": "bad city"}]
    assert (listed[0]["reason"], listed[0]["fields"]) == ("bad city", {"city": "Rome"})

    assert (await desk.retry({"ids": [id_text(ADA)]})).json == {"retried": 1}
    assert (await desk.retry({"all": True})).json == {"retried": 1}
    assert (await desk.retry({"all": True})).json == {"retried": 0}
    assert len((await desk.get("/crm/queue")).json["waiting"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        {},
        {"ids": []},
        {"ids": ["x"]},
        {"ids": [7]},
        {"all": True, "ids": ["a"]},
        {"al": True},
        b"\xff",
    ],
)
async def test_a_body_that_names_nothing_is_refused(desk: Desk, body: Any) -> None:
    answer = await desk.retry(body)

    kind = "invalid-parameter" if body == {"ids": ["x"]} else "invalid-body"
    assert is_problem(answer, 400, kind)


async def test_a_body_has_a_size(desk: Desk) -> None:
    assert is_problem(await desk.retry(b" " * (300 * 1024)), 413, "too-large")


@pytest.mark.parametrize("path", ["records", "queue", "dead-letters"])
async def test_bad_pages_and_unknown_names_are_told(desk: Desk, path: str) -> None:
    assert is_problem(await desk.get(f"/nobody/{path}"), 404, "connection-not-found")
    assert "there are crm" in (await desk.get(f"/nobody/{path}")).json["detail"]
    assert is_problem(await desk.get(f"/crm/{path}?after=x"), 400, "invalid-parameter")
    assert is_problem(await desk.get(f"/crm/{path}?limit=0"), 400, "invalid-parameter")
    assert is_problem(await desk.retry({"all": True}, "nobody"), 404, "connection-not-found")

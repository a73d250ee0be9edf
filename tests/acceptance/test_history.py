"""The past in real PostgreSQL: as of any time a profile equals a plain reduce over what had come by then."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
import yaml

from installation import Installation, installation, kill, running, until
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.as_of import bench_as_of
from obverse.contracts.engine_steps import Placed, append, reduced
from obverse.contracts.stories import DEFINITIONS, START, tell
from obverse.core import json_values, times
from obverse.core.people import People
from obverse.flows.history import History
from obverse.flows.serve import Serve
from obverse.flows.views import ProfileView, view_profile
from obverse.ports.engine import EngineParts
from reading import Faulty
from services import Database

pytestmark = pytest.mark.service

CHANGES = 500
INSTANTS = 10


@pytest.fixture
async def parts(database: Database) -> AsyncIterator[EngineParts]:
    runtime = open_runtime()
    worker = database.dsn("obverse_worker")
    log = await open_event_log(PostgresLogSettings(dsn=worker), runtime)
    store = await open_profile_store(PostgresStoreSettings(dsn=worker), runtime)
    cache = await open_profile_cache(MemoryCacheSettings(), runtime)
    yield EngineParts(
        workspace="main", log=log, store=store, cache=cache, definitions=lambda: DEFINITIONS, runtime=runtime
    )
    await store.close()
    await log.close()


async def fold(parts: EngineParts) -> None:
    engine = await open_engine(EmbeddedSettings(checkpoint_events=70, idle_seconds=0.01), parts)
    running = asyncio.ensure_future(engine.run())
    await asyncio.wait_for(engine.drain(), 60)
    running.cancel()
    await asyncio.wait([running])


def readable(view: ProfileView) -> Any:
    """What is read of a profile, but for how its audiences were entered, and the past itself."""
    told = json_values.decode(json_values.encode(view))
    told.pop("past", None)
    return {**told, "audiences": sorted(one["name"] for one in told["audiences"])}


def by_then(placed: list[Placed], at: int) -> People:
    return reduced([one for one in placed if one[2].received_at <= at])


async def test_after_500_changes_it_is_at_ten_random_instants_the_fold_of_the_events_up_to_then(
    parts: EngineParts, database: Database
) -> None:
    """One person, three browsers that become one with them, times out of order; read as the api's role may."""
    placed = await append(parts, tell(seed=5, people=1, events=CHANGES), batch=25)
    await fold(parts)
    api = Faulty(await open_profile_store(PostgresStoreSettings(dsn=database.dsn("obverse_api")), parts.runtime))
    history = History(api, Serve(api, parts.cache, lambda: DEFINITIONS), lambda: DEFINITIONS, parts.runtime)
    name, dice = "user_id:user-5-0", Random(5)
    took, own = [], []
    for at in [START + dice.randrange(20_000_000, CHANGES * 1_000_000 - 1_000_000) for _ in range(INSTANTS)]:
        api.asked.clear()
        began, spent = time.perf_counter(), time.process_time()
        found = await history.profile(name, at)
        took.append((time.perf_counter() - began) * 1000)
        own.append((time.process_time() - spent) * 1000)

        expected = by_then(placed, at)
        assert found is not None
        assert readable(found.view) == readable(view_profile(expected.profiles[expected.owners[name]], DEFINITIONS))
        assert found.view.past
        assert found.view.past.complete
        assert api.asked == ["load", "decisions_of", "remains", "past_events"]
    await api.close()
    print(  # noqa: T201 - a figure, for whoever reads it
        f"\nas of {INSTANTS} instants, {CHANGES} changes: {median(took):.1f} ms in the median, {max(took):.1f} ms at "
        f"most ({median(own):.1f} and {max(own):.1f} ms of this process's CPU), 4 queries each"
    )


async def test_decisions_are_kept_once_whatever_happens_to_the_engine(parts: EngineParts) -> None:
    placed = await append(parts, tell(seed=6, people=4, events=100), batch=5)
    for _ in range(3):
        await fold(parts)

    at = START + 50 * 1_000_000
    history = History(
        parts.store, Serve(parts.store, parts.cache, lambda: DEFINITIONS), lambda: DEFINITIONS, parts.runtime
    )
    expected = by_then(placed, at)
    for name, owner in expected.owners.items():
        found = await history.profile(name, at)
        assert found is not None
        assert readable(found.view) == readable(view_profile(expected.profiles[owner], DEFINITIONS))


async def test_what_is_let_go_with_its_partition_is_told(parts: EngineParts, database: Database) -> None:
    placed = await append(parts, tell(seed=7, people=1, events=60), batch=30)
    await fold(parts)
    connection = await asyncpg.connect(database.admin)
    await connection.execute(
        "alter table event_stream detach partition event_stream_0;"
        " create table event_stream_late partition of event_stream for values from (30) to (10000000);"
        " insert into event_stream select * from event_stream_0 where event_id >= 30; drop table event_stream_0"
    )
    await connection.close()
    history = History(
        parts.store, Serve(parts.store, parts.cache, lambda: DEFINITIONS), lambda: DEFINITIONS, parts.runtime
    )
    found = await history.profile("user_id:user-7-0", START + 50 * 1_000_000)

    assert found is not None
    assert found.view.past
    assert found.view.past.complete is False
    assert found.view.past.kept_from == times.to_text(placed[29][2].received_at)
    assert found.view.events == 22


ORDERS = {
    "version": "obverse/v1",
    "kind": "trait",
    "metadata": {"name": "orders"},
    "spec": {"aggregate": "count", "event": "Order Completed"},
}


class Person:
    """One person in a whole installation."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self.sent = 0

    async def tell(self, type_: str, **fields: Any) -> str:
        """Send an event and wait until it is in the store; return an instant just before it."""
        now = times.to_text(open_runtime().now())
        self.sent += 1
        key = b64encode(f"{self.here.key}:".encode()).decode()
        body = {"messageId": f"m-{self.sent}", **fields}
        status, _ = await self.here.post(f"/v1/{type_}", body, Authorization=f"Basic {key}")
        assert status == 200
        await until(self.here.drained)
        return now

    async def read(self, as_of: str = "", name: str = "user_id:ada") -> dict[str, Any]:
        query = f"?as_of={quote(as_of)}" if as_of else ""
        status, profile = await self.here.get(f"/v1/profiles/{name}{query}")
        assert status == 200, profile
        return {**profile, "told": {one: write["value"] for one, write in profile["attributes"].items()}}

    async def restore(self, **body: Any) -> dict[str, Any]:
        url = f"{self.here.note['api']}/v1/profiles/user_id:ada/restore"
        async with self.here.http.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found


async def test_a_merge_a_late_event_a_killed_worker_and_values_that_are_restored(short: Path) -> None:
    folder = short / "data" / "definitions"
    folder.mkdir(parents=True)
    (folder / "orders.yml").write_text(yaml.safe_dump(ORDERS))
    async with installation(short / "data") as here:
        ada = Person(here)
        await ada.tell("track", anonymousId="browser", event="Order Completed")
        await ada.tell("identify", userId="ada", traits={"plan": "free", "city": "Oslo"})
        before_merge = await ada.tell("identify", userId="ada", anonymousId="browser", traits={"plan": "pro"})
        kill(here.note["pids"]["worker"])
        before_late = await ada.tell("track", userId="ada", event="Order Completed")
        two_days_ago = times.to_text(open_runtime().now() - 2 * 86_400_000_000)
        late = {"plan": "trial", "city": "Rome", "shoe": 41}
        before_last = await ada.tell("identify", userId="ada", traits=late, timestamp=two_days_ago)
        await ada.tell("identify", userId="ada", traits={"city": "Bergen"})

        two = await ada.read(before_merge)
        assert (two["told"], two["traits"], two["events"]) == ({"plan": "free", "city": "Oslo"}, {}, 1)
        browser = await ada.read(before_merge, "anonymous_id:browser")
        assert (browser["traits"], browser["past"]["merged"]) == ({"orders": 1}, [two["id"]])
        one = await ada.read(before_late)
        assert (one["told"], one["traits"]) == ({"plan": "pro", "city": "Oslo"}, {"orders": 1})
        assert (await ada.read(before_last))["traits"] == {"orders": 2}
        now = await ada.read()
        assert now["told"] == {"plan": "pro", "city": "Bergen", "shoe": 41}
        assert [write["value"] for write in now["attributes"]["plan"]["previous"]] == ["free", "trial"]

        compared = (await here.get(f"/v1/profiles/user_id:ada/compare?from={before_merge}"))[1]
        assert [change["name"] for change in compared["attributes"]] == ["city", "plan", "shoe"]
        assert compared["traits"] == [{"name": "orders", "before": None, "after": 2}]

        preview = await ada.restore(as_of=before_late, preview=True)
        written = await ada.restore(as_of=before_late)
        assert {**preview, "asked": True} == written == await ada.restore(as_of=before_late)
        assert [(each["name"], each["value"]) for each in written["attributes"]] == [("city", "Oslo"), ("shoe", None)]

        async def restored() -> bool:
            now: dict[str, Any] = (await ada.read())["told"]
            return now == {"plan": "pro", "city": "Oslo", "shoe": None}

        await until(restored)
        await until(here.drained)
        assert (await ada.restore(as_of=before_late))["event"] is None
        async with here.sql() as sql:
            assert await sql.fetchval("select count(*) from waiting_events") == 1
            assert await sql.fetchval("select count(*) from event_stream where source = 'obverse'") == 1
            assert await sql.fetchval("select array_agg(log_offset order by log_offset) from identity_decisions") == [
                *range(await sql.fetchval("select count(*) from identity_decisions"))
            ]
        assert running(short / "data") is not None


async def test_the_benchmark_tells_how_long_a_read_takes_and_in_what_memory() -> None:
    figures = await bench_as_of(changes=40, instants=3, rounds=2)

    assert figures["flaws"] == []
    assert (figures["changes"], figures["instants"], figures["reads"]) == (40, 3, 6)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["worst_ms"]
    assert figures["peak_memory_bytes"] > 20 << 20
    assert {"machine", "postgres", "under_50_ms", "first_ms", "cpu_p50_ms", "cpu_worst_ms"} <= figures.keys()

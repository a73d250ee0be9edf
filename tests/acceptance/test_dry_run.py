"""A dry run over a real shop's log equals a real run under those rules, and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from engine_parts import memory_parts
from installation import PATIENCE, Installation, installation, start, until
from obverse.adapters.definition_files import read_folder
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps.bench.dry_run import bench_dry_run
from obverse.apps.cli.dry_run import OTHERWISE
from obverse.contracts.engine_steps import append
from obverse.core.definitions import Definitions
from obverse.core.dry_run import DryRun
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.flows.dry_run import DryRunParts, dry_run
from obverse.ports.engine import WRITER, EngineParts
from obverse.ports.profile_store import ProfileStore
from obverse.wiring import trait_kinds
from services import Database
from shop_steps import AT_ONCE, shop_story

pytestmark = pytest.mark.service

TIGHT = IdentityRules(identifiers=2, blocked=frozenset({"visitor-536365", "17850"}))
"""Two identifiers each, so that all 973 who sign up lose one; but a visitor and one of them are nobody."""


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return read_folder(Path(str(files("obverse.apps.demo") / "definitions")), trait_kinds())


@pytest.fixture(scope="module")
def story() -> list[Event]:
    return shop_story()


async def folded(parts: EngineParts, story: list[Event]) -> None:
    """Have an engine fold all of it."""
    await append(parts, story, batch=AT_ONCE)
    engine = await open_engine(EmbeddedSettings(checkpoint_events=20_000), parts)
    work = parts.runtime.spawn("engine", engine.run())
    await asyncio.wait_for(engine.drain(), 4 * PATIENCE)
    await work.stop()


async def clusters(store: ProfileStore) -> set[frozenset[str]]:
    people: dict[bytes, set[str]] = {}
    for identifier, profile in (await store.owners(WRITER)).profiles.items():
        people.setdefault(profile, set()).add(identifier)
    return set(map(frozenset, people.values()))


async def everything(dsn: str) -> dict[str, tuple[int, str]]:
    """Return of each table how many rows it has, and a digest of all of them."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables "
            "where schemaname not in ('pg_catalog', 'information_schema') order by 1"
        )
        return {
            table["name"]: tuple(
                await connection.fetchrow(
                    # The text of a row is digested first: together they would be more than a text can hold.
                    "select count(*), coalesce(md5(string_agg(digest, '' order by digest)), '') "
                    f"from (select md5(one::text) as digest from {table['name']} as one) as rows"
                )
            )
            for table in tables
        }
    finally:
        await connection.close()


@pytest.fixture
async def parts(database: Database, definitions: Definitions, story: list[Event]) -> AsyncIterator[EngineParts]:
    """The shop's six weeks in PostgreSQL, folded under the rules in force."""
    memory = await memory_parts(1, definitions)
    dsn = database.dsn("obverse_worker")
    async with AsyncExitStack() as stack:
        log = await open_event_log(PostgresLogSettings(dsn=dsn), memory.runtime)
        stack.push_async_callback(log.close)
        store = await open_profile_store(PostgresStoreSettings(dsn=dsn), memory.runtime)
        stack.push_async_callback(store.close)
        parts = replace(memory, log=log, store=store)
        await folded(parts, story)
        yield parts


async def test_it_equals_a_real_run_under_these_rules_and_changes_nothing(
    parts: EngineParts, database: Database, definitions: Definitions, story: list[Event]
) -> None:
    before = await everything(database.admin)
    assert sum(rows for rows, _ in before.values()) > len(story)
    given = DryRunParts(workspace="main", log=parts.log, store=parts.store, definitions=definitions)

    same = (await dry_run(given, definitions.identity)).comparison
    found = (await dry_run(given, TIGHT)).comparison

    assert await everything(database.admin) == before
    assert same.alike
    assert same.before.people == same.after.people == 1398

    # A real run, from the same log on, under these rules.
    real = await memory_parts(1, replace(definitions, identity=TIGHT))
    await folded(real, story)
    run = DryRun("main", TIGHT, definitions)
    for event in story:
        run.take(event)
    expected = await clusters(real.store)
    assert {frozenset(one.identifiers) for one in run.people.profiles.values()} == expected
    assert found.after.people == len(expected)
    assert found.after.refused == dict((await real.store.owners(WRITER)).refused)
    assert (found.split, found.merges) == (972, 0)
    assert (found.gone.shown, found.come.count) == (["anonymous_id:visitor-536365", "user_id:17850"], 0)

    # And back: under today's rules those of the real run would merge again.
    back = await dry_run(replace(given, log=real.log, store=real.store, show=2000), definitions.identity)
    assert {frozenset(one.shown) for one in back.comparison.after.largest} == await clusters(parts.store)
    assert (back.comparison.merges, back.comparison.split) == (972, 0)
    assert all(one.because for one in back.comparison.largest_merges)


# The command, as a person runs it.

EVENTS = [
    {"type": "track", "event": "Seen", "userId": user, "anonymousId": "tablet", "messageId": f"m-{user}"}
    for user in ("ada", "bob")
]
OPEN = """
version: obverse/v1
kind: identity
metadata: {name: open}
spec: {limits: {user_id: none}}
"""


async def run(data: Path, *arguments: str) -> tuple[int | None, str, str]:
    process = await start(data, "dry-run", *arguments)
    out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, out.decode(), errors.decode()


async def test_while_it_runs_and_when_it_is_stopped_the_command_says_the_same(short: Path) -> None:
    data, tried = short / "data", short / "tried"
    tried.mkdir()
    (tried / "identity.yml").write_text(OPEN)
    async with installation(data) as here:
        status, _ = await here.post("/v1/batch", {"batch": EVENTS, "writeKey": here.key})
        assert status == 200
        await until(here.drained)
        assert (await run(data))[0] == 0
        code, running, errors = await run(data, "--definitions", str(tried), "--json")
        assert code == OTHERWISE, errors
        as_text = (await run(data, "--definitions", str(tried)))[1]
    assert not (data / "run.json").exists()
    stopped = await run(data, "--definitions", str(tried), "--json")
    assert not EmbeddedServer(data).alive()

    assert stopped[:2] == (OTHERWISE, running)
    report = msgspec.json.decode(running)
    assert report["differences"] == [{"rule": "limits.user_id", "in_force": "1 ever", "tried": "none"}]
    found: dict[str, Any] = report["comparison"]
    assert (found["merged"], found["merges"], found["split"]) == (2, 1, 0)
    (pair,) = found["largest_merges"][0]["because"]
    assert (pair["a"], pair["b"], pair["event"]) == ("anonymous_id:tablet", "user_id:bob", "m-bob")
    for words in ("limits.user_id", "2 people would become 1", "nothing was written"):
        assert words in " ".join(as_text.split())
    await server_is_down(data)


async def server_is_down(data: Path) -> None:
    """The database that was stopped is stopped again."""
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await asyncpg.connect(EmbeddedServer(data).dsn("obverse_owner"), timeout=5)


async def test_what_cannot_be_done_is_said(here: Installation, short: Path) -> None:
    code, _, errors = await run(short / "nothing", "--json")
    assert code == 1
    assert errors.count("\n") == 1
    assert not (short / "nothing").exists(), "no database is made where there was none"

    code, _, errors = await run(here.data, "--definitions", str(short / "nowhere"))
    assert code == 1
    assert "--definitions" in errors

    (short / "bad.yml").write_text("version: obverse/v1\nkind: identity\nmetadata: {name: a}\nspec: {merges: -1}\n")
    code, _, errors = await run(here.data, "--definitions", str(short))
    assert code == 1
    assert "bad.yml" in errors
    assert "merges" in errors


async def test_the_benchmark_tells_how_long_it_takes_and_what_it_found() -> None:
    figures = await bench_dry_run(events=3000, people=100)

    assert figures["flaws"] == []
    assert figures["read"]["events"] == 3000
    assert figures["people_before"] - figures["people_after"] > 10
    assert figures["would_merge"] > figures["people_before"] - figures["people_after"]
    assert 0 < figures["seconds"] < PATIENCE
    assert figures["peak_memory_bytes"] > 20 << 20

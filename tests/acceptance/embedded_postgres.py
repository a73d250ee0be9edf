"""What the tests of the embedded PostgreSQL share: its data folders, a starter to kill, and ways to look."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.postgres.server.cluster import SUPERUSER
from obverse.adapters.postgres.server.logins import OWNER, password_of

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


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that every user can reach; the folders of pytest are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="obverse-test-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def kept_data(folder: Path) -> Iterator[Path]:
    """A data folder with a database, for tests that need no fresh one."""
    data = folder / "kept"
    asyncio.run(EmbeddedServer(data).start())
    try:
        yield data
    finally:
        asyncio.run(EmbeddedServer(data).erase())


async def ask(server: EmbeddedServer, sql: str, role: str = OWNER) -> Any:
    connection = await asyncpg.connect(server.dsn(role), timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def superuser(server: EmbeddedServer, data: Path) -> asyncpg.Connection:
    password = password_of(SUPERUSER, data / "secrets")
    return await asyncpg.connect(server.dsn(OWNER), user=SUPERUSER, password=password, database="postgres", timeout=10)


async def stop_all(data: Path) -> None:
    server = EmbeddedServer(data)
    await server.start()
    await server.stop()


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

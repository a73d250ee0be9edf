"""A PostgreSQL older than 18, if this machine has one: what DATABASE_URL may point to."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

VERSIONS = (17, 16, 15)


def find_binaries() -> Path | None:
    """Return the folder of the newest such server, where Debian or the Homebrew of macOS puts them."""
    places = ("/usr/lib/postgresql/{}/bin", "/opt/homebrew/opt/postgresql@{}/bin")
    folders = [Path(place.format(version)) for version in VERSIONS for place in places]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


@contextmanager
def older_postgres() -> Iterator[str]:
    """Run such a server for a while, and give the address of its only database, for the superuser."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL 15, 16 or 17 on this machine (Debian: apt-get install postgresql)")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="obv-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), "-D", str(folder / "data"), *arguments]
        privileges = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **privileges)  # type: ignore[call-overload]

    try:
        run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C")
        run("pg_ctl", "start", "--wait", "--silent", f"--log={folder / 'log'}", "--options", options)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)

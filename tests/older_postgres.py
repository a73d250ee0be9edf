"""A PostgreSQL older than 18, of another origin than ours: what DATABASE_URL may point to."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import NotToBeHad, debian, install, lacking, newest_package

VERSIONS = (17, 16, 15)

CREATES_CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
"""Whether Debian makes a cluster of its own, and starts it, when a server is installed."""


def find_binaries() -> Path | None:
    """Return the folder of the newest such server, where Debian or the Homebrew of macOS puts them."""
    places = ("/usr/lib/postgresql/{}/bin", "/opt/homebrew/opt/postgresql@{}/bin")
    folders = [Path(place.format(version)) for version in VERSIONS for place in places]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


@contextmanager
def older_postgres() -> Iterator[str]:
    """
    Run such a server for a while, and give the address of its only database, for the superuser.

    A machine without one takes it from Debian, if we are root. (No wheel is known to us that brings one.)
    """
    binaries, why = _binaries()
    if binaries is None:
        lacking("PostgreSQL 15, 16 or 17", why)
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


@functools.cache  # what failed once is not tried again for each test
def _binaries() -> tuple[Path | None, str]:
    """Return the folder of the programs, installed if need be; or why there is none."""
    if (found := find_binaries()) is not None:
        return found, ""
    try:
        with debian():
            if find_binaries() is None:
                _install()
    except NotToBeHad as error:
        return None, str(error)
    return find_binaries(), "Debian's package has its programs elsewhere than expected"


def _install() -> None:
    package = newest_package(rf"^postgresql-({'|'.join(map(str, VERSIONS))})$")
    install("postgresql-common")
    # The tests want the programs; a server that listens on the machine's port is nothing they should leave behind.
    before = CREATES_CLUSTERS.read_text()
    CREATES_CLUSTERS.write_text(f"{before}\ncreate_main_cluster = false\n")
    try:
        install(package)
    finally:
        CREATES_CLUSTERS.write_text(before)

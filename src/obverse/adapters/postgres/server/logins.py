"""Who may log in to the embedded PostgreSQL: one role a part of obverse, each with a password of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from obverse.adapters.postgres.server.cluster import SUPERUSER
from obverse.adapters.postgres.server.failure import ServerFailed
from obverse.adapters.postgres.server.places import write_durably

OWNER = "obverse_owner"
"""Owns the database and its tables, runs the migrations and grants the others their tables."""

ROLES = (OWNER, "obverse_collector", "obverse_worker", "obverse_api", "obverse_query")
"""The last one runs what people have written as SQL: it may read what queries are over, and do nothing."""

DATABASE = "obverse"

SOCKET_NUMBER = 5432
"""Names the socket (`.s.PGSQL.5432`). No port of the network is opened."""

ROLES_SQL = """
select rolname, rolpassword,
       rolcanlogin and not (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls) as modest
  from pg_authid where rolname = any($1)
"""

CONNECT_SECONDS = 30.0


def make_passwords(folder: Path) -> None:
    """
    Make the folder and the passwords that it lacks; what exists stays.

    Raises:
        ServerFailed: others could read them.
    """
    if not folder.exists():
        folder.mkdir(mode=0o700)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        raise ServerFailed(f"{folder} holds passwords and is open to other users. Close it: chmod 700 {folder}")
    for role in (SUPERUSER, *ROLES):
        if not (folder / role).exists():
            write_durably(folder / role, secrets.token_urlsafe(24))


def password_of(role: str, folder: Path) -> str:
    """
    Return the password of a role.

    Raises:
        ServerFailed: there is none yet, or it is not ours to read.
    """
    try:
        return (folder / role).read_text().strip()
    except FileNotFoundError:
        raise ServerFailed(
            f"no database was started in {folder.parent} yet (no password for {role} in {folder}): "
            "start `obverse up`, or say --data FOLDER"
        ) from None
    except PermissionError:
        raise ServerFailed(
            f"The password in {folder / role} belongs to another user. Run obverse as the user that owns {folder}."
        ) from None


def forget_passwords(folder: Path) -> None:
    """Remove the passwords, and their folder if nobody else keeps anything there."""
    for role in (SUPERUSER, *ROLES):
        (folder / role).unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def dsn_of(role: str, password: str, sockets: Path) -> str:
    """Return the address of the database for a role, as asyncpg takes it."""
    return (
        f"postgresql://{role}:{quote(password, safe='')}@/{DATABASE}"
        f"?host={quote(str(sockets), safe='/')}&port={SOCKET_NUMBER}&sslmode=disable"
    )


async def make_roles_and_database(sockets: Path, folder: Path) -> None:
    """
    Make the roles and the database that are missing, and mend what differs from what they should be.

    Raises:
        ServerFailed: the superuser may not log in, or the server does not answer.
    """
    try:
        connection = await asyncpg.connect(
            host=str(sockets),
            port=SOCKET_NUMBER,
            user=SUPERUSER,
            password=password_of(SUPERUSER, folder),
            database="postgres",
            ssl=False,
            timeout=CONNECT_SECONDS,
        )
        try:
            await _make_roles(connection, folder)
            await _make_database(connection)
        finally:
            await connection.close()
    except asyncpg.InvalidPasswordError as error:
        raise ServerFailed(
            f"The database does not know the password in {folder / SUPERUSER}. "
            f"Restore {folder} from the backup that the database comes from."
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServerFailed(
            f"The database in {sockets} answers, but does not do as it is told ({type(error).__name__}: {error}). "
            "Start again; if that does not help, its log says more."
        ) from error


async def _make_roles(connection: Any, folder: Path) -> None:
    found = {row["rolname"]: row for row in await connection.fetch(ROLES_SQL, list(ROLES))}
    async with connection.transaction():
        for role in ROLES:
            password = password_of(role, folder)
            if role not in found:
                await connection.execute(f"create role {role}")
            elif found[role]["modest"] and knows_password(found[role]["rolpassword"], password):
                continue
            await connection.execute(
                f"alter role {role} with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls "
                # Sent as what the server keeps of it, so that no log ever shows it.
                f"password '{scram_verifier(password, os.urandom(16))}'"
            )


async def _make_database(connection: Any) -> None:
    if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE):
        await connection.execute(f"create database {DATABASE} owner {OWNER}")
    if await connection.fetchval("select has_database_privilege('public', $1, 'connect')", DATABASE):
        async with connection.transaction():
            await connection.execute(f"revoke all on database {DATABASE}, postgres, template1 from public")
            await connection.execute(f"grant connect on database {DATABASE} to {', '.join(ROLES)}")
            # A checkpoint is put down in temporary tables first.
            await connection.execute(f"grant temporary on database {DATABASE} to obverse_worker")
    for role in ROLES:
        # A release may bring a role that the database was made without.
        if not await connection.fetchval("select has_database_privilege($1, $2, 'connect')", role, DATABASE):
            await connection.execute(f"grant connect on database {DATABASE} to {role}")


def scram_verifier(password: str, salt: bytes, rounds: int = 4096) -> str:
    """
    Return what PostgreSQL keeps of a password that is plain ASCII, as RFC 5803 writes it.

    >>> scram_verifier("pencil", bytes.fromhex("4125c247e43ab1e93c6dff76")).split("$")[1]
    '4096:QSXCR+Q6sek8bf92'
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    served = hmac.digest(salted, b"Server Key", "sha256")
    written = [base64.b64encode(part).decode() for part in (salt, stored, served)]
    return f"SCRAM-SHA-256${rounds}:{written[0]}${written[1]}:{written[2]}"


def knows_password(verifier: str | None, password: str) -> bool:
    """
    Tell whether a verifier, as PostgreSQL keeps it, is that of a password.

    >>> knows_password(scram_verifier("pencil", b"salt"), "pencil"), knows_password(None, "pencil")
    (True, False)
    """
    try:
        _, rounds_and_salt, _ = (verifier or "").split("$")
        rounds, salt = rounds_and_salt.split(":")
        same = scram_verifier(password, base64.b64decode(salt), int(rounds))
    except ValueError:
        return False
    return hmac.compare_digest(same, verifier or "")

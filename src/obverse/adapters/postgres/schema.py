"""The schema, as numbered SQL files that are applied once, whole, and never changed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import asyncpg

from obverse.adapters.postgres.connection import FAILURES, connect, hang_up, trouble

LOCK = 0x6F62_7665_7273_6531
"""The advisory lock of whoever migrates: two who start at once migrate one after the other."""

KNOWN = """
create table if not exists public.schema_migrations (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""
NOTE = "insert into public.schema_migrations (number, name, checksum) values ({}, '{}', '{}')"


class SchemaRefused(Exception):
    """The database and this version of Obverse do not fit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def note(self) -> str:
        """The statement that writes down that it was applied."""
        return NOTE.format(self.number, self.name, self.checksum)


def shipped() -> list[Migration]:
    """Return the migrations of this version, in order."""
    folder = files(__package__) / "migrations"
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}
    return [Migration(int(name[:4]), name.removesuffix(".sql"), texts[name]) for name in sorted(texts)]


async def migrate(dsn: str) -> list[str]:
    """
    Apply what is missing, each file in a transaction of its own; return the names of what was applied.

    Raises:
        SchemaRefused: an applied file was changed since, or the database is newer than this version.
        Unreachable: the server does not answer.
        AccessRefused: the role may not do this.
    """
    applied = []
    async with _alone(dsn) as connection:
        for one in await _pending(connection, shipped()):
            async with connection.transaction():
                await connection.execute(KNOWN)
                await connection.execute(one.sql)
                await connection.execute(one.note)
            applied.append(one.name)
    return applied


async def pending_sql(dsn: str) -> str:
    """
    Return what `migrate` would run, for somebody else to run it; empty when nothing is missing.

    Raises: as `migrate`.
    """
    async with _alone(dsn) as connection:
        missing = await _pending(connection, shipped())
    return "\n".join(f"begin;\n{KNOWN.strip()};\n\n{one.sql.strip()}\n\n{one.note};\ncommit;\n" for one in missing)


@asynccontextmanager
async def _alone(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await connect(dsn, "migrates the schema")
        try:
            await connection.execute(f"select pg_advisory_lock({LOCK})")
            yield connection
        finally:
            await hang_up(connection)
    except FAILURES as error:
        raise trouble(error, "migrate the schema") from error


async def _pending(connection: asyncpg.Connection, known: list[Migration]) -> list[Migration]:
    if await connection.fetchval("select to_regclass('public.schema_migrations')") is None:
        return known
    rows = await connection.fetch("select number, name, checksum from public.schema_migrations order by number")
    ours = {one.number: one for one in known}
    for number, name, checksum in rows:
        if number not in ours:
            raise SchemaRefused(
                f"the database has migration {name}, which this version of Obverse does not know: "
                "start the newer version, or restore the backup that was made before it"
            )
        if ours[number].checksum != checksum:
            raise SchemaRefused(
                f"migration {name} was applied with another text than this version ships: "
                "put the file back as it was released, and make the change in a new file"
            )
    done = {number for number, _, _ in rows}
    return [one for one in known if one.number not in done]

"""Definitions in PostgreSQL. A write is one statement, so that it is there whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.core.documents.written import Document, Key
from obverse.ports.definition_store import Author, Change, DefinitionSet, DefinitionStore, Entry, LostRace
from obverse.ports.runtime import Runtime

_VERSION: Final = "select version from public.definition_sets where workspace_id = $1"
# One statement sees one version of both tables.
_READ: Final = """
select known.version as set_version, kind, name, one.version, document, project, changed_by, changed_at, changed_in
from public.definition_sets known left join public.definitions one using (workspace_id)
where workspace_id = $1 order by kind, name, one.version
"""
_READ_AT: Final = """
select distinct on (kind, name, version)
    kind, name, version, document, project, changed_by, changed_at, set_version as changed_in
from public.definition_changes where workspace_id = $1 and set_version <= $2
order by kind, name, version, set_version desc
"""
_LIVE: Final = "select live from public.definition_sets where workspace_id = $1"
_GO_LIVE: Final = """
insert into public.definition_sets (workspace_id, version, live) values ($1, 0, $2)
on conflict (workspace_id) do update set live = excluded.live
"""
# Who expects 0 makes the row; of two who make it at once the second one meets a version that it did not expect.
_WRITE: Final = """
with moved as (
    insert into public.definition_sets as known (workspace_id, version)
    select $1, 1 where $2::bigint = 0 or exists (select from public.definition_sets where workspace_id = $1)
    on conflict (workspace_id) do update set version = known.version + 1 where known.version = $2
    returning version
),
gone as (
    delete from public.definitions one
    using unnest($7::text[], $8::text[], $9::text[]) as removed (kind, name, version), moved
    where one.workspace_id = $1 and (one.kind, one.name, one.version) = (removed.kind, removed.name, removed.version)
    returning one.kind, one.name, one.version
),
put as (
    insert into public.definitions
        (workspace_id, kind, name, version, document, project, changed_by, changed_at, changed_in)
    select $1, kind, name, given.version, document, $10, $11, $12, moved.version
    from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as given (kind, name, version, document), moved
    on conflict (workspace_id, kind, name, version) do update
    set document = excluded.document, project = excluded.project, changed_by = excluded.changed_by,
        changed_at = excluded.changed_at, changed_in = excluded.changed_in
    returning kind, name, version, document
),
noted as (
    insert into public.definition_changes
        (workspace_id, set_version, kind, name, version, document, project, changed_by, changed_at)
    select $1, moved.version, kind, name, one.version, document, $10, $11, $12
    from (select * from put union all select *, null from gone) as one, moved
)
select version from moved
"""
_HISTORY: Final = """
with wanted as (
    select * from public.definition_changes
    where workspace_id = $1 and ($3::bigint is null or set_version < $3)
        and ($4::text is null or (kind, name, version) = ($4, $5::text, $6::text))
)
select set_version, kind, name, version, document, project, changed_by, changed_at from wanted
where set_version >= coalesce(
    (select set_version from wanted order by set_version desc offset $2 - 1 limit 1), 0)
order by set_version desc, kind, name, version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresDefinitionStoreSettings:
    """The `[definition_store.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    workspace: str = "main"


async def open_definition_store(settings: PostgresDefinitionStoreSettings, runtime: Runtime) -> DefinitionStore:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.definition_store:postgres`. Nothing is connected before it is needed."""
    return PostgresDefinitionStore(settings)


class PostgresDefinitionStore:
    """See `DefinitionStore`."""

    def __init__(self, settings: PostgresDefinitionStoreSettings) -> None:
        self._workspace = settings.workspace
        self._link = Link(settings.dsn, "keeps definitions")

    async def version(self) -> int:
        """See `DefinitionStore.version`."""
        rows = await self._fetch(_VERSION)
        return int(rows[0]["version"]) if rows else 0

    async def live(self) -> int | None:
        """See `DefinitionStore.live`."""
        rows = await self._fetch(_LIVE)
        return rows[0]["live"] if rows else None

    async def go_live(self, version: int) -> None:
        """See `DefinitionStore.go_live`."""
        await self._fetch(_GO_LIVE, version)

    async def read(self, version: int | None = None) -> DefinitionSet:
        """See `DefinitionStore.read`."""
        if version is not None:
            changes = await self._fetch(_READ_AT, version)
            return DefinitionSet(version, tuple(_entry(row) for row in changes if row["document"] is not None))
        rows = await self._fetch(_READ)
        if not rows:
            return DefinitionSet()
        return DefinitionSet(rows[0]["set_version"], tuple(_entry(row) for row in rows if row["kind"] is not None))

    async def write(self, expected: int, puts: Sequence[Document], removals: Collection[Key], *, author: Author) -> int:
        """See `DefinitionStore.write`."""
        rows = await self._fetch(
            _WRITE,
            expected,
            *_columns([one.key for one in puts]),
            [one.text for one in puts],
            *_columns(removals),
            author.project,
            author.name,
            from_micros(author.now),
        )
        if not rows:
            now = await self.version()
            raise LostRace(f"the definitions are at version {now}, and not at {expected} any more")
        return int(rows[0]["version"])

    async def history(self, *, limit: int, before: int | None = None, of: Key | None = None) -> Sequence[Change]:
        """See `DefinitionStore.history`."""
        return [
            Change(
                set_version=row["set_version"],
                key=_key(row),
                text=row["document"],
                project=row["project"],
                changed_by=row["changed_by"],
                changed_at=to_micros(row["changed_at"]),
            )
            for row in await self._fetch(_HISTORY, limit, before, *(of or (None, None, None)))
        ]

    async def close(self) -> None:
        """See `DefinitionStore.close`."""
        await self._link.close()

    async def _fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._link.fetch(query, self._workspace, *args)


def _columns(keys: Collection[Key]) -> tuple[list[str], list[str], list[str]]:
    return [one.kind for one in keys], [one.name for one in keys], [one.version for one in keys]


def _key(row: asyncpg.Record) -> Key:
    return Key(row["kind"], row["name"], row["version"])


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        document=Document(_key(row), row["document"]),
        project=row["project"],
        changed_by=row["changed_by"],
        changed_at=to_micros(row["changed_at"]),
        changed_in=row["changed_in"],
    )

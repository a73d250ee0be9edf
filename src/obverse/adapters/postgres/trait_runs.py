"""Runs of queries that give traits, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec

from obverse.adapters.postgres.connection import Link
from obverse.adapters.postgres.event_log_rows import from_micros, to_micros
from obverse.adapters.postgres.worker_session import WorkerSession
from obverse.ports.runtime import Runtime
from obverse.ports.trait_runs import GivenValue, TraitRun, TraitRuns, TraitRunsWorker

_LATEST: Final = """
select trait, number, digest, began_at, took_us, flaw, counts::text as counts from public.trait_runs
where workspace_id = $1 order by trait
"""
_FINISH: Final = """
insert into public.trait_runs (workspace_id, trait, number, digest, began_at, took_us, flaw, counts)
values ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)
on conflict (workspace_id, trait) do update
set number = excluded.number, digest = excluded.digest, began_at = excluded.began_at,
    took_us = excluded.took_us, flaw = excluded.flaw, counts = excluded.counts
"""
_GIVEN: Final = """
select identifier, profile_id, value from public.trait_values where workspace_id = $1 and trait = $2
"""
_NOTE: Final = """
insert into public.trait_values (workspace_id, trait, identifier, profile_id, value)
select $1, $2, one.identifier, one.profile_id, one.value
from unnest($3::text[], $4::uuid[], $5::text[]) as one (identifier, profile_id, value)
on conflict (workspace_id, trait, identifier) do update
set profile_id = excluded.profile_id, value = excluded.value
"""
_FORGET: Final = """
delete from public.trait_values where workspace_id = $1 and trait = $2 and identifier = any ($3::text[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresTraitRunsSettings:
    """The `[trait_runs.postgres]` table of the settings file."""

    dsn: str = field(repr=False)
    workspace: str = "main"


async def open_trait_runs(settings: PostgresTraitRunsSettings, runtime: Runtime) -> TraitRuns:
    """Entry point `obverse.trait_runs:postgres`. Nothing is connected before it is needed."""
    return PostgresTraitRuns(settings, runtime)


class PostgresTraitRuns:
    """See `TraitRuns`."""

    def __init__(self, settings: PostgresTraitRunsSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._link = Link(settings.dsn, "reads runs of queries")

    async def open_worker(self) -> TraitRunsWorker:
        """See `TraitRuns.open_worker`."""
        workspace = self._settings.workspace
        session = await WorkerSession.open(self._settings.dsn, "gives traits", f"trait runs {workspace}", self._runtime)
        return PostgresTraitRunsWorker(session, workspace)

    async def latest(self) -> Sequence[TraitRun]:
        """See `TraitRuns.latest`."""
        return [
            TraitRun(
                trait=row["trait"],
                number=row["number"],
                digest=row["digest"],
                at=to_micros(row["began_at"]),
                took=row["took_us"],
                flaw=row["flaw"],
                counts=msgspec.json.decode(row["counts"], type=dict[str, int]),
            )
            for row in await self._link.fetch(_LATEST, self._settings.workspace)
        ]

    async def close(self) -> None:
        """See `TraitRuns.close`."""
        await self._link.close()


class PostgresTraitRunsWorker:
    """See `TraitRunsWorker`."""

    def __init__(self, session: WorkerSession, workspace: str) -> None:
        self._session = session
        self._workspace = workspace

    async def given(self, trait: str) -> Mapping[str, GivenValue]:
        """See `TraitRunsWorker.given`."""
        rows = await self._session.fetch(_GIVEN, self._workspace, trait)
        return {row["identifier"]: GivenValue(row["profile_id"].bytes, row["value"].encode()) for row in rows}

    async def note(self, trait: str, given: Mapping[str, GivenValue], gone: Collection[str] = ()) -> None:
        """See `TraitRunsWorker.note`."""
        profiles = [UUID(bytes=one.profile) for one in given.values()]
        values = [one.value.decode() for one in given.values()]
        await self._session.write(
            [
                (_FORGET, self._workspace, trait, [*gone]),
                (_NOTE, self._workspace, trait, [*given], profiles, values),
            ]
        )

    async def finish(self, run: TraitRun) -> None:
        """See `TraitRunsWorker.finish`."""
        counts = msgspec.json.encode(dict(run.counts)).decode()
        told = (run.trait, run.number, run.digest, from_micros(run.at), run.took, run.flaw, counts)
        await self._session.write([(_FINISH, self._workspace, *told)])

    async def close(self) -> None:
        """See `TraitRunsWorker.close`."""
        await self._session.close()

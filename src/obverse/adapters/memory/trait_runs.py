"""Runs of queries in memory: for tests and for trying things out."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from obverse.ports.runtime import Runtime
from obverse.ports.trait_runs import GivenValue, TraitRun, TraitRuns, TraitRunsWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTraitRunsSettings:
    """The `[trait_runs.memory]` table of the settings file."""

    workspace: str = "main"


async def open_trait_runs(settings: MemoryTraitRunsSettings, runtime: Runtime) -> TraitRuns:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.trait_runs:memory`. Each call opens runs of its own."""
    return MemoryTraitRuns()


class MemoryTraitRuns:
    """See `TraitRuns`."""

    def __init__(self) -> None:
        self.runs: dict[str, TraitRun] = {}
        self.values: dict[str, dict[str, GivenValue]] = {}
        self.turn = asyncio.Lock()

    async def open_worker(self) -> TraitRunsWorker:
        """See `TraitRuns.open_worker`."""
        await self.turn.acquire()
        return MemoryTraitRunsWorker(self)

    async def latest(self) -> Sequence[TraitRun]:
        """See `TraitRuns.latest`."""
        return [self.runs[name] for name in sorted(self.runs)]

    async def close(self) -> None:
        """See `TraitRuns.close`."""


class MemoryTraitRunsWorker:
    """See `TraitRunsWorker`."""

    def __init__(self, of: MemoryTraitRuns) -> None:
        self._of = of
        self._closed = False

    async def given(self, trait: str) -> Mapping[str, GivenValue]:
        """See `TraitRunsWorker.given`."""
        return dict(self._of.values.get(trait, {}))

    async def note(self, trait: str, given: Mapping[str, GivenValue], gone: Collection[str] = ()) -> None:
        """See `TraitRunsWorker.note`."""
        values = self._of.values.setdefault(trait, {})
        for one in gone:
            values.pop(one, None)
        values.update(given)

    async def finish(self, run: TraitRun) -> None:
        """See `TraitRunsWorker.finish`."""
        self._of.runs[run.trait] = run

    async def close(self) -> None:
        """See `TraitRunsWorker.close`."""
        if not self._closed:
            self._closed = True
            self._of.turn.release()

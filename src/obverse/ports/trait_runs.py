"""Port: what came of the runs of queries that give traits, and which values they gave."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitRun:
    """One run of a trait's query."""

    trait: str
    number: int
    """From 1. A trait that is defined again goes on counting."""
    digest: str
    """Of the query."""
    at: int
    """When it began, in microseconds since 1970."""
    took: int | None = None
    """How long it took, in microseconds; None if that was not noted."""
    flaw: str | None = None
    """Why it gave nothing; None if it went well."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by what became of them."""


@dataclass(frozen=True, slots=True)
class GivenValue:
    """What was sent last for an identifier."""

    profile: bytes
    """Whose it was then."""
    value: bytes
    """JSON text."""


class TraitRunsWorker(Protocol):
    """The one that runs a workspace's queries, until it is closed or its process ends."""

    async def given(self, trait: str) -> Mapping[str, GivenValue]:
        """Return the values that were given, by identifier."""
        ...

    async def note(self, trait: str, given: Mapping[str, GivenValue], gone: Collection[str] = ()) -> None:
        """Note that these values were given, and that those of other identifiers are gone; all or nothing."""
        ...

    async def finish(self, run: TraitRun) -> None:
        """Note what came of a run."""
        ...

    async def close(self) -> None:
        """Let the next worker in."""
        ...


class TraitRuns(Protocol):
    """
    One workspace's runs.

    Promises, proved for every adapter by `obverse.contracts.trait_runs`:

    * one worker at a time;
    * what was noted is there for the next worker, through any crash;
    * nothing of it is of another workspace.

    Every method, of the worker too, raises `Unreachable` where nothing can be read or written now.
    """

    async def open_worker(self) -> TraitRunsWorker:
        """Become the worker, waiting for the former one to go."""
        ...

    async def latest(self) -> Sequence[TraitRun]:
        """Return each trait's latest run, in the order of their names."""
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...

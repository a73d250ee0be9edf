"""Port: brings each profile its events and keeps its state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from obverse.core.definitions import Definitions
from obverse.core.durations import Durations
from obverse.core.refolding import Difference
from obverse.ports.event_log import EventLog
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime

WRITER: Final = "unify"
"""The name that an engine writes to the store under: its marks say how far events were folded."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """Definitions whose traits and audiences are to be computed for everybody before anybody sees them."""

    version: int
    """Above 0; grows."""
    definitions: Definitions


async def _nothing_was_on_its_way(_version: int) -> None:
    """Neither to tell others of, nor to follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What an engine works with."""

    workspace: str
    log: EventLog
    store: ProfileStore
    cache: ProfileCache
    definitions: Callable[[], Definitions]
    """The definitions as they are now; a new value is used from the next batch on."""
    runtime: Runtime
    arriving: Callable[[], Arriving | None] = lambda: None
    """What is on its way; None while `definitions` are all that was defined. It stays until it has `arrived`."""
    announce: Callable[[int], Awaitable[None]] = _nothing_was_on_its_way
    """
    Have every other process see this version, which is computed for everybody, in the store too; `definitions` are what
    they were. To be called before `arrived`, while what traits were and what they become are both folded.
    """
    arrived: Callable[[int], Awaitable[None]] = _nothing_was_on_its_way
    """Say that this version is computed for everybody, in the store too; then `definitions` are what it defines."""
    documents: Callable[[bool], bytes] = lambda _: b""
    """
    What `definitions` were made of, for engines that fold elsewhere (`core.documents.portable`); if asked, with what is
    on its way.
    """
    decides: bool = True
    """Whether identity is decided here; else another process does that."""
    keeps: bool = True
    """Whether what was folded is written to the store, the cache and the stream of changes here."""
    obstacle: Callable[[], str | None] = lambda: None
    """Why nothing may be written to the store now; None if it may. Until then checkpoints wait, and memory fills."""


@dataclass(slots=True)
class Progress:
    """How far an engine is; offsets are those that come next."""

    folded: Mapping[int, int] = field(default_factory=dict)
    """By partition of the stream of events: folded, visible in the cache."""
    kept: Mapping[int, int] = field(default_factory=dict)
    """The same, as of the last checkpoint: in the store."""
    checkpointed_at: int = 0
    """Time of the last checkpoint, in microseconds since 1970; 0 before the first."""
    events: int = 0
    """Folded since this engine started."""
    repeated: int = 0
    """Passed over since then, because their message id had been seen."""
    decisions: int = 0
    changes: int = 0
    damaged: int = 0
    """Records that could not be read, since then; they stay in the log."""
    folding: Durations = field(default_factory=Durations)
    """How long each turn of the fold took."""
    delay: Durations = field(default_factory=Durations)
    """How long after its arrival the first event of each turn was visible."""
    checkpoints: Durations = field(default_factory=Durations)
    """How long each checkpoint took."""


class Engine(Protocol):
    """
    Folds a workspace's log into profiles with `core`, so that any engine gives the profiles that any other does.

    Promises, proved for every adapter by `obverse.contracts.engine`:

    * the same profiles as a plain `functools.reduce` over the log, however the log is split into batches;
    * killed at any moment and started anew, the same profiles, and nothing in the store twice;
    * a decision of identity is in the log before anything shows it; changes are in it at most 100 ms after the fold.
    """

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        ...

    async def run(self) -> None:
        """
        Fold what the log holds and what comes, until cancelled.

        What was folded since the last checkpoint is folded again by the next run.

        Raises:
            Unreachable: a port failed; run again.
            LogGap, UnknownMark: the log is not whole; a person must look.
        """
        ...

    async def drain(self) -> None:
        """Wait until everything that the log holds now is folded and in the store. `run` must be running."""
        ...


class EngineHost(Protocol):
    """Folds for an engine that does not fold in its own process: what a role `engine-…` runs."""

    async def run(self) -> None:
        """
        Fold what was routed, until cancelled.

        Raises:
            Unreachable: something that it needs cannot be reached; run again.
        """
        ...


@runtime_checkable
class FoldsAnew(Protocol):
    """
    What an engine does that can fold people anew, beside those who are live. One that cannot is an `Engine` still.

    Promises, proved by `obverse.contracts.engine_refolding`:

    * whose profile is what their history makes of it stays as they are, whatever comes meanwhile;
    * whose is not is mended, without an event counted twice, and without entering an audience that they are in;
    * whose events are not all kept is left alone.
    """

    async def fold_anew(self, people: Collection[bytes], *, replay: str) -> Mapping[bytes, Difference | None]:
        """
        Fold each of these from nothing, swap in what is otherwise, and say what that was; None: not all is kept.

        `run` must be running. Whoever was merged away is told under who holds them. When this returns, all of it is in
        the store. `replay` names it in the changes that it makes.

        Raises:
            Unreachable: the engine or the store stands still; ask again.
        """
        ...

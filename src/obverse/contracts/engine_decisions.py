"""What every engine must prove of decisions: the store keeps each of the log's once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any, cast

from obverse.contracts.engine_steps import PATIENCE, EngineQuestions, append, load, read, until
from obverse.contracts.stories import tell
from obverse.core.identity import Decision
from obverse.ports.engine import WRITER, EngineParts
from obverse.ports.event_log import Stream
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileStore, StoreWriter


class DecisionPromises(EngineQuestions):
    """Decisions go from the log into the store."""

    async def test_the_store_keeps_every_decision_of_the_log_once(self) -> None:
        parts = await self.open_parts(1)
        await append(parts, tell(seed=21, people=12, events=200), batch=10)
        for _ in range(2):
            await self.fold(parts)

        decided = await read(parts, Stream.DECISIONS, Decision)
        assert {"create", "link", "merge"} == {one.kind for one in decided}
        assert await self.decisions_kept(parts) == [KeptDecision(*one) for one in enumerate(decided)]
        assert (await parts.store.overview()).marks[WRITER][Stream.DECISIONS] == {0: len(decided)}

    async def test_killed_anywhere_the_store_has_each_decision_once(self) -> None:
        parts = await self.open_parts(2)
        dice = Random(22)  # noqa: S311 - a story
        for part in range(8):
            await append(parts, tell(seed=220 + part % 3, people=15, events=60), batch=dice.randint(1, 40))
            engine = await self.open_engine(parts)
            work = parts.runtime.spawn("engine", engine.run())
            for _ in range(dice.randint(0, 80)):
                await parts.runtime.sleep(0)
            await work.stop()
            kept, decided = await self.decisions_kept(parts), await read(parts, Stream.DECISIONS, Decision)
            assert kept == [KeptDecision(*one) for one in enumerate(decided)][: len(kept)]

        await self.fold(parts)

        decided = await read(parts, Stream.DECISIONS, Decision)
        assert await self.decisions_kept(parts) == [KeptDecision(*one) for one in enumerate(decided)]

    async def test_a_decision_that_is_in_the_log_alone_gets_into_the_store(self) -> None:
        """Killed between the log and the next checkpoint: nothing but the decision tells of it."""
        parts = await self.open_parts(1)
        await append(parts, tell(seed=23, people=5, events=40), batch=5)
        async with self.running(replace(parts, store=_never_kept(parts))) as engine:
            await until(parts, lambda: engine.progress.decisions > 0)
        before = await read(parts, Stream.DECISIONS, Decision)
        assert await self.decisions_kept(parts) == []

        await self.fold(parts)

        assert [one.decision for one in await self.decisions_kept(parts)][: len(before)] == before

    async def test_what_was_decided_before_the_store_kept_decisions_is_brought_up(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=24, people=8, events=80), batch=10)
        await self.fold(replace(parts, store=_kept_without_decisions(parts)))
        assert await load(parts, placed)
        assert await self.decisions_kept(parts) == []

        await self.fold(parts)

        decided = await read(parts, Stream.DECISIONS, Decision)
        assert await self.decisions_kept(parts) == [KeptDecision(*one) for one in enumerate(decided)]

    async def decisions_kept(self, parts: EngineParts) -> list[KeptDecision]:
        """Every decision that the store keeps, as often as it does: those of each group of profiles that merged."""
        groups = list[list[KeptDecision]]()
        decided = {
            one for each in await read(parts, Stream.DECISIONS, Decision) for one in (each.profile, *each.absorbed)
        }
        while decided:
            found = list(await parts.store.decisions_of(decided.pop()))
            groups.append(found)
            decided -= {one for kept in found for one in (kept.decision.profile, *kept.decision.absorbed)}
        return sorted((one for group in groups for one in group), key=lambda one: one.offset)


Commit = Callable[[StoreWriter, Checkpoint], Awaitable[None]]


def _never_kept(parts: EngineParts) -> ProfileStore:
    """The store, if no checkpoint ever gets there."""

    async def commit(_: StoreWriter, __: Checkpoint) -> None:
        await parts.runtime.sleep(10 * PATIENCE)

    return cast("ProfileStore", Otherwise(parts.store, commit))


def _kept_without_decisions(parts: EngineParts) -> ProfileStore:
    """The store, as an engine wrote it that knew nothing of decisions there."""

    async def commit(writer: StoreWriter, checkpoint: Checkpoint) -> None:
        await writer.commit(replace(checkpoint, decisions=()))

    return cast("ProfileStore", Otherwise(parts.store, commit))


class Otherwise:
    """A store whose writers commit otherwise; all else is passed on."""

    def __init__(self, store: ProfileStore, commit: Commit) -> None:
        self._store = store
        self._commit = commit

    async def open_writer(self, name: str) -> _Writer:
        return _Writer(await self._store.open_writer(name), self._commit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Writer:
    def __init__(self, writer: StoreWriter, commit: Commit) -> None:
        self._writer = writer
        self._commit = commit

    async def commit(self, checkpoint: Checkpoint, *_: object) -> None:
        await self._commit(self._writer, checkpoint)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

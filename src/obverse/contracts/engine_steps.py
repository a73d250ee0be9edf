"""What the proofs of an `Engine` do: write a log, reduce it, and read what became of it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import reduce
from random import Random
from typing import Any, Final

from obverse.contracts.stories import DEFINITIONS
from obverse.core import codec, profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import Records, Stream

PATIENCE: Final = 120.0
"""Seconds after which an engine that does not get on has failed."""

Placed = tuple[int, int, Event]
"""Partition, offset, event."""


class EngineQuestions:
    """What an engine's tests answer."""

    @abstractmethod
    async def open_parts(self, partitions: int) -> EngineParts:
        """Empty parts in the workspace `main`, with `stories.DEFINITIONS` as definitions."""

    @abstractmethod
    async def open_engine(self, parts: EngineParts) -> Engine:
        """The engine over these parts."""

    @asynccontextmanager
    async def running(self, parts: EngineParts) -> AsyncIterator[Engine]:
        """An engine that runs while the block does."""
        engine = await self.open_engine(parts)
        work = parts.runtime.spawn("engine", engine.run())
        try:
            yield engine
        finally:
            await work.stop()

    async def fold_killed(self, parts: EngineParts, stories: Iterable[Sequence[Event]], *, seed: int) -> list[Placed]:
        """Append one story after another, an engine killed at a random step of each; then fold what is left."""
        placed: list[Placed] = []
        dice = Random(seed)  # noqa: S311 - a story
        for story in stories:
            placed += await append(parts, story, batch=dice.randint(1, 40))
            engine = await self.open_engine(parts)
            work = parts.runtime.spawn("engine", engine.run())
            for _ in range(dice.randint(0, 60)):
                await parts.runtime.sleep(0)
            await work.stop()
        await self.fold(parts)
        return placed

    async def fold(self, parts: EngineParts) -> None:
        """Run an engine until the log is folded and kept."""
        async with self.running(parts) as engine:
            await asyncio.wait_for(engine.drain(), PATIENCE)


async def append(parts: EngineParts, story: Sequence[Event], *, batch: int) -> list[Placed]:
    """Write events into the log in turn over its partitions, and tell where they are."""
    appender = await parts.log.open_appender(Stream.EVENTS)
    placed: list[Placed] = []
    for turn, at in enumerate(range(0, len(story), batch)):
        events = story[at : at + batch]
        partition = turn % parts.log.partitions
        first = await appender.append(partition, Records(len(events), codec.encode(events)))
        placed += [(partition, first + place, event) for place, event in enumerate(events)]
    await appender.close()
    return placed


def reduced(placed: Sequence[Placed], definitions: Definitions = DEFINITIONS) -> People:
    """The people of a plain reduce over the log."""

    def step(people: People, one: Placed) -> People:
        partition, offset, event = one
        people.fold(event, (partition, offset))
        return people

    return reduce(step, placed, People("main", definitions))


def expected(placed: Sequence[Placed], definitions: Definitions = DEFINITIONS) -> dict[frozenset[str], dict[str, Any]]:
    """The states of a plain reduce, by the identifiers of their person."""
    people = reduced(placed, definitions)
    return {frozenset(one.identifiers): profiles.state_of(one, definitions) for one in people.profiles.values()}


async def load(parts: EngineParts, placed: Sequence[Placed], definitions: Definitions | None = None) -> list[Profile]:
    """Every profile of the store that these events belong to, as who has these definitions reads it."""
    people = People("main", definitions or parts.definitions())
    shown = {identifier for _, _, event in placed for identifier in people.shown(event)}
    return [profiles.unpack(packed, people.definitions) for packed in await parts.store.load(shown)]


async def kept(parts: EngineParts, placed: Sequence[Placed]) -> dict[frozenset[str], dict[str, Any]]:
    """The states that the store keeps, by the identifiers of their person."""
    definitions = parts.definitions()
    return {frozenset(one.identifiers): profiles.state_of(one, definitions) for one in await load(parts, placed)}


async def read(parts: EngineParts, stream: Stream, record: type[Any]) -> list[Any]:
    """Every record of a stream that has one partition."""
    end = (await parts.log.bounds(stream))[0][1]
    found: list[Any] = []
    reader = await parts.log.open_reader(stream, {0: 0})
    while len(found) < end:
        for batch in await reader.next():
            found += codec.Decoder(record).decode(batch.count, batch.body)
    await reader.close()
    return found


async def until(parts: EngineParts, condition: Any) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await parts.runtime.sleep(0.005)

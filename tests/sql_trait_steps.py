"""Steps of the tests of traits that queries give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from obverse.adapters.memory.profile_store import MemoryProfileStore, MemoryStoreSettings
from obverse.adapters.memory.sql_runner import MemorySqlRunner, MemorySqlSettings
from obverse.adapters.memory.trait_runs import MemoryTraitRuns
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import documents, profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.queries import DUCKDB, POSTGRES
from obverse.core.queries.reading import read_query
from obverse.core.traits.numbers import Count
from obverse.flows.sql_traits import SqlTraits
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow
from obverse.ports.sql_runner import Rows
from people_steps import event as page
from people_steps import members
from reading import Faulty, document

SPENT = read_query("select user_id, sum(1) as value from event_stream group by 1")
SIZE = read_query("select user_id, count(*) as value from event_stream group by 1")
HOUR = 3600.0


def defined(**queries: str) -> Definitions:
    big = {"op": "gte", "trait": "spent", "value": 100}
    return documents.read(
        [
            *(document("trait", name, sql=sql, every="1 hour") for name, sql in queries.items()),
            document("trait", "everything", aggregate="count"),
            *(document("audience", "big", where=big) for name in queries if name == "spent"),
        ],
        {"count": Count()},
    )


class Place:
    """An installation by hand: what is asked for is folded when `arrive` is called."""

    def __init__(self, runtime: SimulatedRuntime, definitions: Definitions | None = None) -> None:
        self.runtime = runtime
        self.definitions = definitions or defined(spent=SPENT)
        self.store = MemoryProfileStore(MemoryStoreSettings(), runtime)
        self.faulty = Faulty(self.store)
        self.runs = MemoryTraitRuns()
        self.runner = MemorySqlRunner(MemorySqlSettings())
        self.duckdb = MemorySqlRunner(MemorySqlSettings())
        self.people = People("main", self.definitions)
        self.arrived: list[Event] = []

    def flow(self) -> SqlTraits:
        return SqlTraits(
            store=self.faulty,
            runs=self.runs,
            runners={POSTGRES: self.runner, DUCKDB: self.duckdb},
            definitions=lambda: self.definitions,
            runtime=self.runtime,
        )

    def says(self, *rows: tuple[Any, Any], sql: str = SPENT, column: str = "user_id") -> None:
        self.runner.answers[sql] = Rows((column, "value"), rows)

    async def fold(self, *events: Event) -> None:
        for event in events:
            self.people.fold(event, (0, len(self.arrived)))
            self.arrived.append(event)
        writer = await self.store.open_writer(WRITER)
        rows = [ProfileRow.of(profile, self.definitions) for profile in self.people.profiles.values()]
        await writer.commit(Checkpoint(marks={Stream.EVENTS: {0: len(self.arrived)}}, profiles=rows))
        await writer.close()

    async def arrive(self) -> list[Event]:
        """Append what waits, as the collector would, and fold it."""
        waiting = [*await self.store.waiting_events(limit=100_000)]
        for one in waiting:
            await self.store.settle_event(one.message_id, at=self.runtime.now())
        await self.fold(*waiting)
        return waiting

    def person(self, identifier: str) -> Profile:
        return self.people.profiles[self.people.owners[identifier]]

    def value(self, identifier: str) -> Any:
        return profiles.computed_traits(self.person(identifier), self.definitions).get("spent")

    def members(self) -> list[Profile]:
        return [one for one in self.people.profiles.values() if members(one)]


def placed(test: Callable[[Place], Awaitable[None]], **queries: str) -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        place = Place(runtime, defined(**(queries or {"spent": SPENT})))
        await place.fold(*(page(f"p-{who}", user_id=who) for who in ("ada", "bob", "eve")))
        await test(place)

    simulate(1, run)

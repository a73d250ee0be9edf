"""A small shop whose profiles are read: in a cache that is ahead, and a store that is one checkpoint behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.core import codec, profiles
from obverse.core import documents as reader
from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.traits.collections import MostFrequent
from obverse.core.traits.moments import First
from obverse.core.traits.numbers import Count, Sum
from obverse.flows.serve import Serve
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Appender, EventLog, Records, Stream
from obverse.ports.groups import GroupRow
from obverse.ports.profile_cache import CacheWriter, ProfileCache
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileRow, ProfileStore, StoredEvent, StoreWriter

NOON = 1_769_860_800_000_000
"""2026-01-31T12:00:00Z."""


def document(kind: str, name: str, **spec: Any) -> tuple[str, Any]:
    return f"{name}.yml", {"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


DEFINITIONS: Definitions = reader.read(
    [
        document("trait", "orders", aggregate="count", event="Order Completed"),
        document("trait", "lifetime_value", aggregate="sum", event="Order Completed", property="revenue"),
        document("trait", "favourite_product", aggregate="most_frequent", event="Order Completed", property="sku"),
        document("trait", "first_order_at", aggregate="first", event="Order Completed", field="timestamp"),
        document("audience", "big_spenders", where={"op": "gte", "trait": "lifetime_value", "value": 1000}),
        document("audience", "one_time_buyers", where={"op": "eq", "trait": "orders", "value": 1}),
        document("identity", "rules", blocked=["shared-till"], limits={"user_id": "none"}),
    ],
    {"count": Count(), "sum": Sum(), "most_frequent": MostFrequent(), "first": First()},
)


def track(number: int, revenue: str, **fields: Any) -> Event:
    """An order of that revenue, `number` minutes after noon."""
    at = NOON + number * 60_000_000
    return Event(
        type="track",
        name="Order Completed",
        message_id=f"m-{number}",
        source="shop",
        received_at=at + 1_000_000,
        timestamp=at,
        properties=b'{"revenue": %s, "sku": "A%d"}' % (revenue.encode(), number % 2),
        **fields,
    )


def identify(number: int, traits: str, *, source: str = "shop", **fields: Any) -> Event:
    at = NOON + number * 60_000_000
    return Event(
        type="identify",
        message_id=f"m-{number}",
        source=source,
        received_at=at,
        timestamp=at,
        properties=traits.encode(),
        **fields,
    )


def group_call(number: int, group: str, traits: str = "{}", **fields: Any) -> Event:
    at = NOON + number * 60_000_000
    return Event(
        type="group",
        message_id=f"m-{number}",
        source="shop",
        received_at=at,
        timestamp=at,
        group_id=group,
        properties=traits.encode(),
        **fields,
    )


class Faulty:
    """A port that fails when it is told to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.failure: BaseException | None = None
        self.silent = False
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.between: Callable[[], Awaitable[None]] | None = None
        """What happens in the world after each answer, before the asker has it."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*args: Any, **options: Any) -> Any:
            self.asked.append(name)
            if self.silent:
                await asyncio.Event().wait()
            if self.failure is not None:
                raise self.failure
            if name in self.answers:
                return self.answers[name]
            answer = await method(*args, **options)
            if self.between is not None:
                await self.between()
            return answer

        return call


@dataclass
class Shop:
    """What the engine does, by hand."""

    log: EventLog
    store: ProfileStore
    cache: ProfileCache
    appender: Appender
    writer: StoreWriter
    shown: CacheWriter[Profile]
    people: People = field(default_factory=lambda: People("main", DEFINITIONS))
    waiting: list[StoredEvent] = field(default_factory=list)
    decided: list[KeptDecision] = field(default_factory=list)
    offset: int = 0
    decisions: int = 0

    def __post_init__(self) -> None:
        self.faulty_log = Faulty(self.log)
        self.faulty_store = Faulty(self.store)
        self.faulty_cache = Faulty(self.cache)
        self.serve = Serve(
            store=self.faulty_store, cache=self.faulty_cache, definitions=lambda: DEFINITIONS, log=self.faulty_log
        )

    async def fold(self, *events: Event) -> None:
        """Append events to the log and fold them; the cache shows them."""
        for event in events:
            await self.appender.append(0, Records(1, codec.encode([event])))
            folded = self.people.fold(event, (0, self.offset))
            if folded.decision is not None:
                self.decided.append(KeptDecision(self.decisions, folded.decision))
                self.decisions += 1
            if folded.profile is not None and not folded.repeated:
                self.waiting.append(StoredEvent(folded.profile.id, 0, self.offset, event))
            self.offset += 1
        await self.shown.publish(self.people.profiles.values(), self.people.set_aside)

    async def checkpoint(self, rejected: Sequence[RejectedEvent] = ()) -> None:
        """Write everything to the store."""
        await self.writer.commit(
            Checkpoint(
                marks={Stream.EVENTS: {0: self.offset}},
                profiles=[ProfileRow.of(profile, DEFINITIONS) for profile in self.people.profiles.values()],
                absorbed=dict(self.people.absorbed),
                groups=[GroupRow.of(group) for group in self.people.groups.values()],
                decisions=self.decided,
                events=[self.writer.pack(self.waiting)],
                rejected=rejected,
            )
        )
        self.waiting, self.decided = [], []

    async def forget(self) -> None:
        """Empty the cache, as a restart of the worker does."""
        self.shown = await self.cache.open_writer(pack)

    async def close(self) -> None:
        await self.appender.close()
        await self.log.close()
        await self.shown.close()
        await self.cache.close()
        await self.writer.close()
        await self.store.close()


def pack(profile: profiles.Profile) -> bytes:
    return profiles.pack(profile, DEFINITIONS)


async def open_shop() -> Shop:
    runtime = open_runtime()
    log = await open_event_log(MemoryLogSettings(), runtime)
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    cache = await open_profile_cache(MemoryCacheSettings(), runtime)
    return Shop(
        log,
        store,
        cache,
        await log.open_appender(Stream.EVENTS),
        await store.open_writer(WRITER),
        await cache.open_writer(pack),
    )

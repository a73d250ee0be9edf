"""Steps of the tests of syncing: a small installation in virtual time, with a CRM in which people work too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from failing_cache import FailingCache, SlowCache
from obverse.adapters.embedded import EmbeddedSettings
from obverse.adapters.embedded import open_engine as open_embedded
from obverse.adapters.memory.crm import MemoryAccount, MemoryCrmSettings, open_crm
from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryProfileStore, MemoryStoreSettings
from obverse.adapters.memory.sync_queue import MemorySyncQueue
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import json_values
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.outgoing import Connection, Direction, MappedField
from obverse.core.profiles import Profile, unpack
from obverse.core.records import Callback
from obverse.core.traits.numbers import Count
from obverse.flows.absorb import Absorb
from obverse.flows.activate import Activate, ActivateParts
from obverse.flows.answers import Answer
from obverse.flows.collect import Collect
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.unify import Unify
from obverse.ports.crm import Crm
from obverse.ports.engine import EngineParts
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Work

FIELDS = {"email", "firstname", "lastname", "plan", "orders", "buyer"}


def mapped(name: str, source: str, direction: Direction | None = None) -> MappedField:
    subject, _, attribute = source.partition(".")
    way: Direction = direction or ("both" if subject == "attribute" else "out")
    return MappedField(field=name, subject=subject, name=attribute, direction=way)


CRM = Connection(
    name="crm",
    crm="memory",
    fields=(
        mapped("firstname", "attribute.first_name"),
        mapped("plan", "attribute.plan", "out"),
        mapped("lastname", "attribute.last_name", "in"),
        mapped("orders", "trait.orders"),
        mapped("buyer", "audience.buyers"),
    ),
)


def defined(*connections: Connection) -> Definitions:
    return define(
        traits=[Trait("orders", Count(), "k:orders:1", "track", "Bought", None, None)],
        audiences=[Audience("buyers", parse({"op": "gte", "trait": "orders", "value": 1}))],
        connections=connections,
        identity=IdentityRules(limits={}),
    )


@dataclass
class World:
    """Collector, worker and CRMs. What a process would hold in memory is made anew after each kill."""

    runtime: SimulatedRuntime
    definitions: Definitions = field(default_factory=lambda: defined(CRM))
    accounts: dict[str, MemoryAccount] = field(default_factory=dict)
    works: list[Work] = field(default_factory=list)
    sent: int = 0
    publishing: float = 0.0
    """Seconds that it takes to publish profiles."""
    acting: FailingCache = field(init=False)
    """The cache of whoever acts on changes; of several, of the one that was made last."""

    def __post_init__(self) -> None:
        self.log = MemoryEventLog(MemoryLogSettings(), self.runtime)
        self.store = MemoryProfileStore(MemoryStoreSettings(), self.runtime)
        self.queue = MemorySyncQueue(self.runtime)
        self.shelves: dict[str, dict[str, bytes]] = {}
        for one in self.definitions.connections:
            self.accounts.setdefault(one.name, MemoryAccount(fields=set(FIELDS)))

    @property
    def account(self) -> MemoryAccount:
        return self.accounts["crm"]

    async def open_crm(self, connection: Connection) -> Crm:
        return await open_crm(MemoryCrmSettings(account=self.accounts[connection.name]), self.runtime)

    async def start(self) -> None:
        """The collector, and the worker."""
        self.collect = Collect(
            log=self.log, definitions=lambda: self.definitions, runtime=self.runtime, hash_key=lambda key: key
        )
        await self.collect.open()
        self.absorb = Absorb(
            collect=self.collect,
            queue=self.queue,
            definitions=lambda: self.definitions,
            open_crm=self.open_crm,
            runtime=self.runtime,
        )
        await self.start_worker()

    async def start_worker(self) -> None:
        self.engine = await open_embedded(
            EmbeddedSettings(slice_events=3, checkpoint_seconds=2.0),
            EngineParts(
                workspace="main",
                log=self.log,
                store=self.store,
                cache=await self.open_cache(),
                definitions=lambda: self.definitions,
                runtime=self.runtime,
            ),
        )
        self.activate = Activate(
            ActivateParts(
                log=self.log,
                queue=self.queue,
                store=self.store,
                profiles=await self.current_profiles(),
                definitions=lambda: self.definitions,
                open_crm=self.open_crm,
                runtime=self.runtime,
            )
        )
        self.works = [
            self.runtime.spawn("unify", Unify(self.engine, self.runtime).run()),
            self.runtime.spawn("activate", self.activate.run()),
        ]

    async def open_cache(self) -> FailingCache:
        cache = await open_profile_cache(MemoryCacheSettings(shelves=self.shelves), self.runtime)
        return SlowCache(cache, self.runtime, self.publishing) if self.publishing else FailingCache(cache)

    async def current_profiles(self) -> CurrentProfiles:
        self.acting = await self.open_cache()
        return CurrentProfiles(
            log=self.log,
            store=self.store,
            cache=self.acting,
            definitions=lambda: self.definitions,
            runtime=self.runtime,
        )

    async def kill_worker(self) -> None:
        """As a power cut does: what was not kept is gone."""
        self.store = self.store.crash()
        self.queue = self.queue.crash()
        for work in self.works:
            await work.stop()
        self.shelves.clear()
        self.absorb._queue = self.queue
        await self.start_worker()

    async def stop(self) -> None:
        for work in self.works:
            await work.stop()

    async def tell(
        self, user: str, type_: str = "identify", name: str | None = None, *, at: int | None = None, **properties: Any
    ) -> None:
        """One event of an SDK; `at`: when it says that it happened, if that is not now."""
        self.sent += 1
        now = self.runtime.now()
        event = Event(
            type=type_,
            message_id=f"m{self.sent}",
            source="web",
            received_at=now,
            timestamp=now if at is None else at,
            user_id=user,
            name=name,
            properties=msgspec.json.encode(properties),
        )
        assert await self.collect.append([event], [], 1) is None

    async def call(self, callback: Callback, name: str = "crm") -> Answer:
        """A callback of the CRM."""
        return (await self.absorb.take(name, callback)).answer

    async def edit(self, address: str, /, **fields: str) -> Callback:
        """Somebody changes a contact in the CRM."""
        record_id = self.account.find(address)
        assert record_id is not None, f"no contact {address}"
        return self.account.edit(record_id, fields, self.runtime.now())

    async def quiet(self, seconds: float = 30.0) -> None:
        """Let everything settle."""
        await self.runtime.sleep(seconds)
        await self.engine.drain()
        await self.runtime.sleep(seconds)

    async def profile(self, identifier: str) -> Profile:
        (state,) = await self.store.load((identifier,))
        return unpack(state, self.definitions)

    async def attribute(self, identifier: str, name: str) -> tuple[Any, str]:
        """An attribute's value, and who told it."""
        write = (await self.profile(identifier)).attributes[name][0]
        return json_values.lenient(write.value), write.stamp.source

    def contact(self, email: str, account: str = "crm") -> Mapping[str, str]:
        held = self.accounts[account]
        record_id = held.find(email)
        return {} if record_id is None else {name: v for name, v in held.contacts[record_id].items() if name != "email"}


async def everybody(store: ProfileStore) -> list[bytes]:
    return list(await store.people(limit=1000))


def run(
    story: Callable[[Any], Awaitable[Any]], *, seed: int = 1, world: Callable[..., World] = World, **options: Any
) -> Any:
    """Run a story in a world of its own."""

    async def whole(runtime: SimulatedRuntime) -> Any:
        here = world(runtime, **options)
        await here.start()
        try:
            return await story(here)
        finally:
            await here.stop()

    return simulate(seed, whole)[0]

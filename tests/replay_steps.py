"""Steps of the tests of replays: a small installation in virtual time, with a CRM, mail, and a ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from obverse.adapters.memory.replays import MemoryReplays
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.identity import IdentityRules
from obverse.core.outgoing import Campaign, Connection, Template
from obverse.core.profiles import Profile, pack, unpack
from obverse.core.replays import Wanted
from obverse.core.traits.numbers import Count
from obverse.flows.replaying import Replaying, ReplayingParts
from obverse.ports.engine import WRITER, Engine
from obverse.ports.profile_store import Checkpoint, ProfileRow
from obverse.ports.replays import Replay, ReplayStage
from post_steps import Post
from sync_steps import CRM
from sync_steps import run as run_world

WELCOME = Template(name="welcome", subject="Hello", sender="shop@example.com", text="{{ customer.email }}")
CAMPAIGN = Campaign(name="welcome_buyers", audience="buyers", template="welcome")
ALL = Wanted(flows=("unify", "activate", "deliver"))
ORDERS = "k:orders:1"


def shop(*campaigns: Campaign, connections: tuple[Connection, ...] = (CRM,), event: str = "Bought") -> Definitions:
    return define(
        traits=[Trait("orders", Count(), ORDERS, "track", event, None, None)],
        audiences=[Audience("buyers", parse({"op": "gte", "trait": "orders", "value": 1}))],
        connections=connections,
        templates=[WELCOME],
        campaigns=campaigns,
        identity=IdentityRules(limits={}),
    )


@dataclass
class Shop(Post):
    """The small installation, with mail and replays."""

    definitions: Definitions = field(default_factory=lambda: shop(CAMPAIGN))
    sample: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.replays = MemoryReplays()

    async def start_worker(self) -> None:
        await super().start_worker()
        self.replaying = Replaying(
            ReplayingParts(
                replays=self.replays,
                log=self.log,
                store=self.store,
                engine=self.acting_engine(),
                profiles=await self.current_profiles(),
                queue=self.queue,
                outbox=self.outbox,
                activate=self.activate,
                deliver=self.deliver,
                definitions=lambda: self.definitions,
                runtime=self.runtime,
                sample=self.sample,
            )
        )
        self.works.append(self.runtime.spawn("replaying", self.replaying.run()))

    def acting_engine(self) -> Engine:
        """The engine that replays know."""
        return self.engine

    async def harm(self, identifier: str, do: Callable[[Profile], Any]) -> None:
        """Have somebody be otherwise, in the store; the worker is dead meanwhile."""
        await self.stop()
        (packed,) = await self.store.load((identifier,))
        profile = unpack(packed, self.definitions)
        do(profile)
        profile.known_moved = profile.standing_moved = True
        writer = await self.store.open_writer(WRITER)
        row = ProfileRow.of(unpack(pack(profile, self.definitions), self.definitions), self.definitions)
        await writer.commit(Checkpoint(marks=writer.marks, profiles=[row]))
        await writer.close()
        self.shelves.clear()
        await self.start_worker()

    async def plan(self, wanted: Wanted = ALL) -> Replay:
        """Ask for a replay, and wait until it is planned, or refused."""
        id_ = await self.replays.ask(wanted, by="ada", at=self.runtime.now())
        return await self.until(id_, ReplayStage.PLANNED, ReplayStage.REFUSED)

    async def run_all(self, wanted: Wanted = ALL) -> Replay:
        """Have a replay planned and run, and wait for its end."""
        planned = await self.plan(wanted)
        assert planned.state is ReplayStage.PLANNED, planned.reason
        await self.replays.confirm(planned.id, by="ada")
        return await self.until(planned.id, ReplayStage.DONE, ReplayStage.REFUSED)

    async def until(self, id_: int, *states: ReplayStage) -> Replay:
        for _ in range(1500):
            one = await self.replays.find(id_)
            assert one is not None
            if one.state in states:
                return one
            await self.runtime.sleep(0.1)
        raise AssertionError("it goes no further")

    def outside(self) -> tuple[list[str], int]:
        """Who was written to, and how often the CRM was."""
        return sorted(mail.to for mail in self.post.mails), len(self.account.written)


async def customers(world: Shop, *names: str) -> None:
    """Have these people told of, with an address, and buy once."""
    for name in names:
        await world.tell(name, email=f"{name}@example.com", first_name=name.title())
        await world.buys(name)
    await world.quiet()


run = partial(run_world, world=Shop)

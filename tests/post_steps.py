"""Steps of the tests of messages: the small installation, with mail."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import msgspec

from obverse.adapters.memory.email_service import MemoryPost, MemoryServiceSettings, open_email_service
from obverse.adapters.memory.outbox import MemoryOutbox
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.identity import IdentityRules
from obverse.core.messages import Message
from obverse.core.outgoing import Campaign, Template
from obverse.core.traits.numbers import Count
from obverse.flows.deliver import Deliver, DeliverParts
from obverse.ports.identity_requests import IdentityRequest
from sync_steps import World
from sync_steps import run as run_world

WELCOME = Template(
    name="welcome",
    subject="Hello {{ customer.first_name }}",
    sender="shop@example.com",
    text="{{ customer.orders }} {{ trigger.audience }}{{ trigger.code }} {{ customer.email }}",
)
CAMPAIGN = Campaign(name="welcome_buyers", audience="buyers", template="welcome")


def defined(*campaigns: Campaign, template: Template = WELCOME) -> Definitions:
    return define(
        traits=[Trait("orders", Count(), "k:orders:1", "track", "Bought", None, None)],
        audiences=[Audience("buyers", parse({"op": "gte", "trait": "orders", "value": 1}))],
        templates=[template],
        campaigns=campaigns,
        identity=IdentityRules(limits={}),
    )


@dataclass
class Post(World):
    """The small installation, with mail."""

    definitions: Definitions = field(default_factory=lambda: defined(CAMPAIGN))
    post: MemoryPost = field(default_factory=MemoryPost)
    can_be_asked: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.outbox = MemoryOutbox(self.runtime)

    async def start_worker(self) -> None:
        await super().start_worker()
        service = await open_email_service(
            MemoryServiceSettings(can_be_asked=self.can_be_asked, post=self.post), self.runtime
        )
        self.deliver = Deliver(
            DeliverParts(
                log=self.log,
                outbox=self.outbox,
                profiles=await self.current_profiles(),
                service=service,
                definitions=lambda: self.definitions,
                runtime=self.runtime,
            )
        )
        self.works.append(self.runtime.spawn("deliver", self.deliver.run()))

    async def kill_worker(self) -> None:
        self.outbox = self.outbox.crash()
        await super().kill_worker()

    async def buys(self, user: str) -> None:
        await self.tell(user, "track", "Bought")

    def arrived(self) -> Counter[str]:
        return Counter(mail.to for mail in self.post.mails)

    async def statuses(self) -> Counter[str]:
        return Counter(one.status for one in await self.outbox.page(limit=1000))


run = partial(run_world, world=Post)


async def accept(
    world: Post, to: str | None, profile: bytes | None = None, *, days_ago: int = 0, **data: Any
) -> Message:
    now = world.runtime.now() - days_ago * 86_400_000_000
    id_ = world.runtime.random.getrandbits(128).to_bytes(16, "big")
    message = Message(
        id=id_,
        message_id=f"<{id_.hex()}@example.com>",
        template="welcome",
        to=to,
        profile=profile,
        data=msgspec.json.encode(data),
        created_at=now,
        due_at=now,
    )
    assert await world.outbox.accept(message, None) is None
    return message


async def ask(world: Post, kind: Literal["merge", "unmerge"], one: str, other: str) -> None:
    await world.store.ask_identity(
        IdentityRequest(id=f"r{world.sent}", kind=kind, one=one, other=other, by="eve", asked_at=world.runtime.now())
    )

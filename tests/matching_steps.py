"""Steps of the tests of matching: a shop whose people were told to us by several systems."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from obverse.adapters.memory.matcher import MemoryMatcher
from obverse.adapters.memory.merge_requests import MemoryMergeRequests
from obverse.adapters.memory.proposals import MemoryProposals
from obverse.adapters.runtime.system import open_runtime
from obverse.core.definitions import Definitions
from obverse.core.matching import MatchingRules, Tiers
from obverse.flows.match import PAGE, Match, Matched, MatchParts
from obverse.ports.proposals import Proposal
from reading import Shop, identify

ADA = {"first_name": "Ada", "last_name": "Lovelace", "birthday": "1815-12-10", "phone": "+44 20 7000 0001"}
BOB = {"first_name": "Bob", "last_name": "Builder", "birthday": "1990-01-31", "phone": "+44 20 7000 0002"}


@dataclass
class Queue:
    """A shop's matching, with all that it asks of others in memory."""

    shop: Shop
    definitions: Definitions = field(default_factory=Definitions)
    proposals: MemoryProposals = field(default_factory=MemoryProposals)
    merges: Any = field(default_factory=MemoryMergeRequests)
    page: int = PAGE
    told: int = 100

    async def tell(self, user: str, **traits: str) -> bytes:
        """Have a system tell this of somebody; returns the profile's id."""
        self.told += 1
        await self.shop.fold(identify(self.told, json.dumps(traits), user_id=user))
        await self.shop.checkpoint()
        return await self.id_of(user)

    async def id_of(self, user: str) -> bytes:
        found = await self.shop.serve.current(f"user_id:{user}")
        assert found is not None
        return found.id

    async def become_one(self, one: str, other: str) -> None:
        """Have events tie them: what one of them shows, the other shows too."""
        for user in (one, other):
            self.told += 1
            shown = identify(self.told, "{}", user_id=user, anonymous_id=f"a-{one}-{other}")
            await self.shop.fold(shown)
        await self.shop.checkpoint()

    def rules(self, *, merge_exact: bool = False, exact: float = 0.99) -> None:
        """Have the workspace match by these."""
        rules = MatchingRules(merge_exact=merge_exact, tiers=Tiers(exact=exact))
        self.definitions = replace(self.definitions, matching=rules)

    async def match(self) -> Matched:
        return await self.flow().run()

    def flow(self) -> Match:
        return Match(
            MatchParts(
                store=self.shop.store,
                matcher=MemoryMatcher(),
                proposals=self.proposals,
                merges=self.merges,
                definitions=lambda: self.definitions,
                page=self.page,
                runtime=open_runtime(),
            )
        )

    async def every(self) -> list[Proposal]:
        return list(await self.proposals.page(limit=100))

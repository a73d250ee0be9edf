"""What a CRM took and never answered is known for what it is, whatever else it answers and tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from obverse.adapters.memory.crm import MemoryCrm, MemoryCrmSettings
from obverse.core.outgoing import Connection
from obverse.core.records import ContactPatch
from obverse.ports.crm import Crm, Outcome
from obverse.ports.outcomes import Deferred, Refused, Unreachable
from sync_steps import World, run


@dataclass
class Doubtful(World):
    """A small installation, with a CRM whose answers are lost or late."""

    loses: bool = False
    """Whether the CRM writes what it is given, and its answer never comes."""
    fate: Outcome | None = None
    """What is answered to each patch instead of writing it."""

    async def open_crm(self, connection: Connection) -> Crm:
        return DoubtfulCrm(self, MemoryCrmSettings(account=self.accounts[connection.name]))


class DoubtfulCrm(MemoryCrm):
    def __init__(self, world: Doubtful, settings: MemoryCrmSettings) -> None:
        super().__init__(settings, world.runtime)
        self._world = world

    async def upsert(self, patches: Sequence[ContactPatch]) -> Sequence[Outcome]:
        if self._world.fate is not None:
            return [self._world.fate for _ in patches]
        outcomes = await super().upsert(patches)
        if self._world.loses:
            raise Unreachable("the answer was lost")
        return outcomes


run = partial(run, world=Doubtful)


@pytest.mark.parametrize("fate", [Deferred("busy"), Refused("not this one")])
def test_a_doubt_is_one_until_it_is_written_over(fate: Outcome) -> None:
    async def story(world: Doubtful) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        world.loses = True
        await world.tell("ada", first_name="Augusta")
        await world.runtime.sleep(0.3)
        assert world.contact("ada@example.com")["firstname"] == "Augusta"

        world.fate, world.loses = fate, False
        await world.tell("ada", first_name="Ada")
        await world.runtime.sleep(5)
        world.fate = None
        await world.queue.retry("crm", None, now=world.runtime.now())
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)

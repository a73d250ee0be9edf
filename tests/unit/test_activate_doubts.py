"""What a CRM took and never answered is known for what it is, whatever else it answers and tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import pytest

from obverse.adapters.memory.crm import MemoryCrm, MemoryCrmSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime
from obverse.core.outgoing import Connection
from obverse.core.records import ContactPatch
from obverse.ports.crm import Crm, Outcome
from obverse.ports.outcomes import Deferred, Refused, Unreachable
from sync_steps import CRM, World, defined
from sync_steps import run as run_world


@dataclass
class Doubtful(World):
    """A small installation, with a CRM whose answers are lost or late."""

    loses: bool = False
    """Whether the CRM writes what it is given, and its answer never comes."""
    late: float = 0.0
    """Seconds from when the CRM has written what it is given until it says so."""
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
        await self._world.runtime.sleep(self._world.late)
        return outcomes


run = partial(run_world, world=Doubtful)


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


@pytest.mark.parametrize("lost", [False, True])
def test_what_we_wrote_and_wrote_over_since_is_no_edit_though_it_is_told_late(*, lost: bool) -> None:
    async def story(world: Doubtful) -> None:
        yesterday = world.runtime.now() - 86_400_000_000
        await world.tell("ada", at=yesterday, email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(2)
        for number, name in enumerate(("Augusta", "Countess"), 1):
            world.loses = lost and name == "Augusta"
            await world.tell("ada", at=yesterday + number, first_name=name)
            await world.runtime.sleep(0.3 if world.loses else 2)
        await world.runtime.sleep(10)
        echo = world.account.echo(world.runtime.now())
        for _ in range(2):
            assert (await world.absorb.take("crm", echo)).answer.events == []
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Countess", "web")
        assert world.contact("ada@example.com")["firstname"] == "Countess"

    run(story)


def test_what_changes_while_it_is_written_is_not_set_back_by_the_echo() -> None:
    async def story(world: Doubtful) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(2)
        world.late = 1.0
        await world.tell("ada", first_name="Augusta")
        changed = world.runtime.now() + 1  # before the CRM has written the one before
        await world.runtime.sleep(0.5)
        await world.tell("ada", at=changed, first_name="Countess")
        await world.runtime.sleep(5)
        await world.call(world.account.echo(world.runtime.now()))
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Countess", "web")
        assert world.contact("ada@example.com")["firstname"] == "Countess"

    run(story)


def test_an_address_that_we_wrote_and_wrote_over_since_is_no_edit() -> None:
    async def story(world: Doubtful) -> None:
        yesterday = world.runtime.now() - 86_400_000_000
        told = []
        for number, name in enumerate(("ada", "augusta", "countess")):
            await world.tell("ada", at=yesterday + number, email=f"{name}@example.com")
            await world.runtime.sleep(2)
            told.append((f"{name}@example.com", world.runtime.now() - 1_000_000))
        record_id = world.account.find("countess@example.com")
        edits = [[f"{at}", record_id, "email", address, at] for address, at in told]
        await world.call(world.account.call(msgspec.json.encode(edits), world.runtime.now()))
        await world.quiet()

        assert await world.attribute("user_id:ada", "email") == ("countess@example.com", "web")
        assert world.account.find("countess@example.com") == record_id

    run(story)


def test_an_adapter_that_fails_harms_no_other_connection() -> None:
    def two(runtime: SimulatedRuntime) -> Doubtful:
        return Doubtful(runtime, defined(CRM, replace(CRM, name="other")), late=1.0)

    async def story(world: Doubtful) -> None:
        world.account.trouble = KeyError("name")
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(10)
        standings = await world.queue.standings()
        assert [standings[name][1].waiting for name in ("crm", "other")] == [1, 0]
        assert "KeyError" in (standings["crm"][0].reason or "")

        world.account.trouble = None
        await world.runtime.sleep(60)
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run_world(story, world=two)


@pytest.mark.parametrize("lost", [False, True])
def test_a_value_that_is_set_back_is_an_edit_though_ours_is_not_answered_yet(*, lost: bool) -> None:
    async def story(world: Doubtful) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(2)
        world.late, world.loses = 20.0, lost
        await world.tell("ada", first_name="Augusta")
        await world.runtime.sleep(0.3)
        world.account.trouble = Unreachable("gone")
        await world.call(world.account.echo(world.runtime.now()))
        for name in ("Bea", "Augusta"):
            await world.runtime.sleep(6)
            await world.call(await world.edit("ada@example.com", firstname=name))
        await world.runtime.sleep(6)
        world.account.trouble, world.late, world.loses = None, 0.0, False
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Augusta", "crm")
        assert world.contact("ada@example.com")["firstname"] == "Augusta"

    run(story)


@pytest.mark.parametrize("made", [False, True])
def test_what_somebody_writes_where_we_take_nothing_is_written_over_though_ours_is_unanswered(*, made: bool) -> None:
    async def story(world: Doubtful) -> None:
        if made:
            await world.tell("ada", email="ada@example.com", plan="basic")
            await world.quiet()
        world.late = 2.0
        await world.tell("ada", email="ada@example.com", plan="pro")
        await world.runtime.sleep(1)
        await world.call(await world.edit("ada@example.com", plan="free"))
        await world.quiet()
        assert world.contact("ada@example.com")["plan"] == "pro"

    run(story)


@pytest.mark.parametrize(("one", "other"), [("ada", "bea"), ("bea", "ada")])
def test_what_is_told_of_a_contact_while_another_person_gets_it_is_known(one: str, other: str) -> None:
    async def story(world: Doubtful) -> None:
        for name in (one, other):
            await world.tell(name, email=f"{name}@example.com", plan="basic")
        await world.quiet()
        world.late = 2.0
        await world.tell(one, email=f"{other}@example.com", plan="pro")
        await world.runtime.sleep(1)
        assert world.contact(f"{other}@example.com")["plan"] == "pro"
        await world.call(await world.edit(f"{other}@example.com", plan="free"))  # which is ours alone
        await world.quiet()

        assert world.contact(f"{other}@example.com")["plan"] == "pro"

    run(story)

"""A secret that somebody replaces is taken up without a restart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from obverse.adapters.memory.crm import MemoryCrmSettings, open_crm
from obverse.core.outgoing import Connection
from obverse.ports.crm import Crm
from sync_steps import World, run


@dataclass
class Guarded(World):
    """A small installation, whose secret stands in a file."""

    secret: str = "key"

    async def open_crm(self, connection: Connection) -> Crm:
        account = self.accounts[connection.name]
        return await open_crm(MemoryCrmSettings(account=account, key=self.secret), self.runtime)


run = partial(run, world=Guarded)


def test_a_connection_that_is_refused_is_opened_with_the_secret_that_is_there_now() -> None:
    async def story(world: Guarded) -> None:
        await world.quiet()
        world.account.key = "another"
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(60)
        assert (await world.queue.standings())["crm"][0].state == "refused"

        world.secret = "another"
        await world.runtime.sleep(60)
        assert world.contact("ada@example.com")["firstname"] == "Ada"
        assert (await world.queue.standings())["crm"][0].state == "ok"

    run(story)


def test_a_secret_that_cannot_be_read_is_told_with_when_it_is_looked_for_again() -> None:
    class Lacking(World):
        async def open_crm(self, connection: Connection) -> Crm:
            raise ValueError(
                f"connection {connection.name!r}, spec.settings.token: the environment has no variable TOKEN; set it"
            )

    async def story(world: World) -> None:
        await world.runtime.sleep(60)
        standing = (await world.queue.standings())["crm"][0]
        assert standing.state == "refused"
        assert "TOKEN" in (standing.reason or "")
        assert "a variable of the environment when the worker starts again" in (standing.remedy or "")

    run(story, world=Lacking)


def test_a_callback_is_held_against_the_secret_that_is_there_now() -> None:
    async def story(world: Guarded) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        assert (await world.call(world.account.echo(world.runtime.now()))).status == 200
        world.account.key = world.secret = "another"
        told = await world.edit("ada@example.com", firstname="Augusta")
        assert [(await world.call(told)).status for _ in range(2)] == [401, 200], "it tells it again"

    run(story)

"""A message goes to its person, wherever their address comes from and whoever they become one with."""

from __future__ import annotations

from typing import Any

import pytest

from obverse.core.identity import id_name
from obverse.ports.runtime import Runtime
from post_steps import Post, accept, ask, run


def test_one_without_an_address_waits_until_there_is_one() -> None:
    async def story(world: Post) -> None:
        await world.buys("ada")
        await world.quiet()
        (waiting,) = await world.outbox.page(limit=5)
        assert (waiting.status, waiting.reason, waiting.attempts) == ("waiting", "the profile has no address yet", ())

        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}

    run(story)


def test_an_address_that_comes_while_the_message_is_written_is_not_missed() -> None:
    async def story(world: Post) -> None:
        async def meanwhile() -> None:
            await world.tell("ada", email="ada@example.com")
            await world.runtime.sleep(1)  # by then the change is told, and looked at

        await world.quiet()
        world.acting.meanwhile = meanwhile
        await world.buys("ada")
        await world.runtime.sleep(3)
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}

    run(story)


def test_who_becomes_one_with_somebody_who_has_an_address_is_written_to_there() -> None:
    async def story(world: Post) -> None:
        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        await world.buys("bea")
        await world.quiet()
        assert await world.statuses() == {"waiting": 1}

        await world.tell("bea", email="ada@example.com")
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}

    run(story)


def test_who_becomes_one_with_somebody_else_waits_for_the_address_of_both() -> None:
    async def story(world: Post) -> None:
        await world.tell("ada")
        await world.quiet()
        await world.buys("bea")
        await world.quiet()
        await ask(world, "merge", "user_id:ada", "user_id:bea")
        await world.quiet()
        assert await world.statuses() == {"waiting": 1, "refused": 1}

        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}

    run(story)


@pytest.mark.parametrize("trouble", ["stop", "unreadable"])
def test_what_was_never_given_to_the_service_is_no_doubt(trouble: str) -> None:
    async def story(world: Post) -> None:
        async def meanwhile() -> None:
            if trouble == "unreadable":
                raise ValueError("another release wrote it")
            await world.runtime.sleep(3600)

        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        world.acting.meanwhile = meanwhile
        await world.buys("ada")
        await world.runtime.sleep(1)
        if trouble == "stop":
            assert await world.statuses() == {"sending": 1}
            for work in world.works:
                await work.stop()
            await world.start_worker()
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}
        assert await world.statuses() == {"sent": 1}

    run(story, can_be_asked=False)


class Slow:
    """An outbox, or its worker, that is late with its answer to a claim: it is claimed by then."""

    def __init__(self, inner: Any, runtime: Runtime) -> None:
        self._inner, self._runtime = inner, runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def open_worker(self) -> Slow:
        return Slow(await self._inner.open_worker(), self._runtime)

    async def claim(self, **wanted: Any) -> Any:
        claimed = await self._inner.claim(**wanted)
        await self._runtime.sleep(3 if claimed else 0)
        return claimed


def test_what_is_being_claimed_when_the_worker_is_stopped_is_no_doubt() -> None:
    async def story(world: Post) -> None:
        await world.quiet()
        for work in world.works:
            await work.stop()
        outbox: Any = Slow(world.outbox, world.runtime)
        world.outbox = outbox
        await world.start_worker()
        await accept(world, "ada@example.com")
        await world.runtime.sleep(1)
        assert await world.statuses() == {"sending": 1}
        for work in world.works:
            await work.stop()
        await world.start_worker()
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}
        assert await world.statuses() == {"sent": 1}

    run(story, can_be_asked=False)


def test_a_profile_that_cannot_be_read_keeps_no_other_message_waiting() -> None:
    async def story(world: Post) -> None:
        for name in ("ada", "bea"):
            await world.tell(name, email=f"{name}@example.com")
        await world.quiet()
        bea = (await world.profile("user_id:bea")).id
        world.acting.damaged = {id_name(bea)}
        for name in ("bea", "ada"):
            await world.buys(name)
        await accept(world, None, bea)
        await world.runtime.sleep(60)
        assert world.arrived() == {"ada@example.com": 1}
        assert {
            "cannot be read" in (one.reason or "") for one in await world.outbox.page(limit=5, status="queued")
        } == {True}

        world.acting.damaged.clear()
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1, "bea@example.com": 2}

    run(story)


def test_a_message_to_somebody_who_becomes_another_waits_for_their_address() -> None:
    async def story(world: Post) -> None:
        for name in ("ada", "bea"):
            await world.tell(name)
            await world.quiet()
        bea = await world.profile("user_id:bea")
        await accept(world, None, bea.id)
        await world.quiet()
        await ask(world, "merge", "user_id:ada", "user_id:bea")
        await world.quiet()

        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}

    run(story)


def test_whoever_was_written_to_is_not_written_to_for_another_who_becomes_one_with_them() -> None:
    async def story(world: Post) -> None:
        await world.tell("ada", email="ada@example.com")
        await world.buys("ada")
        await world.quiet()
        for name in ("bea", "cat"):
            await world.buys(name)
        await world.quiet()
        assert await world.statuses() == {"sent": 1, "waiting": 2}

        for name in ("bea", "cat"):
            await world.tell(name, email="ada@example.com")
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}
        assert await world.statuses() == {"sent": 1, "refused": 2}

    run(story)


def test_two_profiles_that_become_one_are_welcomed_once() -> None:
    async def story(world: Post) -> None:
        await world.tell("ada", email="ada@example.com")
        await world.buys("ada")
        await world.tell("bea", email="bea@example.com")
        await world.quiet()
        await world.tell("bea", email="ada@example.com")
        await world.buys("bea")
        await world.quiet()

        assert world.arrived().total() == 1

    run(story)

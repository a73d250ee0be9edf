"""Profiles and a CRM's contacts are kept in step both ways, whoever dies in between."""

from __future__ import annotations

import sys
from dataclasses import replace

import msgspec
import pytest

from obverse.adapters.memory.crm import MemoryAccount
from obverse.adapters.runtime.simulated import SimulatedRuntime
from obverse.core.identity import id_name
from obverse.core.outgoing import Connection
from obverse.core.records import Callback
from obverse.ports.identity_requests import IdentityRequest
from obverse.ports.outcomes import AccessRefused, Unreachable
from sync_steps import CRM, FIELDS, World, defined, mapped, run


def test_a_profile_becomes_a_contact_and_follows_what_changes() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="Ada@example.com", first_name="Ada", plan="pro")
        await world.tell("nobody", first_name="Nobody")
        await world.quiet()
        assert world.contact("ada@example.com") == {"firstname": "Ada", "plan": "pro", "buyer": "false"}

        await world.tell("ada", "track", "Bought")
        await world.tell("ada", plan=None)
        await world.quiet()

        assert world.contact("ada@example.com") == {"firstname": "Ada", "orders": "1", "buyer": "true"}
        assert len(world.account.contacts) == 1
        standing, figures = (await world.queue.standings())["crm"]
        assert (standing.state, figures.waiting, figures.dead, figures.records) == ("ok", 0, 0, 1)

    run(story)


@pytest.mark.parametrize("failures", [1, sys.maxsize], ids=["for a moment", "for good"])
def test_nobody_is_passed_over_while_the_cache_is_away(failures: int) -> None:
    async def story(world: World) -> None:
        await world.tell("bob", email="bob@example.com", first_name="Bob")
        await world.quiet()
        world.acting.failures = failures
        # As long as events come, no checkpoint is due before 2 s are over; what changed is told within 0.1.
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        for _ in range(10):
            await world.tell("bob", "track", "Seen")
            await world.runtime.sleep(0.05)
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


def test_nobody_is_passed_over_while_the_cache_is_slow() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Ada"
        await world.tell("ada", first_name="Augusta")
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Augusta"

    run(story, publishing=0.1)


def test_two_who_became_one_before_a_crash_are_written_as_one_after_it() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        await world.tell("bea", first_name="Bea")
        await world.quiet()
        # It moves nothing else that the CRM is told of; and it is told, but neither acted on nor kept.
        world.account.trouble = Unreachable("gone")
        await world.tell("bea", "track", "Seen", email="ada@example.com")
        await world.runtime.sleep(0.15)
        world.publishing = 0.3  # the log is long, and it takes a while to fold it again
        world.account.trouble = None
        await world.kill_worker()
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Bea"

    run(story)


def test_it_is_there_within_two_seconds() -> None:
    async def story(world: World) -> None:
        await world.quiet()
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(2)
        assert world.contact("ada@example.com")["firstname"] == "Ada"
        await world.call(await world.edit("ada@example.com", firstname="Augusta"))
        await world.runtime.sleep(2)
        assert await world.attribute("user_id:ada", "first_name") == ("Augusta", "crm")

    run(story)


def test_two_profiles_that_become_one_keep_one_living_contact() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.tell("bea", email="bea@example.com", first_name="Bea")
        await world.quiet()

        await world.tell("ada", email="bea@example.com", first_name="Both")
        await world.quiet()

        assert world.contact("bea@example.com")["firstname"] == "Both"
        assert not await world.queue.page_dead("crm", limit=5)
        await world.call(await world.edit("ada@example.com", firstname="Anna"))
        await world.quiet()
        assert await world.attribute("user_id:ada", "first_name") == ("Anna", "crm")
        assert world.contact("bea@example.com")["firstname"] == "Anna"

    run(story)


def test_two_who_are_parted_have_a_contact_each_that_says_what_is_theirs() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.tell("bea", email="bea@example.com", first_name="Bea")
        await world.tell("bea", "track", "Bought")
        await world.quiet()
        before = {name: dict(world.contact(f"{name}@example.com")) for name in ("ada", "bea")}
        assert before["bea"]["orders"] == "1"

        await world.tell("ada", "track", "Bought", email="bea@example.com")  # a typing error at the till
        await world.quiet()
        profile = await world.profile("user_id:ada")
        assert profile.id == (await world.profile("user_id:bea")).id
        assert "2" in {one.get("orders") for one in world.account.contacts.values()}

        await world.store.ask_identity(
            IdentityRequest(
                id="r1", kind="unmerge", one="user_id:ada", other="email:bea@example.com", by="eve", asked_at=1
            )
        )
        await world.quiet()
        assert world.contact("bea@example.com") == before["bea"]
        assert world.contact("ada@example.com") == {**before["ada"], "orders": "1", "buyer": "true"}
        assert not await world.queue.page_dead("crm", limit=5)

    run(story)


def test_what_is_refused_becomes_a_dead_letter_and_hides_nobody_else() -> None:
    async def story(world: World) -> None:
        await world.tell("bad", email="not an@address", first_name="Bad")
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()

        assert world.contact("ada@example.com")["firstname"] == "Ada"
        (dead,) = await world.queue.page_dead("crm", limit=5)
        assert "not an@address" in dead.attempts[-1].error
        assert dead.fields["firstname"] == "Bad"

    run(story)


@pytest.mark.parametrize("error", [Unreachable("gone"), AccessRefused("who are you?")])
def test_a_dead_connection_harms_no_other_and_gets_everything_later(error: Exception) -> None:
    def two(runtime: SimulatedRuntime) -> World:
        return World(runtime, defined(CRM, replace(CRM, name="other")))

    async def story(world: World) -> None:
        world.account.trouble = error
        for number in range(25):
            await world.tell(f"u{number}", email=f"u{number}@example.com", first_name=str(number))
        await world.runtime.sleep(2)
        assert len(world.accounts["other"].contacts) == 25
        standing, figures = (await world.queue.standings())["crm"]
        assert standing.state == ("unreachable" if isinstance(error, Unreachable) else "refused")
        assert str(error) in (standing.reason or "")
        assert standing.remedy
        assert figures.waiting == 25

        await world.runtime.sleep(600)
        await world.tell("u3", first_name="three")
        await world.runtime.sleep(1)
        world.account.trouble = None
        await world.runtime.sleep(40)

        assert len(world.account.contacts) == 25
        assert world.contact("u3@example.com")["firstname"] == "three"
        assert (await world.queue.standings())["crm"][0].state == "ok"

    run(story, world=two)


def test_a_profile_that_cannot_be_read_keeps_nobody_else_waiting() -> None:
    async def story(world: World) -> None:
        await world.tell("bob", email="bob@example.com", first_name="Bob")
        await world.quiet()
        world.acting.damaged = {id_name((await world.profile("user_id:bob")).id)}
        await world.tell("bob", first_name="Robert")
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(30)
        assert world.contact("ada@example.com")["firstname"] == "Ada"
        (waiting,) = await world.queue.page_waiting("crm", limit=5)
        assert "cannot be read" in waiting.attempts[-1].error

        world.acting.damaged.clear()
        await world.runtime.sleep(300)
        assert world.contact("bob@example.com")["firstname"] == "Robert"

    run(story)


def test_a_number_that_is_too_large_to_be_written_out_keeps_nobody_else_waiting() -> None:
    async def story(world: World) -> None:
        await world.tell("bob", email="bob@example.com", first_name=msgspec.Raw(b"1e99999999999999"))
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(5)
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_delays_nothing_that_waits(step: float) -> None:
    async def story(world: World) -> None:
        await world.tell("bob", email="bob@example.com", first_name="Bob")
        await world.quiet()
        world.account.trouble = Unreachable("gone")
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(2)
        world.runtime.skew += step
        world.account.trouble = None
        await world.runtime.sleep(40)
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


def test_a_clock_that_is_set_back_while_the_queue_is_away_delays_nothing_that_waits() -> None:
    async def story(world: World) -> None:
        await world.tell("bob", email="bob@example.com", first_name="Bob")
        await world.quiet()
        world.account.trouble = Unreachable("gone")
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(2)
        world.queue.cut_off()
        world.runtime.skew -= 3600
        world.account.trouble = None
        await world.runtime.sleep(40)
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


def test_a_field_that_the_crm_does_not_have_is_told_by_its_place() -> None:
    async def story(world: World) -> None:
        wrong = replace(CRM, fields=(*CRM.fields, mapped("first_nam", "attribute.first_name", "out")))
        world.definitions = defined(wrong)
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        (standing, _) = (await world.queue.standings())["crm"]
        assert standing.state == "refused"
        assert "spec.fields.first_nam" in (standing.reason or "")
        assert "firstname" in (standing.remedy or "")

        world.definitions = defined(CRM)
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


def test_a_connection_that_is_new_gets_everybody_who_is_known() -> None:
    async def story(world: World) -> None:
        world.definitions = defined()
        for number in range(12):
            await world.tell(f"u{number}", email=f"u{number}@example.com", plan="pro")
        await world.quiet()
        assert not world.account.contacts

        world.definitions = defined(CRM)
        await world.quiet()
        assert len(world.account.contacts) == 12
        calls = world.account.calls
        await world.kill_worker()
        await world.quiet()
        assert world.account.calls - calls <= 2, "a restart compares nobody anew"

    run(story)


@pytest.mark.parametrize(
    "meanwhile",
    [
        (),
        (replace(CRM, fields=(mapped("first_nam", "attribute.first_name", "out"),)),),
    ],
    ids=["gone", "wrong"],
)
def test_a_connection_that_comes_back_as_it_was_gets_what_changed_meanwhile(meanwhile: tuple[Connection, ...]) -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", plan="free")
        await world.quiet()
        assert world.contact("ada@example.com")["plan"] == "free"

        world.definitions = defined(*meanwhile)
        await world.runtime.sleep(5)
        await world.tell("ada", plan="pro")
        await world.quiet()
        world.definitions = defined(CRM)
        await world.quiet()
        assert world.contact("ada@example.com")["plan"] == "pro"

    run(story)


async def something_happens(world: World, turn: int, late: list[Callback]) -> None:
    """Somebody writes here or there, or the worker is killed."""
    dice = world.runtime.random
    user = f"u{dice.randrange(4)}"
    address = f"{user}@example.com"
    what = dice.random()
    if what < 0.4 or world.account.find(address) is None:
        await world.tell(user, email=address, first_name=f"w{turn}")
    elif what < 0.55:
        await world.tell(user, "track", "Bought")
    elif what < 0.85:
        late.append(await world.edit(address, firstname=f"c{turn}"))
    else:
        await world.kill_worker()
    if world.account.written and dice.random() < 0.5:
        late.append(world.account.echo(world.runtime.now()))


async def some_is_told(world: World, late: list[Callback]) -> None:
    """Callbacks come late, some twice, and in any order."""
    dice = world.runtime.random
    dice.shuffle(late)
    while late and dice.random() < 0.5:
        told = late.pop()
        assert (await world.call(told)).status == 200
        if dice.random() < 0.3:
            late.append(told)


async def settled(world: World, late: list[Callback]) -> None:
    """Until everything is told."""
    for told in late:
        assert (await world.call(told)).status == 200
    for _ in range(4):
        await world.quiet()
        if world.account.written:
            assert (await world.call(world.account.echo(world.runtime.now()))).status == 200


@pytest.mark.parametrize("seed", range(12))
def test_whoever_dies_and_however_it_is_told_both_sides_end_the_same(seed: int) -> None:
    async def story(world: World) -> None:
        late: list[Callback] = []
        for turn in range(60):
            await something_happens(world, turn, late)
            await some_is_told(world, late)
            await world.runtime.sleep(world.runtime.random.random() * world.runtime.random.choice([0.01, 0.3, 3]))
        await settled(world, late)

        for number in range(4):
            address = f"u{number}@example.com"
            if contact := world.contact(address):
                assert (await world.attribute(f"email:{address}", "first_name"))[0] == contact["firstname"]
        assert len(world.account.contacts) == len({one["email"] for one in world.account.contacts.values()}) <= 4

    run(story, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_connection_that_is_defined_while_events_come_misses_nobody(seed: int) -> None:
    async def story(world: World) -> None:
        world.definitions = defined()
        for number in range(30):
            await world.tell(f"u{number}", email=f"u{number}@example.com", plan="pro")
            await world.runtime.sleep(world.runtime.random.random() / 5)
            if number == 15:
                world.definitions = defined(CRM)
        await world.quiet()

        assert len(world.account.contacts) == 30
        assert (await world.queue.standings())["crm"][0].state == "ok"

    run(story, seed=seed)


def test_nothing_is_said_to_an_account_without_people() -> None:
    async def story(world: World) -> None:
        await world.quiet()
        assert world.account.calls == 1, "its fields were asked for, once"

    run(story, world=lambda runtime: World(runtime, accounts={"crm": MemoryAccount(fields=set(FIELDS))}))

"""What somebody edits in a CRM is told to the profile, and what we wrote ourselves is not."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from sync_steps import World, run


def test_an_edit_in_the_crm_is_told_to_the_profile_and_not_sent_back() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        world.account.written.clear()

        told = await world.edit("ada@example.com", firstname="Augusta", lastname="King", plan="free")
        assert (await world.call(told)).status == 200
        assert (await world.call(told)).status == 200
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Augusta", "crm")
        assert await world.attribute("user_id:ada", "last_name") == ("King", "crm")
        profile = await world.profile("user_id:ada")
        assert [write.stamp.source for write in profile.attributes["first_name"]] == ["crm", "web"]
        # `plan` is ours alone (`direction: out`): what somebody else writes there is written over, and told to nobody.
        assert "plan" not in profile.attributes
        assert [(name, value) for _, name, value, _ in world.account.written] == [("plan", "")]
        assert set(profile.identifiers) == {"user_id:ada", "email:ada@example.com"}

    run(story)


def test_what_we_wrote_ourselves_is_no_edit() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        await world.runtime.sleep(1)

        assert (await world.call(world.account.echo(world.runtime.now()))).status == 200
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Ada", "web")

    run(story)


def test_a_value_that_somebody_sets_back_is_an_edit() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        for name in ("Augusta", "Ada"):
            await world.call(await world.edit("ada@example.com", firstname=name))
            await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Ada", "crm")

    run(story)


def test_a_value_that_is_set_back_at_once_is_an_edit_however_it_is_told() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(1)
        record_id = world.account.find("ada@example.com")
        at = world.runtime.now()
        edits = [
            [f"{at + late}", record_id, "firstname", name, at + late] for late, name in ((1, "Ada"), (0, "Augusta"))
        ]
        assert (await world.call(world.account.call(msgspec.json.encode(edits), at))).status == 200
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Ada", "crm")
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


@pytest.mark.parametrize("seed", range(4))
def test_a_value_that_is_set_back_is_an_edit_though_the_other_is_still_being_heard(seed: int) -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.runtime.sleep(1)
        told = [await world.edit("ada@example.com", firstname="Augusta")]
        await world.runtime.sleep(0.001)
        told.append(await world.edit("ada@example.com", firstname="Ada"))
        async with asyncio.TaskGroup() as tasks:
            for one in told:
                tasks.create_task(world.call(one))
                await world.runtime.sleep(0)
        await world.quiet()

        attribute = await world.attribute("user_id:ada", "first_name")
        assert attribute[0] == world.contact("ada@example.com")["firstname"] == "Ada"

    run(story, seed=seed)


def test_an_edit_that_is_older_than_what_we_know_is_written_over() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()
        told = await world.edit("ada@example.com", firstname="Augusta")
        await world.runtime.sleep(1)
        await world.tell("ada", first_name="Countess")
        await world.quiet()
        world.account.put(world.account.find("ada@example.com"), {"firstname": "Augusta"})

        await world.call(told)
        await world.quiet()

        assert await world.attribute("user_id:ada", "first_name") == ("Countess", "web")
        # The record was known to say `Countess` later than this edit was made, so there is nothing to write.
        late = await world.edit("ada@example.com", firstname="Augusta")
        await world.tell("ada", first_name="Lovelace")
        await world.runtime.sleep(0.001)
        await world.call(late)
        await world.quiet()
        assert world.contact("ada@example.com")["firstname"] == "Lovelace"

    run(story)


def test_an_address_that_is_changed_in_the_crm_belongs_to_the_same_person() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()

        await world.call(await world.edit("ada@example.com", email="countess@example.com"))
        await world.quiet()

        profile = await world.profile("user_id:ada")
        assert {"email:ada@example.com", "email:countess@example.com"} < set(profile.identifiers)
        assert await world.attribute("user_id:ada", "email") == ("countess@example.com", "crm")
        assert len(world.account.contacts) == 1
        assert world.contact("countess@example.com")["firstname"] == "Ada"

    run(story)


def test_an_address_that_is_set_back_at_once_is_an_edit() -> None:
    async def story(world: World) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.quiet()

        record_id = world.account.find("ada@example.com")
        assert record_id is not None
        for address in ("countess@example.com", "ada@example.com"):
            await world.call(world.account.edit(record_id, {"email": address}, world.runtime.now()))
            await world.runtime.sleep(0.001)
        await world.quiet()

        assert await world.attribute("user_id:ada", "email") == ("ada@example.com", "crm")
        assert world.contact("ada@example.com")["firstname"] == "Ada"

    run(story)


def test_an_edit_of_a_contact_that_we_never_made_finds_its_person_by_address() -> None:
    async def story(world: World) -> None:
        record_id = world.account.put(None, {"email": "Eve@example.com", "lastname": "Moneypenny"})
        told = world.account.edit(record_id, {"firstname": "Eve"}, world.runtime.now())
        assert (await world.call(told)).status == 200
        await world.quiet()

        assert await world.attribute("email:eve@example.com", "first_name") == ("Eve", "crm")
        assert not [one for one in world.account.written if one[1] == "firstname"]

    run(story)


def test_a_contact_that_nobody_can_be_found_for_is_a_rejected_event() -> None:
    async def story(world: World) -> None:
        record_id = world.account.put(None, {"lastname": "Moneypenny"})
        told = world.account.edit(record_id, {"firstname": "Eve"}, world.runtime.now())

        answer = await world.call(told)

        assert answer.status == 200
        assert [(one.code, one.field, one.source) for one in answer.rejected] == [
            ("unknown_contact", "$.firstname", "crm")
        ]

    run(story)

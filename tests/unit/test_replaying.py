"""Replays: what they would do is told first, and nothing goes out twice, whoever dies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from obverse.core import profiles, spans
from obverse.core.outgoing import Campaign
from obverse.core.profiles import Profile
from obverse.core.profiles.window import message_key
from obverse.core.replays import CampaignReport, ConnectionReport, Report, Wanted
from obverse.ports.replays import ReplayStage
from people_steps import bought
from replay_steps import ALL, CAMPAIGN, ORDERS, Shop, customers, run, shop
from sync_steps import CRM

UNIFY, ACTIVATE, DELIVER = (Wanted(flows=(flow,)) for flow in ALL.flows)


def report(found: Report | None) -> Report:
    assert found is not None
    return found


def test_the_whole_log_to_all_changes_nothing_and_sends_nothing() -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada", "bob")
        await world.tell("nobody", first_name="Nobody")
        await world.quiet()
        before = [await world.profile(f"user_id:{name}") for name in ("ada", "bob", "nobody")], world.outside()
        assert before[1][0] == ["ada@example.com", "bob@example.com"]
        end = (await world.log.bounds("changes"))[0]  # type: ignore[arg-type]

        done = await world.run_all()
        await world.quiet()

        assert done.state is ReplayStage.DONE
        plan, result = report(done.plan), report(done.result)
        assert plan.to_do == 0
        assert plan.unify is not None
        assert (plan.unify.people, plan.unify.looked_at, plan.unify.changed, plan.unify.refused) == (3, 3, 0, 0)
        assert plan.activate is not None
        assert plan.activate.connections == {"crm": ConnectionReport(unchanged=2, without_address=1)}
        assert plan.deliver is not None
        assert plan.deliver.campaigns == {"welcome_buyers": CampaignReport(already={"sent": 2})}
        assert result.activate is not None
        assert result.activate.connections == {"crm": ConnectionReport(woken=3)}
        after = [await world.profile(f"user_id:{name}") for name in ("ada", "bob", "nobody")], world.outside()
        assert after == before
        assert (await world.log.bounds("changes"))[0] == end  # type: ignore[arg-type]

    run(story)


def test_nothing_is_done_before_somebody_says_so() -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop()
        await customers(world, "ada")
        world.definitions = shop(CAMPAIGN)
        planned = await world.plan()
        await world.quiet()
        assert report(planned.plan).to_do == 1
        assert world.outside()[0] == []
        found = await world.replays.find(planned.id)
        assert found is not None
        assert found.state is ReplayStage.PLANNED

    run(story)


def test_who_entered_before_a_campaign_was_is_written_to_once() -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop()
        await customers(world, "ada", "bob", "eve")
        world.definitions = shop(CAMPAIGN, replace(CAMPAIGN, name="other"))
        wanted = structs.replace(DELIVER, campaign="welcome_buyers")

        planned = await world.plan(wanted)
        assert report(planned.plan).deliver is not None
        assert report(planned.plan).deliver.campaigns == {"welcome_buyers": CampaignReport(send=3)}  # type: ignore[union-attr]
        for sent in (3, 0, 0):
            done = report((await world.run_all(wanted)).result)
            assert done.deliver is not None
            assert done.deliver.campaigns["welcome_buyers"].send == sent
            await world.quiet()
        assert world.outside()[0] == ["ada@example.com", "bob@example.com", "eve@example.com"]

    run(story)


def test_an_entry_that_is_true_no_more_is_not_written_to() -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop()
        await customers(world, "ada", "bob")
        await world.harm("user_id:ada", lambda one: _stand(one, member=False, number=1))
        await world.harm("user_id:bob", lambda one: _stand(one, member=True, number=2))
        world.definitions = shop(CAMPAIGN)
        done = report((await world.run_all(DELIVER)).result)
        assert done.deliver is not None
        assert done.deliver.campaigns == {"welcome_buyers": CampaignReport(over=2)}
        assert world.outside()[0] == []

    run(story)


def _stand(profile: Profile, *, member: bool, number: int) -> None:
    profile.audiences["buyers"] = profile.audiences["buyers"]._replace(member=member, number=number)


@pytest.mark.parametrize("known", [True, False])
def test_two_who_became_one_get_one_message(known: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Both had entered; if one of them was written to then, neither is now."""

    async def story(world: Shop) -> None:
        world.definitions = shop(*([CAMPAIGN] if known else []))
        await customers(world, "ada")
        world.definitions = shop()
        await customers(world, "bea")
        await world.tell("bea", email="ada@example.com")
        await world.quiet()
        assert len(await world.store.people(limit=9)) == 1
        world.definitions = shop(CAMPAIGN)
        done = report((await world.run_all(DELIVER)).result)
        assert done.deliver is not None
        expected = CampaignReport(already={"sent": 1}) if known else CampaignReport(send=1)
        assert done.deliver.campaigns == {"welcome_buyers": expected}
        await world.run_all(DELIVER)
        await world.quiet()
        assert len(world.outside()[0]) == 1

    run(story)


def test_a_contact_that_was_lost_sight_of_is_written_once() -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop(connections=())
        await customers(world, "ada", "bob")
        await world.tell("eve")
        await world.buys("eve")
        await world.quiet()
        # As if everybody had been compared with this mapping, and these were forgotten.
        world.definitions = shop()
        await world.quiet()
        record = world.account.find("ada@example.com")
        assert record is not None
        (known,) = await world.queue.records("crm", emails=["ada@example.com"])
        world.queue._disk.connections["crm"].records.pop(known.profile)
        written = len(world.account.written)

        planned = report((await world.plan(ACTIVATE)).plan)
        assert planned.activate is not None
        assert planned.activate.connections == {"crm": ConnectionReport(create=1, unchanged=1, without_address=1)}
        assert len(world.account.written) == written
        await world.run_all(structs.replace(ACTIVATE, connection="crm"))
        await world.quiet()

        assert len(world.account.written) == written + 3, "its three fields, once"
        assert len(world.account.contacts) == 2
        again = report((await world.plan(ACTIVATE)).plan)
        assert again.activate is not None
        assert again.activate.connections == {"crm": ConnectionReport(unchanged=2, without_address=1)}

    run(story)


def test_a_trait_that_is_wrong_is_mended_and_goes_on_to_the_crm() -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada", "bob")
        await world.harm("user_id:ada", lambda one: one.traits.update({ORDERS: 7}))
        planned = report((await world.plan()).plan)
        assert planned.unify is not None
        assert (planned.unify.changed, planned.unify.traits, planned.unify.others) == (1, {"orders": 1}, 0)
        assert profiles.computed_traits(await world.profile("user_id:ada"), world.definitions) == {"orders": 7}

        done = report((await world.run_all()).result)
        await world.quiet()

        assert done.unify is not None
        assert (done.unify.changed, done.unify.traits) == (1, {"orders": 1})
        assert profiles.computed_traits(await world.profile("user_id:ada"), world.definitions) == {"orders": 1}
        assert world.contact("ada@example.com")["orders"] == "1"
        assert world.outside()[0] == ["ada@example.com", "bob@example.com"], "nobody entered again"

    run(story)


def test_only_the_people_of_the_range_are_mended() -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada")
        middle = world.runtime.now()
        await customers(world, "bob")
        for name in ("ada", "bob"):
            await world.harm(f"user_id:{name}", lambda one: one.traits.update({ORDERS: 7}))
        since = await world.plan(structs.replace(UNIFY, since=middle))
        until = await world.plan(structs.replace(UNIFY, until=middle))
        none = await world.plan(structs.replace(UNIFY, since=world.runtime.now()))
        one = await world.plan(structs.replace(UNIFY, partition=0, first=3, before=4))
        found = [report(each.plan).unify for each in (since, until, none, one)]
        assert [(each.people, each.changed) for each in found if each is not None] == [(1, 1), (1, 1), (0, 0), (1, 1)]
        done = report((await world.run_all(structs.replace(UNIFY, until=middle))).result)
        assert done.unify is not None
        assert done.unify.changed == 1
        orders = [
            profiles.computed_traits(await world.profile(f"user_id:{name}"), world.definitions)["orders"]
            for name in ("ada", "bob")
        ]
        assert orders == [1, 7]

    run(story)


def test_of_very_many_people_a_plan_takes_a_sample_and_says_so() -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada", "bob", "eve")
        planned = report((await world.plan(UNIFY)).plan)
        assert planned.unify is not None
        assert (planned.unify.people, planned.unify.looked_at) == (3, 2)
        assert planned.to_do, "those who were not looked at may be otherwise"
        done = report((await world.run_all(UNIFY)).result)
        assert done.unify is not None
        assert done.unify.looked_at == 3

    run(story, sample=2)


def test_whose_events_are_not_all_kept_is_told_and_left_alone() -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada", "bob")

        def harm(profile: Profile) -> None:
            profile.events += 1
            profile.traits[ORDERS] = 7

        await world.harm("user_id:ada", harm)
        ada = await world.profile("user_id:ada")
        done = report((await world.run_all(UNIFY)).result)
        assert done.unify is not None
        assert (done.unify.refused, done.unify.changed) == (1, 0)
        assert done.unify.refused_some[0].replace("-", "") == f"id:{ada.id.hex()}"
        assert (await world.profile("user_id:ada")).traits == {ORDERS: 7}

    run(story)


@pytest.mark.parametrize("seed", range(12))
def test_a_worker_that_is_killed_anywhere_sends_nothing_twice(seed: int) -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop()
        names = [f"u{number}" for number in range(8)]
        await customers(world, *names)
        for name in names[:4]:
            await world.harm(f"user_id:{name}", lambda one: one.traits.update({ORDERS: 7}))
        world.definitions = shop(CAMPAIGN)
        planned = await world.plan()
        await world.replays.confirm(planned.id, by="ada")
        for _ in range(4):
            await world.runtime.sleep(world.runtime.random.random() * 0.8)
            await world.kill_worker()
        await world.until(planned.id, ReplayStage.DONE)
        await world.quiet()
        assert world.outside()[0] == sorted(f"{name}@example.com" for name in names)
        assert len(world.account.contacts) == len(names)
        for name in names:
            assert profiles.computed_traits(await world.profile(f"user_id:{name}"), world.definitions) == {"orders": 1}

    run(story, seed=seed)


def test_one_that_is_cancelled_goes_no_further() -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop()
        await customers(world, "ada")
        world.definitions = shop(CAMPAIGN)
        planned = await world.plan()
        await world.replays.confirm(planned.id, by="ada")
        await world.replays.cancel(planned.id, at=world.runtime.now())
        await world.quiet()
        assert world.outside()[0] == []
        assert (await world.plan()).state is ReplayStage.PLANNED, "the next one has its turn"

    run(story)


def test_a_person_of_ten_thousand_events_is_counted_once_when_the_clock_has_moved_on() -> None:
    async def story(world: Shop) -> None:
        many = [bought(f"old-{number}", user_id="ada", at=number) for number in range(10_000)]
        for first in range(0, len(many), 500):
            assert await world.collect.append(many[first : first + 500], [], 1) is None
        await world.quiet()
        world.runtime.skew += 3 * spans.DAY / spans.SECOND
        await world.buys("ada")
        await world.quiet()
        ada = await world.profile("user_id:ada")
        assert message_key(many[0]) not in ada.seen, "the fold would take it for new"

        done = report((await world.run_all()).result)
        assert done.unify is not None
        assert (done.unify.people, done.unify.changed) == (1, 0)
        await world.harm("user_id:ada", lambda one: one.traits.clear())
        done = report((await world.run_all()).result)
        assert done.unify is not None
        assert (done.unify.changed, done.unify.traits) == (1, {"orders": 1})
        mended = await world.profile("user_id:ada")
        assert profiles.computed_traits(mended, world.definitions) == {"orders": 10_001}
        assert (mended.events, mended.audiences) == (ada.events, ada.audiences)

    run(story)


def test_nobody_is_asked_for_a_connection_or_campaign_that_is_not() -> None:
    async def story(world: Shop) -> None:
        world.definitions = shop(connections=())
        await customers(world, "ada")
        planned = report((await world.plan(Wanted(flows=("activate", "deliver")))).plan)
        assert planned.activate is not None
        assert planned.deliver is not None
        assert (planned.activate.connections, planned.deliver.campaigns) == ({}, {})

    run(story)


def test_campaigns_and_connections_are_told_apart() -> None:
    other = Campaign(name="others", audience="buyers", template="welcome")

    async def story(world: Shop) -> None:
        world.accounts["second"] = world.accounts["crm"]
        world.definitions = shop(CAMPAIGN, connections=(CRM, replace(CRM, name="second")))
        await customers(world, "ada")
        world.definitions = shop(CAMPAIGN, other, connections=(CRM, replace(CRM, name="second")))
        planned = report((await world.plan()).plan)
        assert planned.deliver is not None
        assert planned.deliver.campaigns == {
            "welcome_buyers": CampaignReport(already={"sent": 1}),
            "others": CampaignReport(send=1),
        }
        assert planned.activate is not None
        assert planned.activate.connections.keys() == {"crm", "second"}
        one = report((await world.plan(structs.replace(ACTIVATE, connection="second"))).plan)
        assert one.activate is not None
        assert one.activate.connections.keys() == {"second"}

    run(story)

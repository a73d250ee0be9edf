"""Every message goes out once, whoever dies, and what nobody knows of is not sent again in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import Trait, define
from obverse.core.identity import IdentityRules
from obverse.core.mails import Mail
from obverse.core.messages import campaign_message
from obverse.core.outgoing import Template
from obverse.core.traits.numbers import Count
from obverse.ports.outcomes import AccessRefused, Deferred, Refused, Unknown, Unreachable
from post_steps import CAMPAIGN, WELCOME, Post, accept, defined, run


def test_who_enters_the_audience_is_written_to_once() -> None:
    async def story(world: Post) -> None:
        await world.tell("ada", email="ada@example.com", first_name="Ada")
        await world.tell("bob", email="bob@example.com", first_name="Bob")
        await world.buys("ada")
        await world.quiet()
        await world.buys("ada")
        await world.quiet()

        (mail,) = world.post.mails
        assert (mail.to, mail.subject, mail.text) == ("ada@example.com", "Hello Ada", "1 buyers ada@example.com")
        (message,) = await world.outbox.page(limit=5)
        assert (message.status, message.subject, message.number) == ("sent", "Hello Ada", 1)
        assert message.message_id == mail.message_id
        assert world.deliver.vitals.records == {"sent": 1}

    run(story)


@pytest.mark.parametrize("away", [False, True], ids=["sent", "still in the outbox"])
def test_what_was_written_stays_though_a_late_event_takes_its_person_out(*, away: bool) -> None:
    """A late event moves people as if it had come in time; it takes nothing back that was written."""

    async def story(world: Post) -> None:
        world.post.trouble = Unreachable("gone") if away else None
        await world.tell("ada", email="ada@example.com")
        began = world.runtime.now()
        await world.buys("ada")
        await world.quiet()
        (message,) = await world.outbox.page(limit=5)
        assert message.status == ("queued" if away else "sent")

        # It happened before she bought anything: she should never have been in, and is not any more.
        await world.tell("ada", "track", "Opted Out", at=began - 60_000_000)
        await world.quiet()
        assert not (await world.profile("user_id:ada")).audiences["buyers"].member
        (left,) = await world.outbox.page(limit=5)
        assert (left.id, left.number, left.status) == (message.id, 1, message.status), "nothing is cancelled"
        assert (left.subject, left.sent_at) == (message.subject, message.sent_at)

        world.post.trouble = None
        await world.quiet()
        assert world.arrived() == {"ada@example.com": 1}
        await world.quiet(600)
        assert world.arrived() == {"ada@example.com": 1}, "and there is no second one"

        # Whoever enters anew is written to anew: each entry is one message.
        await world.tell("ada", "track", "Opted In")
        await world.quiet()
        assert (await world.profile("user_id:ada")).audiences["buyers"].number == 2
        assert world.arrived() == {"ada@example.com": 2}
        assert sorted(one.number for one in await world.outbox.page(limit=5)) == [1, 2]

    opted = {"op": "sequence", "steps": [{"event": "Opted Out"}, {"event": "Opted In"}]}
    stays = {"op": "or", "of": [{"op": "not", "of": {"op": "did", "event": "Opted Out"}}, opted]}
    where = {"op": "and", "of": [{"op": "gte", "trait": "orders", "value": 1}, stays]}
    definitions = define(
        traits=[Trait("orders", Count(), "k:orders:1", "track", "Bought", None, None)],
        audiences=[Audience("buyers", parse(where))],
        templates=[WELCOME],
        campaigns=[CAMPAIGN],
        identity=IdentityRules(limits={}),
    )
    run(story, definitions=definitions)


def test_a_message_that_is_asked_for_goes_out_at_once() -> None:
    async def story(world: Post) -> None:
        await accept(world, "eve@example.com", code="x1")
        await world.runtime.sleep(1)

        (mail,) = world.post.mails
        assert (mail.to, mail.text.split()) == ("eve@example.com", ["x1", "eve@example.com"])

    run(story)


def test_what_is_refused_is_told_and_not_tried_again() -> None:
    async def story(world: Post) -> None:
        world.post.fate = lambda mail: Refused("550 no such person") if mail.to.startswith("ada") else None
        for name in ("ada", "bob"):
            await accept(world, f"{name}@example.com")
        await world.quiet()

        assert world.arrived() == {"bob@example.com": 1}
        (refused,) = await world.outbox.page(limit=5, status="refused")
        assert (refused.reason, [one.outcome for one in refused.attempts]) == ("550 no such person", ["refused"])

    run(story)


def test_a_message_that_one_persons_values_spoil_holds_up_nobody() -> None:
    async def story(world: Post) -> None:
        await accept(world, "ada@example.com", code="nan")
        await accept(world, "bob@example.com", code="1.5")
        await world.quiet()

        assert world.arrived() == {"bob@example.com": 1}
        assert await world.statuses() == {"sent": 1, "refused": 1}

    run(story, definitions=defined(template=replace(WELCOME, text="{{ trigger.code | ceil }}")))


def test_what_is_deferred_is_tried_again_and_given_up_after_three_days() -> None:
    async def story(world: Post) -> None:
        later = Deferred("451 later")
        world.post.fate = lambda mail: later if world.runtime.elapsed() < 60 or "bob" in mail.to else None
        for name in ("ada", "bob"):
            await accept(world, f"{name}@example.com")
        await world.runtime.sleep(150)
        assert world.arrived() == {"ada@example.com": 1}
        assert await world.statuses() == {"sent": 1, "queued": 1}

        await accept(world, "bob@old.example.com", days_ago=4)
        await world.runtime.sleep(1)
        (refused,) = await world.outbox.page(limit=5, status="refused")
        assert "given up after three days: 451 later" in (refused.reason or "")

    run(story)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_makes_no_message_early_or_late(step: float) -> None:
    async def story(world: Post) -> None:
        tried: list[float] = []

        def fate(mail: Mail) -> Deferred | None:
            if "ada" not in mail.to:
                return None
            tried.append(world.runtime.elapsed())
            return Deferred("451 later") if len(tried) < 8 else None

        world.post.fate = fate
        await accept(world, "ada@example.com")
        while len(tried) < 5:
            await world.runtime.sleep(0.1)
        world.runtime.skew += step
        await accept(world, "bob@example.com")
        await world.runtime.sleep(1)
        assert world.arrived() == {"bob@example.com": 1}
        await world.runtime.sleep(300)

        assert world.arrived() == {"ada@example.com": 1, "bob@example.com": 1}
        waits = [later - earlier for earlier, later in pairwise(tried)]
        assert all(2**turn / 2 <= wait <= 2**turn + 0.5 for turn, wait in enumerate(waits)), waits

    run(story)


@pytest.mark.parametrize("error", [Unreachable("gone"), AccessRefused("who are you?")])
def test_a_service_that_is_away_costs_no_message_an_attempt(error: Exception) -> None:
    async def story(world: Post) -> None:
        world.post.trouble = error
        for number in range(70):
            await accept(world, f"u{number}@example.com")
        await world.runtime.sleep(100)
        assert await world.statuses() == {"queued": 70}
        assert world.deliver.vitals.failure == str(error)
        assert not any(one.attempts for one in await world.outbox.page(limit=100))

        world.post.trouble = None
        await world.runtime.sleep(20)
        assert world.arrived().total() == len(world.arrived()) == 70
        assert world.deliver.vitals.failure is None

    run(story)


@pytest.mark.parametrize("lost", [True, False])
def test_a_doubt_is_asked_about_where_there_is_somebody_to_ask(*, lost: bool) -> None:
    async def story(world: Post) -> None:
        tries: Counter[str] = Counter()

        def fate(mail: Mail) -> Unknown | None:
            tries[mail.to] += 1
            return Unknown("no answer after the last dot") if tries[mail.to] == 1 else None

        world.post.fate = fate
        world.post.loses = lambda mail: lost and tries[mail.to] == 1
        await accept(world, "ada@example.com")
        await world.runtime.sleep(30)

        assert tries == {"ada@example.com": 2 if lost else 1}
        assert world.arrived() == {"ada@example.com": 1}
        (message,) = await world.outbox.page(limit=5)
        assert message.status == "sent"
        assert "asked" in {one.outcome for one in message.attempts}

    run(story)


def test_a_doubt_stays_one_where_nobody_can_be_asked_and_is_never_sent_again() -> None:
    async def story(world: Post) -> None:
        world.post.fate = lambda _: Unknown("no answer after the last dot")
        message = await accept(world, "ada@example.com")
        await world.runtime.sleep(5)
        for _ in range(3):
            await world.kill_worker()
            await world.runtime.sleep(20)

        (unknown,) = await world.outbox.page(limit=5, status="unknown")
        assert unknown.reason == "no answer after the last dot"
        assert world.arrived().total() <= 1

        world.post.fate = lambda _: None
        await world.outbox.resolve(message.id, "resend", now=world.runtime.now())
        await world.runtime.sleep(5)
        assert await world.statuses() == {"sent": 1}

    run(story, can_be_asked=False)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (Template(name="welcome", subject="{{ trigger.code }}", sender="shop@example.com", text="x"), "line break"),
        (Template(name="other", subject="x", sender="shop@example.com", text="x"), "not defined any more"),
        (Template(name="welcome", subject="x", sender="shop@example.com", text="{% if %}"), "spec.text, line 1"),
        (
            Template(
                name="welcome",
                subject="x",
                sender="shop@example.com",
                text="{% for a in (1..9999) %}{% for b in (1..9999) %}{{ b }}{% endfor %}{% endfor %}",
            ),
            "too long",
        ),
    ],
)
def test_what_can_never_be_written_is_refused_with_its_place(template: Template, told: str) -> None:
    async def story(world: Post) -> None:
        await accept(world, "ada@example.com", code="Hello\r\nBcc: eve@example.com")
        await world.runtime.sleep(5)

        (refused,) = await world.outbox.page(limit=5, status="refused")
        assert told in (refused.reason or "")
        assert not world.post.mails

    run(story, definitions=defined(template=template))


@pytest.mark.parametrize("can_be_asked", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_whoever_is_killed_every_mail_goes_out_once(seed: int, *, can_be_asked: bool) -> None:
    async def story(world: Post) -> None:
        dice = world.runtime.random
        people = [f"u{number}" for number in range(25)]
        for user in people:
            await world.tell(user, email=f"{user}@example.com", first_name=user)
            await world.buys(user)
            await accept(world, f"{user}@else.example.com")
            for _ in range(dice.choice([0, 0, 1, 3])):
                await world.runtime.sleep(0.0001 + dice.random() * dice.choice([0, 0.001, 0.1]))
                await world.kill_worker()
        await world.quiet(60)

        arrived = world.arrived()
        assert set(arrived.values()) <= {1}
        statuses = await world.statuses()
        assert statuses["sent"] + statuses["unknown"] == 2 * len(people)
        if can_be_asked:
            assert arrived.total() == statuses["sent"] == 2 * len(people)
        else:
            assert arrived.total() >= statuses["sent"]

    run(story, seed=seed, can_be_asked=can_be_asked)


def test_a_clock_that_is_set_while_the_outbox_is_away_is_followed_when_it_is_back() -> None:
    async def story(world: Post) -> None:
        tried: list[float] = []

        def fate(_: Mail) -> Deferred | None:
            tried.append(world.runtime.elapsed())
            return Deferred("451 later") if len(tried) < 6 else None

        world.post.fate = fate
        await accept(world, "ada@example.com")
        while len(tried) < 5:
            await world.runtime.sleep(0.1)
        world.outbox.away = True
        world.runtime.skew -= 3600
        await world.runtime.sleep(3)
        world.outbox.away = False
        await world.runtime.sleep(30)
        assert world.arrived() == {"ada@example.com": 1}

    run(story)


@pytest.mark.parametrize(
    ("hours", "status", "seconds"),
    [(0, "queued", 0.3), (0.1, "queued", 36.0), (5, "queued", 300.0), (73, "refused", 0)],
)
def test_an_entry_that_nobody_can_find_is_looked_for_ever_more_seldom(
    hours: float, status: str, seconds: float
) -> None:
    async def story(world: Post) -> None:
        await world.tell("ada", email="ada@example.com")
        await world.quiet()
        ada, now = (await world.profile("user_id:ada")).id, world.runtime.now()
        entered = now - round(hours * 3600) * 1_000_000
        await world.deliver.put([campaign_message(CAMPAIGN.name, WELCOME, ada, 7, now=entered)])
        await world.runtime.sleep(0.2)
        (message,) = await world.outbox.page(limit=5)
        assert message.status == status
        assert message.reason is not None
        assert message.reason.endswith("the profile is being folded anew")
        assert message.reason.startswith("given up after three days") == (status == "refused")
        if status == "queued":
            assert message.due_at - now == pytest.approx(seconds * 1_000_000, abs=300_000)
        assert world.post.mails == []

    run(story)

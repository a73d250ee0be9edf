"""What every `Outbox` must prove: nothing wanted is lost, and nothing is claimed twice."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pytest

from obverse.core.identity import profile_id
from obverse.core.messages import MOST_ATTEMPTS, Attempt, Message, campaign_message, message_id
from obverse.core.outgoing import Template
from obverse.ports.outbox import InFlight, NoDoubt, Outbox, Remembered, Settled
from obverse.ports.outcomes import Unreachable

ADA: Final = profile_id("suite", "user_id:ada")
BOB: Final = profile_id("suite", "user_id:bob")
EVE: Final = profile_id("suite", "user_id:eve")
T0: Final = 1_767_225_600_000_000
SECOND: Final = 1_000_000
HELLO: Final = Template(name="hello", subject="Hello", sender="shop@example.com", text="Hello")
ODD: Final = 'Zoë ☕ "; drop -- \\ <b> \N{RIGHT-TO-LEFT OVERRIDE}\n\t'


def entry(profile: bytes = ADA, number: int = 1, at: int = 0) -> Message:
    """A campaign's message."""
    return campaign_message("welcome", HELLO, profile, number, now=T0 + at)


def wanted(name: str, at: int = 0) -> Message:
    """A message that somebody asked for."""
    return Message(
        id=profile_id("suite", name),
        message_id=message_id(profile_id("suite", name), HELLO.sender),
        template="hello",
        to=f"{name}@example.com",
        data=b'{"x": "\\u00e9"}',
        created_at=T0 + at,
        due_at=T0 + at,
    )


def answered(key: str = "k", request: bytes = b"r", at: int = T0) -> Remembered:
    """An answer that is to be remembered."""
    return Remembered(route="messages", key=key, request_hash=request, status=202, body=b"{}", at=at)


class OutboxContract:
    """Subclass, say how an outbox is opened and how its process is killed, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def outbox(self) -> Outbox:
        """An empty outbox. The suite does not close it."""

    @abstractmethod
    async def killed(self, outbox: Outbox) -> Outbox:
        """Kill the process that holds its worker, and return the outbox as the next one opens it."""

    async def test_a_caller_that_gives_up_midway_spoils_nothing_for_the_others(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        for turns in range(60):
            writing = asyncio.create_task(worker.put([entry()], mark=None, now=T0))
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

            await worker.put([entry(BOB)], mark=turns, now=T0)

            assert await outbox.mark() == turns, "what was written afterwards is there for everybody"

    async def test_how_long_the_first_has_waited_can_be_asked(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        assert await outbox.due_since() is None
        await worker.put([entry(BOB, at=9), entry(ADA, at=5)], mark=None, now=T0)
        assert await outbox.due_since() == T0 + 5

        (first,) = await worker.claim(limit=1, now=T0 + 5)
        assert await outbox.due_since() == T0 + 9, "what is being sent waits no more"
        await worker.settle([Settled(id=first.id, status="sent", sent_at=T0)])
        assert await outbox.due_since() == T0 + 9

    async def test_what_was_put_is_claimed_once(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        assert worker.mark == await outbox.mark() == 0
        first, second, later = entry(), entry(BOB, at=1), entry(BOB, 2, at=9)

        await worker.put([second, first, later], mark=7, now=T0)
        await worker.put([replace(first, template="another")], mark=8, now=T0)

        assert worker.mark == await outbox.mark() == 8
        assert not await worker.claim(limit=10, now=T0 - 1)
        assert await worker.claim(limit=1, now=T0 + 1) == [replace(first, status="sending")]
        assert [one.id for one in await worker.claim(limit=10, now=T0 + 1)] == [second.id]
        assert not await worker.claim(limit=10, now=T0 + 1)
        assert not await worker.doubts(limit=10, now=T0 + 99), "the claimant lives"
        await worker.close()

    async def test_what_a_dead_one_claimed_is_a_doubt_and_is_not_claimed_again(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        await worker.put([entry(), entry(BOB)], mark=3, now=T0)
        (claimed,) = await worker.claim(limit=1, now=T0)

        outbox = await self.killed(outbox)
        with pytest.raises(Unreachable):
            await worker.settle([Settled(id=claimed.id, status="sent")])

        worker = await outbox.open_worker()
        assert worker.mark == 3
        assert await worker.doubts(limit=10, now=T0) == [claimed]
        (other,) = await worker.claim(limit=10, now=T0)
        assert other.id != claimed.id
        await worker.close()

    async def test_there_is_one_worker_at_a_time(self, outbox: Outbox) -> None:
        first = await outbox.open_worker()
        second = asyncio.ensure_future(outbox.open_worker())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(second), 0.2)
        assert not second.done()

        await first.put([entry()], mark=5, now=T0)
        await first.close()

        async with asyncio.timeout(10):
            worker = await second
        assert worker.mark == 5
        await worker.close()

    async def test_what_is_settled_is_as_it_was_said(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        messages = [entry(number=number) for number in range(1, 6)]
        await worker.put(messages, mark=1, now=T0)
        await worker.claim(limit=10, now=T0)
        said, to = Attempt(T0 + 5, "sent", ODD), "ada@example.com"

        await worker.settle(
            [
                Settled(id=messages[0].id, status="sent", to=to, subject=ODD, sent_at=T0 + 5, attempt=said),
                Settled(id=messages[1].id, status="refused", reason=ODD),
                Settled(id=messages[2].id, status="queued", due_at=T0 + 50, reason="later", attempt=said),
                Settled(id=messages[3].id, status="unknown", reason="no answer", attempt=said),
                Settled(id=messages[4].id, status="sending", due_at=T0 + 60, attempt=said),
            ]
        )

        found = [await outbox.find(one.id) for one in messages]
        assert found == [
            replace(messages[0], status="sent", to="ada@example.com", subject=ODD, sent_at=T0 + 5, attempts=(said,)),
            replace(messages[1], status="refused", reason=ODD),
            replace(messages[2], status="queued", due_at=T0 + 50, reason="later", attempts=(said,)),
            replace(messages[3], status="unknown", reason="no answer", attempts=(said,)),
            replace(messages[4], status="sending", due_at=T0 + 60, attempts=(said,)),
        ]
        assert not await worker.claim(limit=10, now=T0 + 49)
        assert [one.id for one in await worker.claim(limit=10, now=T0 + 50)] == [messages[2].id]
        assert not await worker.doubts(limit=10, now=T0 + 59)
        assert [one.id for one in await worker.doubts(limit=10, now=T0 + 60)] == [messages[4].id]
        await worker.settle([Settled(id=messages[0].id, status="sent")])
        assert (await outbox.find(messages[0].id)) == found[0]
        assert await outbox.find(profile_id("suite", "nobody")) is None
        await worker.close()

    async def test_whatever_a_mail_service_says_its_messages_are_settled(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        messages = [entry(), entry(BOB)]
        await worker.put(messages, mark=None, now=T0)
        await worker.claim(limit=10, now=T0)
        said = "no\0 \udce4"
        attempt = Attempt(T0, "refused", said)
        await worker.settle([Settled(id=one.id, status="refused", reason=said, attempt=attempt) for one in messages])
        assert set((await outbox.statuses([one.id for one in messages])).values()) == {"refused"}
        await worker.close()

    async def test_many_are_asked_how_they_stand_at_once(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        one, other = entry(), entry(BOB)
        await worker.put([one, other], mark=None, now=T0)
        await worker.claim(limit=1, now=T0)
        await worker.settle([Settled(id=one.id, status="sent", sent_at=T0)])
        assert await outbox.statuses([one.id, other.id, profile_id("suite", "nobody")]) == {
            one.id: "sent",
            other.id: "queued",
        }
        assert await outbox.statuses([]) == {}
        await worker.close()

    async def test_the_latest_attempts_are_kept(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        await worker.put([entry()], mark=None, now=T0)
        for number in range(MOST_ATTEMPTS + 3):
            (claimed,) = await worker.claim(limit=1, now=T0)
            attempt = Attempt(T0 + number, "deferred", str(number))
            await worker.settle([Settled(id=claimed.id, status="queued", due_at=T0, attempt=attempt)])

        (claimed,) = await worker.claim(limit=1, now=T0)
        assert [one.detail for one in claimed.attempts] == [str(number) for number in range(3, MOST_ATTEMPTS + 3)]
        await worker.close()

    async def test_those_who_wait_for_a_profile_are_woken(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        await worker.put([entry(), entry(BOB)], mark=None, now=T0)
        for one in await worker.claim(limit=10, now=T0):
            await worker.settle([Settled(id=one.id, status="waiting", reason="no address")])

        await worker.put([], mark=4, now=T0 + 5, woken=[ADA])

        (claimed,) = await worker.claim(limit=10, now=T0 + 5)
        assert claimed.profile == ADA

        await worker.settle([Settled(id=claimed.id, status="waiting", profile=EVE)])
        await worker.put([], mark=5, now=T0 + 6, woken=[ADA])
        assert not await worker.claim(limit=10, now=T0 + 6)
        await worker.put([], mark=6, now=T0 + 6, woken=[EVE])
        assert [one.id for one in await worker.claim(limit=10, now=T0 + 6)] == [claimed.id]
        await worker.close()

    async def test_an_answer_is_remembered_with_its_message(self, outbox: Outbox) -> None:
        ada, bob = wanted("ada"), wanted("bob", 1)

        assert await outbox.accept(ada, answered()) is None
        assert await outbox.accept(bob, answered(request=b"another")) == answered()
        assert await outbox.accept(bob, answered("other", b"another")) is None
        assert await outbox.accept(wanted("eve", 2), None) is None

        assert [one.id for one in await outbox.page(limit=10)] == [wanted("eve").id, bob.id, ada.id]
        assert await outbox.recall("messages", "k") == answered()
        assert await outbox.recall("messages", "unknown") is None
        assert await outbox.recall("elsewhere", "k") is None
        assert await outbox.find(ada.id) == ada
        assert await outbox.accept(None, answered("failed")) is None
        assert await outbox.recall("messages", "failed") == answered("failed")

    async def test_of_many_at_once_with_one_key_one_is_worked_on(self, outbox: Outbox) -> None:
        results = await asyncio.gather(
            *(outbox.accept(wanted(f"u{number}"), answered()) for number in range(8)), return_exceptions=True
        )

        assert results.count(None) == 1
        assert all(one is None or one == answered() or isinstance(one, InFlight) for one in results)
        assert len(await outbox.page(limit=10)) == 1

    async def test_answers_are_forgotten_after_their_time(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        await outbox.accept(wanted("ada"), answered("old", at=T0))
        await outbox.accept(wanted("bob"), answered("new", at=T0 + 2))

        await worker.forget(T0 + 1)

        assert await outbox.recall("messages", "old") is None
        assert await outbox.recall("messages", "new") is not None
        assert await outbox.find(wanted("ada").id) is not None
        await worker.close()

    async def test_messages_are_paged_counted_and_found_by_address_and_status(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        people = [wanted(f"p_{number}%") for number in range(3)] + [wanted(f"q{number}", number) for number in range(2)]
        for one in people:
            await outbox.accept(one, None)
        await worker.put([entry(at=5)], mark=None, now=T0)
        (first,) = await worker.claim(limit=1, now=T0)
        await worker.settle([Settled(id=first.id, status="sent", sent_at=T0)])

        pages = [await outbox.page(limit=2)]
        while pages[-1]:
            last = pages[-1][-1]
            pages.append(await outbox.page(limit=2, before=(last.created_at, last.id)))

        listed = [(one.created_at, one.id) for page in pages for one in page]
        assert listed == sorted(((one.created_at, one.id) for one in [*people, entry(at=5)]), reverse=True)
        assert not await outbox.page(limit=9, prefix="p_\0")
        assert {one.to for one in await outbox.page(limit=9, prefix="p_")} == {one.to for one in people[:3]}
        assert [one.id for one in await outbox.page(limit=9, status="sent")] == [first.id]
        counted = await outbox.counts()
        assert {name: dict(by_status) for name, by_status in counted.items()} == {
            "welcome": {"queued": 1},
            None: {"queued": 4, "sent": 1},
        }
        await worker.close()

    @pytest.mark.parametrize("by", [-3600 * SECOND, 3600 * SECOND])
    async def test_what_waits_stays_as_far_away_when_the_clock_is_set(self, outbox: Outbox, by: int) -> None:
        worker = await outbox.open_worker()
        await worker.put([entry(number=number) for number in (1, 2, 3)], mark=None, now=T0)
        for one, due in zip(await worker.claim(limit=3, now=T0), (1, 10, 90), strict=True):
            await worker.settle([Settled(id=one.id, status="queued", due_at=T0 + due * SECOND)])
        await outbox.accept(wanted("since", by + 3 * SECOND), None)  # by somebody who reads the new time

        now = T0 + by + 4 * SECOND
        await worker.clock_set(by, now=now)

        assert len(await worker.claim(limit=9, now=now)) == 2  # the one that was due, and the new one
        assert not await worker.claim(limit=9, now=T0 + by + 10 * SECOND - 1)
        assert len(await worker.claim(limit=9, now=T0 + by + 10 * SECOND)) == 1
        assert not await worker.claim(limit=9, now=T0 + by + 90 * SECOND - 1)
        assert len(await worker.claim(limit=9, now=T0 + by + 90 * SECOND)) == 1
        await worker.close()

    async def test_only_a_doubt_can_be_resolved(self, outbox: Outbox) -> None:
        worker = await outbox.open_worker()
        messages = [entry(number=number) for number in (1, 2, 3)]
        await worker.put(messages, mark=None, now=T0)
        await worker.claim(limit=10, now=T0)
        await worker.settle([Settled(id=one.id, status="unknown", reason="no answer") for one in messages[:2]])

        sent = await outbox.resolve(messages[0].id, "sent", now=T0 + 7)
        again = await outbox.resolve(messages[1].id, "resend", now=T0 + 8)

        assert sent is not None
        assert (sent.status, sent.sent_at, sent.reason, sent.attempts[-1].outcome) == ("sent", T0 + 7, None, "resolved")
        assert again is not None
        assert (again.status, again.due_at, again.sent_at) == ("queued", T0 + 8, None)
        for one in messages:
            with pytest.raises(NoDoubt):
                await outbox.resolve(one.id, "resend", now=T0)
        assert await outbox.resolve(profile_id("suite", "nobody"), "sent", now=T0) is None
        assert [one.id for one in await worker.claim(limit=10, now=T0 + 8)] == [messages[1].id]
        await worker.close()

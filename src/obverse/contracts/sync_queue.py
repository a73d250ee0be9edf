"""What every `SyncQueue` must prove: nothing queued is lost, and what is known of records never grows old."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from dataclasses import replace
from itertools import permutations
from typing import Final

import pytest

from obverse.core.identity import profile_id
from obverse.core.records import FieldState, SyncRecord
from obverse.ports.outcomes import Unreachable
from obverse.ports.sync_queue import (
    MOST_ATTEMPTS,
    Again,
    Attempt,
    Died,
    Figures,
    Heard,
    Nothing,
    Standing,
    SyncQueue,
    SyncWorker,
    Task,
    Written,
)

ADA: Final = profile_id("suite", "user_id:ada")
BOB: Final = profile_id("suite", "user_id:bob")
CYD: Final = profile_id("suite", "user_id:cyd")
CRM: Final = "crm"
T0: Final = 1_767_225_600_000_000
SECOND: Final = 1_000_000
ODD: Final = 'Zoë ☕ "; drop -- \\ <b> \N{RIGHT-TO-LEFT OVERRIDE}\n\t'


def record(profile: bytes = ADA, record_id: str = "1", email: str = "ada@example.com", **known: str) -> SyncRecord:
    """A record as it is after it was written."""
    return SyncRecord(
        profile=profile,
        record_id=record_id,
        email=email,
        known={name: FieldState(value, T0) for name, value in known.items()},
        synced_at=T0,
    )


async def the_task(worker: SyncWorker, now: int = T0, connection: str = CRM) -> Task:
    """The one task that is due."""
    (task,) = await worker.due(connection, limit=10, now=now)
    return task


class SyncQueueContract:
    """Subclass, say how a queue is opened and how its process is killed, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def queue(self) -> SyncQueue:
        """An empty queue. The suite does not close it."""

    @abstractmethod
    async def killed(self, queue: SyncQueue) -> SyncQueue:
        """Kill the process that holds its worker, and return the queue as the next one opens it."""

    async def test_a_caller_that_gives_up_midway_spoils_nothing_for_the_others(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        for turns in range(60):
            writing = asyncio.create_task(worker.put({CRM: [ADA]}, mark=None, now=T0))
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

            await worker.put({CRM: [BOB]}, mark=turns, now=T0)

            assert await queue.mark() == turns, "what was written afterwards is there for everybody"

    async def test_what_was_put_is_due_once_a_profile(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        assert worker.mark == await queue.mark() == 0
        await worker.put({CRM: [ADA, BOB]}, mark=7, now=T0)
        await worker.put({CRM: [ADA]}, mark=8, now=T0 + 1)

        tasks = await worker.due(CRM, limit=10, now=T0 + 1)

        assert [task.profile for task in tasks] == [BOB, ADA]
        assert [task.tries for task in tasks] == [0, 0]
        assert worker.mark == await queue.mark() == 8
        assert not await worker.due(CRM, limit=10, now=T0 - 1)
        assert len(await worker.due(CRM, limit=1, now=T0 + 1)) == 1
        assert not await worker.due("other", limit=10, now=T0 + 1)
        assert await worker.next_due(CRM) == T0
        assert await worker.next_due("other") is None
        await worker.close()

    @pytest.mark.parametrize("by", [-3600 * SECOND, 3600 * SECOND])
    async def test_what_waits_stays_as_far_away_when_the_clock_is_set(self, queue: SyncQueue, by: int) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA, BOB], "other": [ADA]}, mark=1, now=T0)
        for task, due in zip(await worker.due(CRM, limit=2, now=T0), (1, 10), strict=True):
            failed = Attempt(T0, "busy")
            await worker.settle(CRM, [Again(task=task, due_at=T0 + due * SECOND, attempt=failed)])
        await worker.put({CRM: [CYD]}, mark=2, now=T0 + by + 3 * SECOND)  # by somebody who reads the new time

        now = T0 + by + 4 * SECOND
        await worker.clock_set(CRM, by, now=now)

        assert len(await worker.due(CRM, limit=9, now=now)) == 2  # the one that was due, and the new one
        assert len(await worker.due(CRM, limit=9, now=T0 + by + 10 * SECOND - 1)) == 2
        assert len(await worker.due(CRM, limit=9, now=T0 + by + 10 * SECOND)) == 3
        assert await worker.next_due("other") == T0
        await worker.close()

    async def test_it_outlives_a_kill(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA]}, mark=3, now=T0)
        await worker.begin(CRM, [(ADA, "ada@example.com", {"city": ODD})])

        queue = await self.killed(queue)
        with pytest.raises(Unreachable):
            await worker.put({CRM: [BOB]}, mark=4, now=T0)

        worker = await queue.open_worker()
        assert worker.mark == 3
        assert (await the_task(worker)).profile == ADA
        (found,) = await queue.records(CRM, profiles=[ADA])
        assert (found.record_id, found.email, dict(found.sending)) == (None, "ada@example.com", {"city": ODD})
        await worker.close()

    async def test_there_is_one_worker_at_a_time(self, queue: SyncQueue) -> None:
        first = await queue.open_worker()
        second = asyncio.ensure_future(queue.open_worker())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(second), 0.2)
        assert not second.done()

        await first.put({CRM: [ADA]}, mark=5, now=T0)
        await first.close()

        async with asyncio.timeout(10):
            worker = await second
        assert worker.mark == 5
        await worker.close()

    async def test_what_is_settled_is_gone_and_the_record_is_known(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA, BOB], "other": [ADA]}, mark=1, now=T0)
        await worker.begin(CRM, [(ADA, "ada@example.com", {"city": "Rome"})])
        ada, bob = sorted(await worker.due(CRM, limit=10, now=T0), key=lambda task: task.profile != ADA)

        stood = {"city": (FieldState("Oslo", T0 - 1), FieldState(ODD, T0 - 2))}
        written = replace(record(city="Rome", name=ODD), earlier=stood)
        await worker.settle(CRM, [Written(task=ada, record=written), Nothing(task=bob)])

        assert not await worker.due(CRM, limit=10, now=T0)
        (found,) = await queue.records(CRM, record_ids=["1"])
        assert found == written
        assert await queue.records(CRM, emails=["ada@example.com"]) == [found]
        assert not await queue.records("other", record_ids=["1"], profiles=[ADA], emails=["ada@example.com"])
        assert (await the_task(worker, connection="other")).profile == ADA
        await worker.close()

    async def test_a_change_that_comes_meanwhile_is_not_settled_with_the_older_one(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        for result in (Nothing, Written, Again, Died):
            await worker.put({CRM: [ADA]}, mark=1, now=T0)
            task = await the_task(worker)
            await worker.put({CRM: [ADA]}, mark=2, now=T0 + 2)

            failed = Attempt(T0, "no")
            if result is Written:
                await worker.settle(CRM, [Written(task=task, record=record())])
            elif result is Again:
                await worker.settle(CRM, [Again(task=task, due_at=T0 + 99, attempt=failed)])
            elif result is Died:
                await worker.settle(CRM, [Died(task=task, fields={"city": "Rome"}, attempt=failed)])
            else:
                await worker.settle(CRM, [Nothing(task=task)])

            left = await the_task(worker, T0 + 2)
            assert (left.due_at, left.tries, left.died_at) == (T0 + 2, 0, None)
            await worker.settle(CRM, [Nothing(task=left)])
            assert not await worker.due(CRM, limit=10, now=T0 + 99)
        await worker.close()

    async def test_what_is_tried_again_waits_and_keeps_its_attempts(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA]}, mark=1, now=T0)
        due = T0
        for number in range(MOST_ATTEMPTS + 2):
            task = await the_task(worker, due)
            assert task.tries == number
            due += SECOND
            await worker.settle(CRM, [Again(task=task, due_at=due, attempt=Attempt(due, f"{number} {ODD}"))])
            assert not await worker.due(CRM, limit=10, now=due - 1)
        assert await worker.next_due(CRM) == due

        task = await the_task(worker, due)

        assert [one.error for one in task.attempts] == [f"{number} {ODD}" for number in range(2, MOST_ATTEMPTS + 2)]
        assert await queue.page_waiting(CRM, limit=5) == [task]
        await worker.put({CRM: [ADA]}, mark=2, now=due)
        assert (await the_task(worker, due)).tries == 0
        await worker.close()

    async def test_whatever_a_crm_says_it_is_kept_and_what_waits_goes_on(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA, BOB]}, mark=1, now=T0)
        one, other = await worker.due(CRM, limit=10, now=T0)
        said = Attempt(T0, "no\0 \udce4")
        await worker.settle(CRM, [Again(task=one, due_at=T0, attempt=said), Died(task=other, fields={}, attempt=said)])
        await worker.stand(CRM, Standing(state="refused", reason=said.error, remedy=said.error))
        standing, figures = (await queue.standings())[CRM]
        assert (standing.state, figures.waiting, figures.dead) == ("refused", 1, 1)
        await worker.close()

    async def test_a_dead_letter_is_kept_until_it_is_tried_again_or_changes(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA, BOB]}, mark=1, now=T0)
        failed = Attempt(T0 + 5, f"bad city {ODD}")
        for task in await worker.due(CRM, limit=10, now=T0):
            await worker.settle(CRM, [Died(task=task, fields={"city": ODD}, attempt=failed)])

        assert not await worker.due(CRM, limit=10, now=T0 + SECOND)
        assert await worker.next_due(CRM) is None
        first, second = await queue.page_dead(CRM, limit=10)
        assert (first.died_at, first.fields, list(first.attempts)) == (T0 + 5, {"city": ODD}, [failed])
        assert await queue.page_dead(CRM, limit=1) == [first]
        assert await queue.page_dead(CRM, limit=9, after=first.profile) == [second]
        assert not await queue.page_waiting(CRM, limit=5)

        assert await queue.retry("other", None, now=T0) == 0
        assert await queue.retry(CRM, [first.profile], now=T0 + SECOND) == 1
        assert await queue.retry(CRM, [first.profile], now=T0 + SECOND) == 0
        again = await the_task(worker, T0 + SECOND)
        assert (again.profile, again.died_at, again.tries, list(again.attempts)) == (first.profile, None, 0, [failed])
        await worker.put({CRM: [second.profile]}, mark=2, now=T0 + SECOND)
        assert not await queue.page_dead(CRM, limit=10)
        for task in await worker.due(CRM, limit=10, now=T0 + SECOND):
            await worker.settle(CRM, [Died(task=task, fields={}, attempt=failed)])
        assert await queue.retry(CRM, None, now=T0) == 2
        await worker.close()

    async def test_the_later_state_of_a_field_stays_in_whatever_order_it_is_heard(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        heard = [Heard(ADA, "city", FieldState(str(at), T0 + at)) for at in (1, 2, 3)]
        for number, order in enumerate(permutations(heard)):
            await worker.put({CRM: [ADA]}, mark=1, now=T0)
            task = await the_task(worker)
            await worker.settle(CRM, [Written(task=task, record=record(record_id=f"r{number}", city="0", plan="pro"))])

            for one in order:
                await queue.hear(CRM, [one], now=T0 + 9)

            (found,) = await queue.records(CRM, profiles=[ADA])
            assert found.known == {"city": FieldState("3", T0 + 3), "plan": FieldState("pro", T0)}
            # What it told may not be what the profile says, so they are compared.
            task = await the_task(worker, T0 + 9)
            written = replace(record(record_id=f"r{number}", city="ours"), synced_at=T0 + 2)
            await worker.settle(CRM, [Written(task=task, record=written)])
            (found,) = await queue.records(CRM, profiles=[ADA])
            assert found.known["city"] == FieldState("3", T0 + 3)
        await worker.close()

    async def test_what_is_told_as_it_was_given_is_in_doubt_no_longer(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        given = {"city": ODD, "plan": "pro", "name": "Ada", "stage": "new"}
        await worker.begin(CRM, [(ADA, "ada@example.com", given), (BOB, "bob@example.com", given)])
        told = {"city": ODD, "plan": "free", "name": "Ada"}
        heard = [Heard(ADA, name, FieldState(value, T0), answers=name != "name") for name, value in told.items()]

        await queue.hear(CRM, [*heard, Heard(ADA, "city", FieldState("Rome", T0 + 1))], now=T0)

        found = {one.profile: one for one in await queue.records(CRM, profiles=[ADA, BOB])}
        assert dict(found[ADA].sending) == {"plan": "pro", "name": "Ada", "stage": "new"}
        assert found[ADA].known["city"] == FieldState("Rome", T0 + 1)
        assert dict(found[BOB].sending) == given
        await worker.close()

    async def test_what_is_heard_of_nobody_queues_nobody_else(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await queue.hear(CRM, [Heard(BOB, "city", FieldState("x", T0))], now=T0)
        await queue.hear(CRM, [], now=T0)

        assert not await queue.records(CRM, profiles=[BOB])
        assert (await the_task(worker)).profile == BOB
        await worker.close()

    async def test_what_failed_was_not_written_and_what_is_in_doubt_stays_so(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA]}, mark=1, now=T0)
        await worker.begin(CRM, [(ADA, "ada@example.com", {"city": "Rome"})])
        await worker.begin(CRM, [(ADA, "ada@example.com", {"plan": "pro"})])
        (found,) = await queue.records(CRM, emails=["ada@example.com"])
        assert dict(found.sending) == {"city": "Rome", "plan": "pro"}

        task = await the_task(worker)
        await worker.settle(CRM, [Again(task=task, due_at=T0, attempt=Attempt(T0, "later"))])

        (found,) = await queue.records(CRM, profiles=[ADA])
        assert not found.sending

        doubt = {"city": ODD}
        for result in (
            Again(task=task, due_at=T0, attempt=Attempt(T0, "later"), sending=doubt),
            Died(task=task, fields={"city": "Rome"}, attempt=Attempt(T0, "no"), sending=doubt),
        ):
            await worker.begin(CRM, [(ADA, "ada@example.com", {"city": "Rome", "plan": "pro"})])
            await worker.settle(CRM, [result])
            (found,) = await queue.records(CRM, profiles=[ADA])
            assert dict(found.sending) == doubt, "what was in doubt before is so still"
        await worker.close()

    async def test_a_record_belongs_to_the_profile_that_it_was_written_for_last(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA, BOB]}, mark=1, now=T0)
        for task in await worker.due(CRM, limit=10, now=T0):
            await worker.settle(CRM, [Written(task=task, record=record(task.profile, "1", city=task.profile.hex()))])

        (found,) = await queue.records(CRM, record_ids=["1"], profiles=[ADA, BOB])

        assert found.known["city"].value == found.profile.hex()
        await worker.close()

    async def test_what_is_told_of_a_record_that_is_being_made_is_known(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA]}, mark=1, now=T0)
        task = await the_task(worker)
        await worker.begin(CRM, [(ADA, "ada@example.com", {"city": "Rome", "plan": "pro"})])

        await queue.hear(CRM, [Heard(ADA, "plan", FieldState("free", T0 + 1))], now=T0)
        await worker.settle(CRM, [Written(task=task, record=record(city="Rome", plan="pro"))])

        (found,) = await queue.records(CRM, profiles=[ADA])
        assert found.known == {"city": FieldState("Rome", T0), "plan": FieldState("free", T0 + 1)}
        await worker.close()

    async def test_what_is_told_of_a_record_while_another_profile_gets_it_is_known(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        await worker.put({CRM: [ADA, BOB]}, mark=1, now=T0)
        tasks = {task.profile: task for task in await worker.due(CRM, limit=10, now=T0)}
        ada, bob = record(ADA, "1", city="Rome", plan="pro"), record(BOB, "2", city="Oslo", stage="new")
        await worker.settle(CRM, [Written(task=tasks[one.profile], record=one) for one in (ada, bob)])
        await worker.begin(CRM, [(BOB, "ada@example.com", {"city": "Oslo"})])

        await queue.hear(CRM, [Heard(ADA, "plan", FieldState("free", T0 + 1))], now=T0)
        await worker.settle(CRM, [Written(task=tasks[BOB], record=record(BOB, "1", city="Oslo", plan="pro"))])

        (found,) = await queue.records(CRM, profiles=[ADA, BOB])
        assert (found.profile, found.record_id) == (BOB, "1")
        assert found.known == {"city": FieldState("Oslo", T0), "plan": FieldState("free", T0 + 1)}
        await worker.close()

    async def test_how_a_connection_is_can_be_asked(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        assert await queue.standings() == {}
        standing = Standing(state="refused", reason=f"who are you? {ODD}", remedy="x", last_success_at=T0, mapping="m1")
        await worker.stand(CRM, standing)
        await worker.put({CRM: [ADA, BOB]}, mark=1, now=T0)
        ada, bob = await worker.due(CRM, limit=10, now=T0)
        await worker.settle(CRM, [Written(task=ada, record=record(ada.profile))])
        await worker.settle(CRM, [Died(task=bob, fields={}, attempt=Attempt(T0, "no"))])
        await worker.begin("other", [(ADA, "ada@example.com", {})])
        await worker.put({"other": [ADA]}, mark=None, now=T0)

        assert await queue.standings() == {
            CRM: (standing, Figures(waiting=0, dead=1, records=1)),
            "other": (Standing(), Figures(waiting=1, dead=0, records=0, due_since=T0)),
        }
        assert worker.mark == 1
        await worker.stand(CRM, Standing())
        assert (await queue.standings())[CRM][0] == Standing()
        await worker.close()

    async def test_records_are_paged_and_found_by_address(self, queue: SyncQueue) -> None:
        worker = await queue.open_worker()
        people = [profile_id("suite", f"user_id:{number}") for number in range(5)]
        await worker.put({CRM: people}, mark=1, now=T0)
        for number, task in enumerate(await worker.due(CRM, limit=10, now=T0)):
            one = record(task.profile, str(number), f"p_{number}%@example.com")
            await worker.settle(CRM, [Written(task=task, record=one)])

        pages = [await queue.page_records(CRM, limit=2)]
        while pages[-1]:
            pages.append(await queue.page_records(CRM, limit=2, after=pages[-1][-1].profile))

        assert [one.profile for page in pages for one in page] == sorted(people)
        (found,) = await queue.page_records(CRM, limit=5, prefix="p_3%")
        assert found.email == "p_3%@example.com"
        assert not await queue.page_records(CRM, limit=5, prefix="p%")
        assert not await queue.page_records(CRM, limit=5, prefix="p_\0")
        await worker.close()

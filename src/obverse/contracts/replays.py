"""What every `Replays` must prove: nothing runs that nobody confirmed, and what was noted is there for the next."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Final

import pytest
from msgspec.structs import replace

from obverse.core.replays import (
    ActivateReport,
    CampaignReport,
    ConnectionReport,
    DeliverReport,
    Report,
    Span,
    UnifyReport,
    Wanted,
)
from obverse.ports.replays import NotOpen, Replay, Replays, ReplayStage, ReplaysWorker

NOON: Final = 1_767_268_800_000_000
ALL: Final = Wanted(flows=("unify", "activate", "deliver"))
SOME: Final = Wanted(
    flows=("deliver",), connection="hubspot", campaign="welcome", since=1, until=NOON, partition=0, first=2, before=3
)
REPORT: Final = Report(
    unify=UnifyReport(
        spans={0: Span(0, 7), 3: Span(5, 5)},
        people=9,
        looked_at=8,
        changed=2,
        traits={"größe": 2},
        attributes={'a"\\b': 1},
        entered={"big": 1},
        left={"small": 1},
        others=1,
        refused=1,
        refused_some=["id:00000000-0000-0000-0000-000000000000"],
    ),
    activate=ActivateReport(
        span=Span(1, 4), connections={"hubspot": ConnectionReport(create=1, update=2, fields={"city": 2}, unchanged=3)}
    ),
    deliver=DeliverReport(span=Span(1, 4), campaigns={"welcome": CampaignReport(send=1, already={"sent": 4}, over=2)}),
)


class ReplaysContract:
    """Subclass, say how a ledger is opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def replays(self) -> Replays:
        """Nothing was asked for. The suite does not close it."""

    @abstractmethod
    async def neighbour(self, replays: Replays) -> Replays:
        """That of another workspace at the same place, where nothing was asked for."""

    async def worker_of(self, replays: Replays) -> ReplaysWorker:
        """Its worker; with another login, where those who ask and who does it have one each."""
        return await replays.open_worker()

    async def test_what_is_asked_for_is_planned_then_confirmed_then_done(self, replays: Replays) -> None:
        id_ = await replays.ask(SOME, by="ada@laptop", at=NOON)
        asked = Replay(id=id_, wanted=SOME, by="ada@laptop", asked_at=NOON)
        worker = await self.worker_of(replays)
        assert [await replays.find(id_), await worker.next()] == [asked, asked]

        assert await worker.progress(id_, 5)
        assert await worker.planned(id_, REPORT)
        planned = replace(asked, state=ReplayStage.PLANNED, done=5, plan=REPORT)
        assert await replays.find(id_) == planned
        assert await worker.next() is None, "nobody has said yes"

        running = replace(planned, state=ReplayStage.RUNNING, done=0, confirmed_by="bob")
        assert await replays.confirm(id_, by="bob") == running
        assert await worker.next() == running
        result = Report(deliver=REPORT.deliver)
        assert await worker.settle(id_, ReplayStage.DONE, at=NOON + 1, result=result)
        done = replace(running, state=ReplayStage.DONE, result=result, settled_at=NOON + 1)
        assert await replays.find(id_) == done
        assert await worker.next() is None
        await worker.close()

    async def test_one_that_is_refused_says_why(self, replays: Replays) -> None:
        id_ = await replays.ask(ALL, by="ada", at=NOON)
        worker = await self.worker_of(replays)
        assert await worker.settle(id_, ReplayStage.REFUSED, at=NOON + 1, reason="no such partition")
        found = await replays.find(id_)
        assert found is not None
        assert (found.state, found.reason, found.plan) == (ReplayStage.REFUSED, "no such partition", None)
        await worker.close()

    async def test_the_first_comes_first_and_the_latest_are_told_first(self, replays: Replays) -> None:
        ids = [await replays.ask(ALL, by=name, at=NOON) for name in ("ada", "bob", "eve")]
        assert ids == sorted(ids)
        worker = await self.worker_of(replays)
        first = await worker.next()
        assert first is not None
        assert first.id == ids[0]
        await worker.planned(ids[0], REPORT)
        following = await worker.next()
        assert following is not None
        assert following.id == ids[1]
        assert [one.id for one in await replays.page(limit=2)] == [ids[2], ids[1]]
        assert [one.id for one in await replays.page(limit=2, before=ids[1])] == [ids[0]]
        await worker.close()

    async def test_only_what_is_planned_can_be_confirmed(self, replays: Replays) -> None:
        id_ = await replays.ask(ALL, by="ada", at=NOON)
        with pytest.raises(NotOpen, match="planning"):
            await replays.confirm(id_, by="ada")
        worker = await self.worker_of(replays)
        await worker.planned(id_, REPORT)
        await replays.confirm(id_, by="ada")
        with pytest.raises(NotOpen, match="running"):
            await replays.confirm(id_, by="ada")
        assert await replays.confirm(id_ + 1000, by="ada") is None
        assert await replays.find(id_ + 1000) is None
        await worker.close()

    @pytest.mark.parametrize("state", [ReplayStage.PLANNING, ReplayStage.PLANNED, ReplayStage.RUNNING])
    async def test_one_that_was_cancelled_goes_no_further(self, replays: Replays, state: ReplayStage) -> None:
        id_ = await replays.ask(ALL, by="ada", at=NOON)
        worker = await self.worker_of(replays)
        if state is not ReplayStage.PLANNING:
            await worker.planned(id_, REPORT)
        if state is ReplayStage.RUNNING:
            await replays.confirm(id_, by="ada")
        cancelled = await replays.cancel(id_, at=NOON + 2)
        assert cancelled is not None
        assert (cancelled.state, cancelled.settled_at) == (ReplayStage.CANCELLED, NOON + 2)

        assert await worker.next() is None
        assert not await worker.progress(id_, 1)
        assert not await worker.planned(id_, REPORT)
        assert not await worker.settle(id_, ReplayStage.DONE, at=NOON + 3, result=REPORT)
        assert await replays.find(id_) == cancelled
        with pytest.raises(NotOpen, match="cancelled"):
            await replays.confirm(id_, by="ada")
        with pytest.raises(NotOpen, match="cancelled"):
            await replays.cancel(id_, at=NOON + 4)
        assert await replays.cancel(id_ + 1000, at=NOON) is None
        await worker.close()

    async def test_one_works_at_a_time(self, replays: Replays) -> None:
        worker = await self.worker_of(replays)
        id_ = await replays.ask(ALL, by="ada", at=NOON)
        await worker.progress(id_, 3)
        waiting = asyncio.create_task(self.worker_of(replays))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await worker.close()
        following = await asyncio.wait_for(waiting, 10)
        going_on = await following.next()
        assert going_on is not None
        assert (going_on.id, going_on.done) == (id_, 3)
        await following.close()

    async def test_nothing_of_it_is_of_another_workspace(self, replays: Replays) -> None:
        id_ = await replays.ask(ALL, by="ada", at=NOON)
        other = await self.neighbour(replays)
        beside = await self.worker_of(other)
        assert [await beside.next(), await other.find(id_), await other.cancel(id_, at=NOON)] == [None, None, None]
        assert await other.page(limit=5) == []
        assert not await beside.progress(id_, 1)
        await beside.close()
        await other.close()

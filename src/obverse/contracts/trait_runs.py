"""What every `TraitRuns` must prove: one worker at a time, and what it noted is there for the next."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import replace
from typing import Final

import pytest

from obverse.ports.trait_runs import GivenValue, TraitRun, TraitRuns

NOON: Final = 1_767_268_800_000_000
RUN: Final = TraitRun(
    trait="spent", number=1, digest="00ff", at=NOON, took=2_500_001, counts={"given": 2, "unknown": 1}
)
ADA, BOB = GivenValue(bytes(15) + b"\x01", b"12.50"), GivenValue(bytes(15) + b"\x02", b'"\xc3\xa4\\u0000"')


class TraitRunsContract:
    """Subclass, say how runs are opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def runs(self) -> TraitRuns:
        """Nothing was run. The suite does not close it."""

    @abstractmethod
    async def neighbour(self, runs: TraitRuns) -> TraitRuns:
        """Those of another workspace at the same place, where nothing was run."""

    async def test_the_latest_run_of_each_trait_is_told(self, runs: TraitRuns) -> None:
        assert await runs.latest() == []
        worker = await runs.open_worker()
        await worker.finish(RUN)
        other = replace(RUN, trait="orders", number=7, flaw="it takes longer than 60 seconds", took=None, counts={})
        await worker.finish(other)
        again = replace(RUN, number=2, at=NOON + 1, digest="01", counts={"same": 3})
        await worker.finish(again)
        await worker.close()

        assert await runs.latest() == [other, again]

    async def test_values_are_there_for_the_next_worker(self, runs: TraitRuns) -> None:
        worker = await runs.open_worker()
        assert await worker.given("spent") == {}
        await worker.note("spent", {"user_id:ada": ADA, "email:ä@b.example": BOB, "user_id:eve": ADA})
        await worker.note("orders", {"user_id:ada": BOB})
        await worker.note("spent", {"user_id:ada": BOB}, ["user_id:eve", "user_id:nobody"])
        await worker.note("spent", {})
        await worker.close()

        following = await runs.open_worker()
        assert await following.given("spent") == {"user_id:ada": BOB, "email:ä@b.example": BOB}
        assert await following.given("orders") == {"user_id:ada": BOB}
        await following.close()

    async def test_one_works_at_a_time(self, runs: TraitRuns) -> None:
        worker = await runs.open_worker()
        waiting = asyncio.create_task(runs.open_worker())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await worker.close()
        await (await asyncio.wait_for(waiting, 10)).close()

    async def test_nothing_of_it_is_of_another_workspace(self, runs: TraitRuns) -> None:
        worker = await runs.open_worker()
        await worker.note("spent", {"user_id:ada": ADA})
        await worker.finish(RUN)
        other = await self.neighbour(runs)
        beside = await other.open_worker()

        assert (await other.latest(), await beside.given("spent")) == ([], {})
        await beside.note("spent", {}, ["user_id:ada"])
        assert await worker.given("spent") == {"user_id:ada": ADA}
        await beside.close()
        await worker.close()
        await other.close()

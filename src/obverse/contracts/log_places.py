"""What every `LogPlaces` must prove: all see the same log in force, and a move has no gap."""

from __future__ import annotations

import asyncio
from abc import abstractmethod

import pytest

from obverse.ports.log_places import HOLD_SECONDS, RENEW_SECONDS, LogPlace, LogPlaces, TooLate


class LogPlacesContract:
    """Subclass, say how places are opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def places(self) -> LogPlaces:
        """Nothing was noted. The suite does not close it."""

    @abstractmethod
    async def neighbour(self, places: LogPlaces) -> LogPlaces:
        """Those of another workspace at the same place, where nothing was noted."""

    @abstractmethod
    async def let_pass(self, places: LogPlaces, seconds: float) -> None:
        """Have the hold be so many seconds older, without asking the places."""

    async def test_the_first_that_was_settled_is_in_force(self, places: LogPlaces) -> None:
        assert await places.settle("postgres") == LogPlace(adapter="postgres")
        assert await places.settle("kafka") == LogPlace(adapter="postgres")

    async def test_a_move_puts_the_other_one_in_force(self, places: LogPlaces) -> None:
        await places.settle("postgres")
        mover = await places.open_mover()
        await mover.begin("kafka")
        assert await places.settle("postgres") == LogPlace(adapter="postgres", moving_to="kafka")
        await mover.hold()
        assert await places.settle("postgres") == LogPlace(adapter="postgres", moving_to="kafka", held=True)
        await mover.renew()
        await mover.finish()
        await mover.close()
        assert await places.settle("postgres") == LogPlace(adapter="kafka")

    async def test_who_is_killed_is_waited_for_so_long_and_no_longer(self, places: LogPlaces) -> None:
        await places.settle("postgres")
        mover = await places.open_mover()
        await mover.begin("kafka")
        await mover.hold()
        await self.let_pass(places, HOLD_SECONDS - 5)
        assert (await places.settle("postgres")).held
        await self.let_pass(places, 6)
        assert await places.settle("postgres") == LogPlace(adapter="postgres", moving_to="kafka")
        await mover.close()

    async def test_who_was_held_up_cannot_finish(self, places: LogPlaces) -> None:
        await places.settle("postgres")
        mover = await places.open_mover()
        await mover.begin("kafka")
        with pytest.raises(TooLate):
            await mover.finish()
        await mover.hold()
        await self.let_pass(places, RENEW_SECONDS - 4)
        await mover.renew()
        await self.let_pass(places, RENEW_SECONDS - 4)
        await mover.renew()
        await self.let_pass(places, RENEW_SECONDS + 1)
        for late in (mover.renew, mover.finish):
            with pytest.raises(TooLate):
                await late()
        assert (await places.settle("postgres")).adapter == "postgres"
        await mover.close()

    async def test_a_move_can_be_given_up(self, places: LogPlaces) -> None:
        await places.settle("postgres")
        mover = await places.open_mover()
        await mover.begin("kafka")
        await mover.hold()
        await mover.give_up(forget=False)
        assert await places.settle("postgres") == LogPlace(adapter="postgres", moving_to="kafka")
        with pytest.raises(TooLate):
            await mover.renew()
        await mover.give_up(forget=True)
        assert await places.settle("postgres") == LogPlace(adapter="postgres")
        await mover.close()

    async def test_one_moves_at_a_time(self, places: LogPlaces) -> None:
        mover = await places.open_mover()
        waiting = asyncio.create_task(places.open_mover())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await mover.close()
        await (await asyncio.wait_for(waiting, 20)).close()

    async def test_nothing_of_it_is_of_another_workspace(self, places: LogPlaces) -> None:
        await places.settle("postgres")
        other = await self.neighbour(places)
        mover, beside = await places.open_mover(), await other.open_mover()
        assert await other.settle("kinesis") == LogPlace(adapter="kinesis")
        await mover.begin("kafka")
        await mover.hold()
        assert await other.settle("kinesis") == LogPlace(adapter="kinesis")
        await beside.close()
        await mover.close()
        await other.close()

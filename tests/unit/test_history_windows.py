"""The past of traits over windows: as it was when time had come to it, whether an event had come lately or not."""

from __future__ import annotations

from typing import Any

import pytest

from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import spans, times
from obverse.core.people import People
from obverse.flows.history import History
from obverse.flows.serve import Serve
from obverse.ports.event_log import Stream
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, ProfileRow, StoredEvent
from people_steps import bought
from window_steps import DAYS, at, day, settle

STORY = [at(bought("m1", 20, user_id="ada"), 0.5), at(bought("m2", 3, user_id="ada"), 6)]


async def open_history(runtime: SimulatedRuntime, turned: float) -> History:
    """The history of a person who bought twice; time had come to that day when the store was written."""
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    cache = await open_profile_cache(MemoryCacheSettings(), runtime)
    people, writer, events, decided = People("main", DAYS), await store.open_writer("unify"), [], []
    for offset, one in enumerate(STORY):
        folded = people.fold(one, (0, offset))
        assert folded.profile is not None
        events.append(StoredEvent(folded.profile.id, 0, offset, one))
        decided += [] if folded.decision is None else [KeptDecision(offset, folded.decision)]
    settle(people, day(turned))
    rows = [ProfileRow.of(one, DAYS) for one in people.profiles.values()]
    await writer.commit(
        Checkpoint(marks={Stream.EVENTS: {0: 2}}, profiles=rows, events=[writer.pack(events)], decisions=decided)
    )
    serve = Serve(store=store, cache=cache, definitions=lambda: DAYS)
    return History(store, serve, lambda: DAYS, runtime)


@pytest.mark.parametrize("turned", [6, 40], ids=["the store is behind", "the store is ahead"])
@pytest.mark.parametrize(
    ("when", "orders", "spent", "active"),
    [
        (0.5, 1, 20, True),
        (2.4, 1, 20, True),
        (2.6, 1, 0, True),
        (6, 2, 3, True),
        (7.4, 2, 3, True),
        (7.6, 1, 3, True),
        (8.1, 1, 0, True),
        (12.9, 1, 0, True),
        (13.1, 0, 0, False),
        (30, 0, 0, False),
    ],
)
def test_a_profile_is_told_as_of_a_time_at_which_only_the_clock_had_moved_it(
    turned: float,
    when: float,
    orders: int,
    spent: int,
    active: bool,  # noqa: FBT001 - as the table has it
) -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        history = await open_history(runtime, turned)
        await runtime.sleep(60 * spans.DAY / spans.SECOND)
        found = await history.profile("user_id:ada", day(when))
        assert found is not None
        assert found.view.past
        assert found.view.past.as_of == times.to_text(day(when))
        assert found.view.traits["orders_7d"] == orders
        assert found.view.traits["spent_2d"] == spent
        assert ("active" in {one.name for one in found.view.audiences}) is active

    simulate(1, run)


def test_two_times_are_compared_though_no_event_came_between() -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        history = await open_history(runtime, 6)
        await runtime.sleep(60 * spans.DAY / spans.SECOND)
        found: Any = await history.compare("user_id:ada", day(7), day(20))
        moved = {one.name: (one.before, one.after) for one in found.traits}
        assert (moved["orders_7d"], moved["spent_2d"]) == ((2, 0), (3, 0))
        assert "orders" not in moved

    simulate(1, run)

"""The simulated road keeps the laws that any road keeps: of Little, of conservation, of saturation."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.adapters._kafka import folded
from obverse.adapters.kafka.turns import TURNS
from obverse.apps.bench.layout import bench_layout, partitions, recovered, simulated
from obverse.apps.bench.layout.asked import Asked, BadCost, Costs, Habits, Machine, TooMuch, costs_of
from obverse.apps.bench.layout.partitions import brokers_of, murmur2, partitioned, traffic
from obverse.apps.bench.layout.queues import Clock, Job, Latencies, Station
from obverse.apps.bench.layout.road import World
from obverse.apps.bench.layout.sizing import harmonic, held_by, layout_of, packed, weights_of
from obverse.ports.event_log import Stream

QUICK = Costs(collector=4, kafka=2, router=10, engine=25, slice=100, keeper=8, postgres=8, redis=2)
SMALL = Asked(rate=40_000, costs=QUICK, habits=Habits(people=100_000, buckets=8, checkpoint=2.0, partition_mb=100.0))
"""One workspace, so that a test takes little."""


def poisson_arrivals(clock: Clock, station: Station, *, rate: float, seconds: float, number: int) -> None:
    random = Random(7)

    def come(left: int) -> None:
        station.put(Job(1, seconds))
        if left:
            clock.after(random.expovariate(rate), come, left - 1)

    clock.at(0.0, come, number - 1)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_server_makes_wait_what_theory_says(load: float) -> None:
    clock, service = Clock(), 0.01
    station = Station(clock)
    poisson_arrivals(clock, station, rate=load / service, seconds=service, number=60_000)
    clock.run(math.inf)
    waited = station.stayed / station.jobs_left - service
    # Of Pollaczek and Khinchine, for service that always takes the same.
    assert waited == pytest.approx(service * load / (2 * (1 - load)), rel=0.08)


@settings(max_examples=50, deadline=None)
@given(
    jobs=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 2), st.integers(0, 9)), min_size=1, max_size=40),
    servers=st.integers(1, 3),
    turn=st.sampled_from([0.0, 0.5]),
    stops=st.lists(st.floats(0, 15), max_size=3),
)
def test_littles_law_holds_whatever_comes(
    jobs: list[tuple[float, float, int]], servers: int, turn: float, stops: list[float]
) -> None:
    clock = Clock()
    station = Station(clock, 1 if turn else servers, turn=turn, most=12)
    done: list[int] = []
    for at, seconds, events in jobs:
        clock.at(at, station.put, Job(events, seconds, lambda events=events: done.append(events)))  # type: ignore[misc]
    for at in stops:
        clock.at(at, station.stop)
        clock.at(at + 1, station.start)
    clock.run(1000.0)
    station.close()
    assert station.inside == 0
    assert station.area == pytest.approx(station.stayed)
    assert station.came == station.left == sum(done) == sum(events for _, _, events in jobs)
    assert station.busy <= station.servers * 1000.0


def test_what_was_at_work_when_it_stopped_is_done_again() -> None:
    clock = Clock()
    station = Station(clock)
    ends: list[float] = []
    station.put(Job(1, 1.0, lambda: ends.append(clock.now)))
    station.put(Job(1, 1.0, lambda: ends.append(clock.now)))
    clock.at(0.5, station.stop)
    clock.at(3.0, station.start)
    clock.run(10.0)
    assert ends == [4.0, 5.0]


def test_nothing_is_lost_or_made_on_the_road() -> None:
    world = World(SMALL, layout_of(SMALL), seed=3)
    world.clock.run(4.0)
    world.open = False
    world.clock.run(30.0)
    assert world.sent > 4 * SMALL.rate * 0.95
    assert sum(cell.visible for cell in world.cells) == world.sent
    for name, stations in world.stations().items():
        for one in stations:
            assert one.came == one.left, name


def test_nothing_is_lost_when_a_machine_is() -> None:
    world = World(SMALL, layout_of(SMALL), seed=3)
    world.clock.run(3.0)
    world.lose_machine()
    world.clock.run(world.clock.now + world.outage + 1.0)
    world.open = False
    world.clock.run(200.0)
    assert sum(cell.visible for cell in world.cells) == world.sent
    assert world.again > 0


@pytest.mark.parametrize("place", ["router", "keeper"])
def test_what_is_asked_more_of_than_it_can_do_gives_what_it_can(place: str) -> None:
    costs: Costs = replace(SMALL.costs, **{place: 40.0})
    asked = replace(SMALL, costs=costs)
    # It is laid out for what it would be without.
    figures = simulated(asked, layout_of(SMALL), seconds=8, seed=1)
    assert figures["overloaded"] == [place]
    assert figures["busy"][place]["most"] == pytest.approx(1.0, abs=0.02)
    # 25,000 of 40,000 events a second come through, and the rest waits; it began two seconds earlier.
    assert figures["events"]["visible"] == pytest.approx(25_000 * 10, rel=0.05)
    assert figures["events"]["on_their_way"] == pytest.approx(15_000 * 10, rel=0.1)


def test_planned_busy_is_how_busy_it_is() -> None:
    layout = layout_of(SMALL)
    figures = simulated(SMALL, layout, seconds=8, seed=1)
    assert figures["overloaded"] == []
    assert figures["busy"]["collector"]["mean"] == pytest.approx(SMALL.rate * 4e-6, rel=0.05)
    assert figures["busy"]["engine"]["most"] <= SMALL.habits.busy + 0.1
    sent = figures["network_mb_s"]["senders to collectors"]
    assert sent == pytest.approx(SMALL.rate * SMALL.sizes.sent / 1e6, rel=0.02)


def test_the_same_seed_gives_the_same_and_another_one_does_not() -> None:
    layout = layout_of(SMALL)
    first, again, other = (simulated(SMALL, layout, seconds=1, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["events"] != other["events"]


def visible_ms(asked: Asked) -> float:
    return float(simulated(asked, layout_of(SMALL), seconds=3, seed=1)["visible_ms"]["p50"])


@pytest.mark.parametrize(
    "slower",
    [
        lambda asked: replace(asked, habits=replace(asked.habits, pace=0.05)),
        lambda asked: replace(asked, habits=replace(asked.habits, ack=0.05)),
        lambda asked: replace(asked, habits=replace(asked.habits, gather=0.2)),
        lambda asked: replace(asked, costs=replace(asked.costs, turn=8000.0)),
    ],
)
def test_what_takes_longer_is_seen_later(slower: Callable[[Asked], Asked]) -> None:
    assert visible_ms(slower(SMALL)) > visible_ms(SMALL)


def test_recovery_takes_the_outage_and_what_is_caught_up_with() -> None:
    layout = layout_of(SMALL)
    lost = recovered(SMALL, layout, seed=1)
    assert lost["nothing_folded_s"] >= SMALL.habits.notice + SMALL.habits.restart
    assert lost["nothing_folded_s"] < lost["well_after_s"]
    # With hardly anything to spare it takes longer, and with nothing for ever.
    tight = replace(SMALL, costs=replace(SMALL.costs, engine=SMALL.costs.engine * 1.3))
    assert recovered(tight, layout, seed=1)["well_after_s"] > lost["well_after_s"]
    never = replace(SMALL, costs=replace(SMALL.costs, engine=SMALL.costs.engine * 3))
    assert recovered(never, layout, seed=1, patience=30.0)["well_after_s"] is None


@pytest.mark.parametrize("skew", [0.0, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("people", [1000, 50_000])
def test_shares_of_buckets_are_a_whole(skew: float, people: int) -> None:
    exact = math.fsum(rank**-skew for rank in range(1, people + 1))
    assert harmonic(people, skew) == pytest.approx(exact, rel=1e-4)
    weights = weights_of(Habits(people=people, skew=skew), 1)
    assert sum(weights) == pytest.approx(1.0)
    assert min(weights) > 0


@given(loads=st.lists(st.floats(0.01, 1.0), max_size=40))
def test_packing_takes_no_fewer_machines_than_the_sum_and_not_many_more(loads: list[float]) -> None:
    machines = packed(loads, 1.0)
    assert sum(loads) <= machines + 1e-6
    # First fit: no two machines are both less than half full.
    assert machines <= 2 * sum(loads) + 1


def test_more_machines_hold_more_and_in_proportion() -> None:
    one, ten, hundred = (held_by(count, Asked()) for count in (1, 10, 100))
    assert one < ten < hundred
    assert hundred == pytest.approx(100 * one, rel=0.15)
    assert layout_of(Asked(rate=ten)).machines <= 10
    assert held_by(10, Asked(machine=Machine(cores=32, network_mb=2500))) == pytest.approx(2 * ten, rel=0.15)


def test_what_the_network_cannot_carry_is_not_held() -> None:
    ten = held_by(10, Asked())
    assert held_by(10, Asked(machine=Machine(cores=32))) < 1.5 * ten
    assert held_by(10, Asked(machine=Machine(network_mb=125))) < 0.25 * ten
    # One machine sends nothing to another.
    assert held_by(1, Asked(machine=Machine(network_mb=125))) == held_by(1, Asked())


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_are_hashed_as_kafkas_own_tests_say(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed % 2**32


def counts_of(asked: Asked) -> dict[str, int]:
    told = partitions(asked, layout_of(asked), seed=1)
    counts: dict[str, int] = told["of_a_workspace"]
    assert told["all"] == layout_of(asked).cells * sum(counts.values())
    assert max(told["busiest_mb_s"].values()) <= asked.habits.partition_mb
    return counts


def with_partitions_of(megabytes: float) -> Asked:
    return replace(SMALL, habits=replace(SMALL.habits, partition_mb=megabytes))


def test_every_topic_that_there_is_has_its_partitions() -> None:
    assert set(counts_of(SMALL)) == {*Stream, folded.FOLDED, folded.MOVES, TURNS}


def test_a_smaller_bound_gives_more_partitions_but_where_order_wants_one() -> None:
    few, more = counts_of(with_partitions_of(100.0)), counts_of(with_partitions_of(30.0))
    assert few["folded"] == few["moves"] < more["folded"] == more["moves"]
    assert few["events"] == few["rejected"] == more["events"] == 1
    for ordered in (Stream.DECISIONS, Stream.CHANGES, Stream.ROUTED):
        assert few[ordered] == more[ordered] == 1
    # Two are not enough of what two can hold on average, as a hash puts buckets where it likes.
    assert more["folded"] > SMALL.rate * SMALL.sizes.folded / 1e6 / 30


def test_a_higher_rate_gives_more_partitions() -> None:
    asked = with_partitions_of(50.0)
    assert counts_of(replace(asked, rate=20_000))["folded"] < counts_of(asked)["folded"]


def test_what_has_one_partition_bounds_a_workspace() -> None:
    # Of 100 bytes each, 20,000 events a second are 2 MB/s.
    asked = replace(with_partitions_of(2.0), sizes=replace(SMALL.sizes, folded=100))
    assert layout_of(replace(asked, rate=20_000)).cells == 1
    assert layout_of(asked).cells == 2
    with pytest.raises(TooMuch, match="raise the number of buckets or of workspaces, or what a partition takes"):
        layout_of(with_partitions_of(5.0))


def test_brokers_carry_all_copies_and_the_busiest_the_most() -> None:
    asked = Asked(rate=500_000)
    layout = layout_of(asked)
    topics = partitioned(asked, asked.rate / layout.cells, layout.weights)
    brokers = brokers_of(asked, topics, cells=layout.cells, brokers=layout.brokers, seed=1)
    assert len(brokers) == layout.brokers > 3
    assert sum(one.partitions for one in brokers) == 3 * layout.cells * sum(map(len, topics.values()))
    comes, goes = traffic(asked, 3)
    assert sum(one.comes for one in brokers) == pytest.approx(asked.rate * comes / 1e6)
    assert sum(one.goes for one in brokers) == pytest.approx(asked.rate * goes / 1e6)
    told = partitions(asked, layout, seed=1)
    assert told["busiest_broker"]["goes_mb_s"] > asked.rate * goes / 1e6 / layout.brokers
    assert told["on_a_broker"]["most"] > told["on_a_broker"]["mean"]


def test_what_cannot_be_held_says_why() -> None:
    with pytest.raises(TooMuch, match="spread them over 57 workspaces"):
        layout_of(Asked(), cells=2)
    with pytest.raises(TooMuch, match="raise the number of buckets"):
        layout_of(Asked(habits=Habits(skew=2.0)))


@pytest.mark.parametrize(
    "told", ["engine", "engine=", "engine=x", "engine=0", "engine=-1", "engine=inf", "motor=3", ""]
)
def test_a_cost_that_is_none_is_told(told: str) -> None:
    with pytest.raises(BadCost, match="NAME=MICROSECONDS"):
        costs_of([told])


def test_percentiles_are_of_events() -> None:
    latencies = Latencies()
    assert latencies.percentile(0.5) == 0.0
    latencies.add(0.010, 90)
    latencies.add(1.0, 10)
    assert latencies.percentile(0.5) == pytest.approx(10, rel=0.07)
    assert latencies.percentile(0.9) == pytest.approx(10, rel=0.07)
    assert latencies.percentile(0.91) == pytest.approx(1000, rel=0.07)


def test_all_figures_are_told() -> None:
    figures = asyncio.run(bench_layout(SMALL, seconds=1, seed=1))
    assert set(figures) >= {
        "settings",
        "held",
        "layout",
        "partitions",
        "visible_ms",
        "busy",
        "checkpoints",
        "network_mb_s",
        "lost_machine",
    }
    assert figures["checkpoints"]["number"] > 0
    assert figures["checkpoints"]["longest_s"] >= figures["checkpoints"]["longest_pause_ms"] / 1000

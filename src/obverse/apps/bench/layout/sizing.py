"""How many processes and machines a rate needs, from what an event costs in each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from obverse.apps.bench.layout.asked import MB, MICRO, Asked, Habits, TooMuch
from obverse.apps.bench.layout.partitions import most_in_one_order, partitioned, traffic

REACH: Final = 4096
"""Of the most active people each is looked at by himself; the rest spread evenly over the buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What runs where. A cell is all that one workspace has to itself."""

    cells: int
    tasks: int
    """Of each cell."""
    weights: tuple[float, ...]
    """Share of a cell's events that each bucket has."""
    homes: tuple[int, ...]
    """The task of each bucket."""
    brokers: int
    broker_threads: int
    """Of all brokers: how many of their cores may be at work at once."""
    cores: float
    """Busy ones, of all machines."""
    machines: int
    engines: int
    """Machines' worth of tasks: how many machines the tasks are spread over at least."""

    @property
    def busiest(self) -> float:
        """Share of a cell's events that its busiest task folds."""
        return max(shares_of(self.weights, self.homes, self.tasks))


def harmonic(people: int, skew: float) -> float:
    """The sum of all weights k ** -skew: of the first ones exactly, of the rest as an integral."""
    first = min(people, REACH)
    total = math.fsum(rank**-skew for rank in range(1, first + 1))
    if people > first:
        low, high = first + 0.5, people + 0.5
        total += math.log(high / low) if skew == 1 else (high ** (1 - skew) - low ** (1 - skew)) / (1 - skew)
    return total


def weights_of(habits: Habits, seed: int) -> tuple[float, ...]:
    """Which share of the events each bucket has: people are in buckets by chance, and differ in how much they do."""
    random = Random(seed)  # noqa: S311 - the same seed gives the same layout
    total = harmonic(habits.people, habits.skew)
    weights = [0.0] * habits.buckets
    heard = 0.0
    for rank in range(1, min(habits.people, REACH) + 1):
        share = rank**-habits.skew / total
        weights[random.randrange(habits.buckets)] += share
        heard += share
    return tuple(weight + (1 - heard) / habits.buckets for weight in weights)


def homes_of(weights: Sequence[float], tasks: int) -> tuple[int, ...]:
    """The task of each bucket: ranges of buckets, as engines share keys out; they do not know which are busy."""
    return tuple(bucket * tasks // len(weights) for bucket in range(len(weights)))


def shares_of(weights: Sequence[float], homes: Sequence[int], tasks: int) -> list[float]:
    """Which share of the events each task has."""
    shares = [0.0] * tasks
    for weight, home in zip(weights, homes, strict=True):
        shares[home] += weight
    return shares


def layout_of(asked: Asked, *, cells: int | None = None, seed: int = 1) -> Layout:
    """
    Work out what a rate needs; `cells`: how many workspaces it is of, the fewest that can be if not said.

    Raises:
        TooMuch: one workspace has more than its single router, keeper or appender takes, or its tasks can share.
    """
    costs, habits = asked.costs, asked.habits
    cells = _cells(asked, cells)
    rate = asked.rate / cells
    weights = weights_of(habits, seed)
    partitioned(asked, rate, weights)
    folding = asked.folding(rate)
    for tasks in range(1, habits.buckets + 1):
        homes = homes_of(weights, tasks)
        shares = shares_of(weights, homes, tasks)
        if max(shares) * rate * folding <= habits.busy:
            break
    else:
        raise TooMuch(
            f"the busiest of {habits.buckets} buckets has {max(weights):.0%} of the events, more than one task folds: "
            "raise the number of buckets or of workspaces, or lower the cost of the engine"
        )
    kafka = asked.rate * 3 * costs.kafka * MICRO
    room = asked.machine.cores * habits.busy
    each = (costs.collector, costs.router, costs.keeper, costs.postgres, costs.redis)
    loads = [*[rate * cost * MICRO for cost in each] * cells, *[share * rate * folding for share in shares] * cells]
    brokers = max(1, math.ceil(kafka / room))
    machines = packed([*loads, *[kafka / brokers] * brokers], room)
    if machines > 1:
        brokers = _brokers(asked, brokers)
        machines = max(packed([*loads, *[kafka / brokers] * brokers], room), brokers, _linked(asked))
    return Layout(
        cells=cells,
        tasks=tasks,
        weights=weights,
        homes=homes,
        brokers=brokers,
        broker_threads=max(brokers, math.ceil(kafka / habits.busy)),
        cores=sum(loads) + kafka,
        machines=machines,
        engines=max(1, math.ceil(cells * rate * folding / room)),
    )


def _cells(asked: Asked, cells: int | None) -> int:
    costs, habits = asked.costs, asked.habits
    single = max(costs.router, costs.keeper, costs.collector, costs.postgres, costs.redis) * MICRO
    most = min(habits.busy / single, most_in_one_order(asked))
    fewest = max(1, math.ceil(asked.rate / most))
    if cells is not None and cells < fewest:
        raise TooMuch(
            f"{asked.rate:,} events a second of {cells} workspaces are {asked.rate / cells * single:.1f} cores of what "
            f"each has one of: spread them over {fewest} workspaces, or lower the cost of its router and keeper"
        )
    return cells or fewest


def _brokers(asked: Asked, brokers: int) -> int:
    """How many there are at least where copies are kept: one for each copy, and as many as their network wants."""
    link = asked.machine.network_mb * MB * asked.habits.busy
    busiest = max(traffic(asked, asked.habits.replication)) * asked.rate
    return max(brokers, asked.habits.replication, math.ceil(busiest / link))


def _linked(asked: Asked) -> int:
    """How many machines it takes to carry all that goes from one to another."""
    sizes, (comes, goes) = asked.sizes, traffic(asked, asked.habits.replication)
    # What goes between brokers is in both.
    between = comes * (1 - 1 / asked.habits.replication)
    whole = sizes.sent + comes + goes - between + sizes.shown + sizes.row
    return math.ceil(whole * asked.rate / (asked.machine.network_mb * MB * asked.habits.busy))


def packed(loads: Sequence[float], room: float) -> int:
    """Machines that processes of these loads take, each put where it first fits, the largest first."""
    left: list[float] = []
    for load in sorted(loads, reverse=True):
        for place, free in enumerate(left):
            if load <= free:
                left[place] = free - load
                break
        else:
            left.append(max(room - load, 0.0))
    return len(left)


def held_by(machines: int, asked: Asked, *, seed: int = 1) -> int:
    """Events a second that so many machines hold, to 1 %; of as many workspaces as that takes."""

    def fits(rate: int) -> bool:
        return layout_of(replace(asked, rate=rate), seed=seed).machines <= machines

    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low

"""How many processes and machines a rate needs, from what an event costs in each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Final

MICRO: Final = 1e-6
MB: Final = 1e6
REACH: Final = 4096
"""Of the most active people each is looked at by himself; the rest spread evenly over the buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Microseconds of one core, an event if nothing else is said. As measured in docs/benchmarks.md."""

    collector: float = 4.0
    kafka: float = 2.0
    """Of each stream that an event goes through: brokers, clients' shares not included."""
    router: float = 10.0
    engine: float = 25.0
    slice: float = 100.0
    """Of each slice of a bucket, whatever it holds."""
    keeper: float = 8.0
    postgres: float = 8.0
    turn: float = 500.0
    """Of each turn of the router and the keeper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes, an event if nothing else is said."""

    sent: int = 400
    logged: int = 100
    """Compressed, as in the streams of events and of what is routed."""
    folded: int = 150
    row: int = 350
    profile: int = 1000
    """Of each profile, packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine; all are alike."""

    cores: int = 16
    network_mb: float = 1250.0
    """MB a second and direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What is set, and what is the case."""

    busy: float = 0.6
    """Of a core, and of a network: what is planned with, so that what fails or lags can be caught up with."""
    people: int = 10_000_000
    skew: float = 1.0
    """The k-th most active person is k to the power of this times as rare as the first."""
    buckets: int = 32
    pace: float = 0.010
    """Seconds between two groups of an appender."""
    ack: float = 0.004
    """Seconds until a group is acknowledged by enough brokers, and until a reader has it."""
    turn: int = 10_000
    """Events after which a turn of the router or the keeper takes no more."""
    replication: int = 3
    checkpoint: float = 10.0
    """Seconds between two checkpoints of the engine."""
    flush_mb: float = 400.0
    """MB a second that a task writes down while it stands still for a checkpoint."""
    upload_mb: float = 100.0
    """MB a second of a task, to where checkpoints are kept and back."""
    barrier: float = 0.020
    """Seconds that a task stands still for a checkpoint at least."""
    notice: float = 10.0
    """Seconds until a machine that is gone is missed."""
    restart: float = 8.0
    """Seconds until its job's tasks run again elsewhere, their state not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be held, and by what."""

    rate: int = 1_000_000
    costs: Costs = field(default_factory=Costs)
    sizes: Sizes = field(default_factory=Sizes)
    machine: Machine = field(default_factory=Machine)
    habits: Habits = field(default_factory=Habits)


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


class TooMuch(ValueError):
    """What is asked for cannot be held; the message says why, and what to change."""


class BadCost(ValueError):
    """A cost that cannot be; the message says which there are."""


def costs_of(told: Sequence[str]) -> Costs:
    """
    Read costs as people write them: `engine=20`.

    >>> costs_of(["engine=20", "router=5.5"]).engine
    20.0

    Raises:
        BadCost: one is no cost, or no number above 0.
    """
    known = [one.name for one in fields(Costs)]
    read: dict[str, float] = {}
    for one in told:
        name, _, text = one.partition("=")
        try:
            cost = float(text)
        except ValueError:
            cost = math.nan
        if name not in known or not 0 < cost < math.inf:
            raise BadCost(f"{one!r} is no cost: write NAME=MICROSECONDS, such as engine=20, of {', '.join(known)}")
        read[name] = cost
    return replace(Costs(), **read)


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
    single = max(costs.router, costs.keeper, costs.collector, costs.postgres) * MICRO
    fewest = max(1, math.ceil(asked.rate * single / habits.busy))
    if cells is not None and cells < fewest:
        raise TooMuch(
            f"{asked.rate:,} events a second of {cells} workspaces are {asked.rate / cells * single:.1f} cores of what "
            f"each has one of: spread them over {fewest} workspaces, or lower the cost of its router and keeper"
        )
    cells = cells or fewest
    rate = asked.rate / cells
    weights = weights_of(habits, seed)
    folding = (costs.engine + costs.slice / max(1.0, rate * habits.pace / habits.buckets)) * MICRO
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
    brokers = max(1, math.ceil(kafka / room))
    alone = [rate * cost * MICRO for cost in (costs.collector, costs.router, costs.keeper, costs.postgres)] * cells
    loads = [*alone, *[share * rate * folding for share in shares] * cells]
    machines = packed([*loads, *[kafka / brokers] * brokers], room)
    if machines > 1:
        # A copy on each of as many machines.
        brokers = max(brokers, habits.replication)
        machines = max(packed([*loads, *[kafka / brokers] * brokers], room), habits.replication)
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

"""What is asked of a layout: what an event costs, how large it is, what machines and people are like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final

MICRO: Final = 1e-6
MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """
    Microseconds of one core, an event if nothing else is said. As measured in docs/benchmarks.md.

    The engine's are of an engine that has its core (`obverse bench engine`); the others of a grown installation at
    8,000 and 10,000 events a second, all of it on two cores, where each takes more than it would alone.
    """

    collector: float = 17.0
    """16 to 18."""
    kafka: float = 8.0
    """Of each stream that an event goes through, of three: 21 to 29. Brokers; clients' shares not included."""
    router: float = 20.0
    """20 and 21, in turns of a thousand events."""
    engine: float = 48.0
    """
    Flink: 49 in slices of 250, of which a slice costs 1; 34 of them are the machines. At a pace it tells more than of a
    backlog; beside all else on two cores it took 92 to 95.
    """
    slice: float = 250.0
    """Of each slice of a bucket, whatever it holds: what Flink cost at 4,000 a second, before turns gathered."""
    keeper: float = 34.0
    """33 and 35."""
    postgres: float = 20.0
    """18 to 23."""
    redis: float = 9.0
    """9 and 10."""
    turn: float = 500.0
    """Of each turn of the router and the keeper; it was not measured by itself, and is in their costs, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes, an event if nothing else is said. What is not said to be measured in docs/benchmarks.md is assumed."""

    sent: int = 400
    logged: int = 100
    """Compressed, as in the streams of events and of what is routed. Those of the benchmarks have 33 and 65."""
    folded: int = 2000
    """Measured: 1,860 to 2,250, not compressed. Half and more are profiles that are shown."""
    moves: int = 4
    """Measured."""
    changes: int = 30
    """Measured: 20 to 33, compressed."""
    decisions: int = 2
    shown: int = 1000
    """Measured: 1,060 and 1,600 are told, and of somebody who is told twice at once Redis gets the last alone."""
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
    gather: float = 0.12
    """Seconds between two turns of the router, in which events gather, from `many` events a second on …"""
    gather_few: float = 0.04
    """… and below."""
    many: int = 3000
    ack: float = 0.004
    """Seconds until a group is acknowledged by enough brokers, and until a reader has it."""
    turn: int = 4000
    """Events after which a turn of the router or the keeper takes no more."""
    replication: int = 3
    partition_mb: float = 10.0
    """MB a second that one partition takes: one appender, one disk and one reader carry it, so this is planned low."""
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

    def gather(self, rate: float) -> float:
        """Seconds between two turns of the router of a workspace with this rate."""
        return self.habits.gather if rate >= self.habits.many else self.habits.gather_few

    def folding(self, rate: float) -> float:
        """Seconds that an event of a workspace with this rate costs the engine, with its share of a slice."""
        slice_events = max(1.0, rate * self.gather(rate) / self.habits.buckets)
        return (self.costs.engine + self.costs.slice / slice_events) * MICRO


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

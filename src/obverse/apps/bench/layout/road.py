"""The road of a layout, simulated: every group, slice, turn and checkpoint of every cell, by a clock of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from obverse.apps.bench.layout.asked import MB, MICRO, Asked
from obverse.apps.bench.layout.partitions import topics_of
from obverse.apps.bench.layout.queues import Clock, Job, Latencies, Station
from obverse.apps.bench.layout.sizing import Layout, harmonic

Arrivals = list[tuple[float, int]]
"""When events were sent, and how many of them: in the middle, as a group's are spread over the time that it took."""

WELL: Final = 1.0
"""Seconds that nothing waits for longer, once what was lost has been caught up with."""


@dataclass(slots=True)
class Checkpoints:
    """What checkpoints took, in seconds."""

    paused: list[float] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)


class Cell:
    """All that one workspace has to itself, from its collector to its database."""

    def __init__(self, world: World, number: int) -> None:
        asked, layout = world.asked, world.layout
        turn = asked.costs.turn * MICRO
        self._world = world
        self._asked = asked
        self._rate = asked.rate / layout.cells
        self._random = Random(f"{world.seed}/{number}")  # noqa: S311 - the same seed gives the same run
        self.collector = Station(world.clock)
        self.router = Station(world.clock)
        self.tasks = [Station(world.clock) for _ in range(layout.tasks)]
        self.keeper = Station(world.clock, turn=turn, most=asked.habits.turn)
        self.postgres = Station(world.clock)
        self._gathered: list[tuple[float, Sequence[int]]] = []
        self._turned_at = -math.inf
        self._since = [0] * layout.tasks
        """Events that each task has folded since the last checkpoint that was done."""
        self._checkpointed_at = 0.0
        """When the latest checkpoint will be done."""
        self._unwritten = 0
        self.visible = 0
        self.down_until = 0.0
        # Cells do not beat in time with each other.
        world.clock.after(self._random.random() * asked.habits.pace, self._group)
        world.clock.after(self._random.random() * asked.habits.checkpoint, self._checkpoint)

    @property
    def stations(self) -> dict[str, list[Station]]:
        """Its stations by what they are."""
        return {
            "collector": [self.collector],
            "router": [self.router],
            "engine": self.tasks,
            "keeper": [self.keeper],
            "postgres": [self.postgres],
        }

    def _group(self) -> None:
        """A collector has put together what came in while it waited."""
        world, asked = self._world, self._asked
        if not world.open:
            return
        world.clock.after(asked.habits.pace, self._group)
        counts = [_poisson(self._random, self._rate * asked.habits.pace * weight) for weight in world.layout.weights]
        events = sum(counts)
        world.sent += events
        world.carry("senders to collectors", events * asked.sizes.sent)
        born = world.clock.now - asked.habits.pace / 2
        self.collector.put(Job(events, events * asked.costs.collector * MICRO, partial(self._append, born, counts)))

    def _append(self, born: float, counts: Sequence[int]) -> None:
        bytes_ = sum(counts) * self._asked.sizes.logged
        self._world.through_kafka("events", sum(counts), bytes_, partial(self._route, born, counts))

    def _route(self, born: float, counts: Sequence[int]) -> None:
        """What comes gathers until it is time for a turn."""
        if not self._gathered:
            clock, wait = self._world.clock, self._asked.gather(self._rate)
            clock.at(max(clock.now, self._turned_at + wait), self._turn)
        self._gathered.append((born, counts))

    def _turn(self) -> None:
        self._turned_at = self._world.clock.now
        gathered, self._gathered = self._gathered, []
        habits, costs = self._asked.habits, self._asked.costs
        at = 0
        while at < len(gathered):
            events, routed = 0, [Arrivals() for _ in range(habits.buckets)]
            while at < len(gathered) and events < habits.turn:
                born, counts = gathered[at]
                events, at = events + sum(counts), at + 1
                for bucket, count in enumerate(counts):
                    if count:
                        routed[bucket].append((born, count))
            seconds = (costs.turn + events * costs.router) * MICRO
            self.router.put(Job(events, seconds, partial(self._send, events, routed)))

    def _send(self, events: int, routed: Sequence[Arrivals]) -> None:
        send = partial(self._slices, routed)
        self._world.through_kafka("routed", events, events * self._asked.sizes.logged, send)

    def _slices(self, routed: Sequence[Arrivals]) -> None:
        costs, layout = self._asked.costs, self._world.layout
        for bucket, arrivals in enumerate(routed):
            if arrivals:
                events, task = sum(count for _, count in arrivals), layout.homes[bucket]
                seconds = (events * costs.engine + costs.slice) * MICRO
                self.tasks[task].put(Job(events, seconds, partial(self._folded, task, events, arrivals)))

    def _folded(self, task: int, events: int, arrivals: Arrivals) -> None:
        self._since[task] += events
        keep = partial(self._keep, events, arrivals)
        self._world.through_kafka("folded", events, events * self._asked.sizes.folded, keep)

    def _keep(self, events: int, arrivals: Arrivals) -> None:
        self.keeper.put(Job(events, events * self._asked.costs.keeper * MICRO, partial(self._show, events, arrivals)))

    def _show(self, events: int, arrivals: Arrivals) -> None:
        """They can be seen; their rows go to the database with the keeper's next checkpoint."""
        world, half = self._world, self._asked.habits.pace / 2
        self.visible += events
        self._unwritten += events
        world.carry("keepers to Redis", events * self._asked.sizes.shown)
        if world.clock.now >= world.from_:
            for born, count in arrivals:
                took = world.clock.now - born
                third = count // 3
                for shift, part in ((half, third), (0.0, count - 2 * third), (-half, third)):
                    world.latencies.add(took + shift, part)

    def _checkpoint(self) -> None:
        """The engine's tasks stand still while they write down what has changed; it is uploaded beside the work."""
        world, asked = self._world, self._asked
        world.clock.after(asked.habits.checkpoint, self._checkpoint)
        written, self._unwritten = self._unwritten, 0
        world.carry("keepers to PostgreSQL", written * asked.sizes.row)
        self.postgres.put(Job(written, written * asked.costs.postgres * MICRO))
        if world.clock.now < max(self.down_until, self._checkpointed_at):
            return  # one at a time
        begun, lasted = world.clock.now, 0.0
        for task, station in enumerate(self.tasks):
            changed = world.touched(self._since[task], task) * asked.sizes.profile
            world.carry("tasks to checkpoints", changed)
            paused = asked.habits.barrier + changed / (asked.habits.flush_mb * MB)
            # The barrier comes behind what waits already.
            lasted = max(lasted, station.waits + paused + changed / (asked.habits.upload_mb * MB))
            station.put(Job(0, paused))
            world.checkpoints.paused.append(paused)
        world.checkpoints.lasted.append(lasted)
        self._checkpointed_at = world.clock.now + lasted
        world.clock.after(lasted, self._checkpointed, begun, list(self._since))

    def _checkpointed(self, begun: float, folded: Sequence[int]) -> None:
        if begun >= self.down_until:  # else the job started again meanwhile, from the checkpoint before
            self._since = [now - then for now, then in zip(self._since, folded, strict=True)]

    def lose(self, seconds: float) -> None:
        """Its tasks are gone for a while, and fold again what was folded since the last checkpoint."""
        self.down_until = self._world.clock.now + seconds
        self._checkpointed_at = 0.0
        for task, station in enumerate(self.tasks):
            station.stop()
            again, self._since[task] = self._since[task], 0
            self._world.again += again
            cost = again * self._asked.folding(self._rate)
            # What comes of it is known by its numbers, and passed over.
            station.put(Job(0, cost), in_front=True)
            self._world.clock.after(seconds, station.start)


class World:
    """All cells, and the brokers that they share."""

    def __init__(
        self, asked: Asked, layout: Layout, *, seed: int, from_: float = 0.0, cells: int | None = None
    ) -> None:
        """`from_`: the second from which on latencies count; `cells`: that only so many of them are looked at."""
        self.asked = asked
        self.layout = layout
        self.seed = seed
        self.from_ = from_
        self.clock = Clock()
        self.latencies = Latencies()
        self.checkpoints = Checkpoints()
        self.open = True
        """Whether anything is sent."""
        self.sent = self.again = 0
        self.outage = 0.0
        self.bytes: Counter[str] = Counter()
        """By hop."""
        self._total = harmonic(asked.habits.people, asked.habits.skew)
        self._known: dict[int, int] = {}
        self._readers: dict[str, int] = {topic.name: topic.readers for topic in topics_of(asked)}
        looked_at = layout.cells if cells is None else min(cells, layout.cells)
        self.brokers = Station(self.clock, max(1, math.ceil(layout.broker_threads * looked_at / layout.cells)))
        self.cells = [Cell(self, number) for number in range(looked_at)]

    def carry(self, hop: str, bytes_: int) -> None:
        """Count what goes over the network."""
        self.bytes[hop] += bytes_

    def through_kafka(self, stream: str, events: int, bytes_: int, then: partial[None]) -> None:
        """Append to a stream, and have its reader get it."""
        habits, copies = self.asked.habits, min(self.asked.habits.replication, self.layout.brokers)
        self.carry(f"{stream} to brokers", bytes_)
        self.carry("between brokers", bytes_ * (copies - 1))
        self.carry(f"{stream} from brokers", bytes_ * self._readers[stream])
        acked = partial(self.clock.after, habits.ack, then)
        self.brokers.put(Job(events, events * self.asked.costs.kafka * MICRO, acked))

    def touched(self, events: int, task: int) -> int:
        """Profiles that so many events of a task touch, as the skew of people has it."""
        share = sum(w for w, home in zip(self.layout.weights, self.layout.homes, strict=True) if home == task)
        whole = round(events / max(share, 1e-9), -4)  # looked up by ten thousands, since it is dear
        if whole not in self._known:
            self._known[int(whole)] = _touched(whole, self.asked.habits.people, self.asked.habits.skew, self._total)
        return round(self._known[int(whole)] * share)

    def stations(self) -> dict[str, list[Station]]:
        """All stations by what they are."""
        found: dict[str, list[Station]] = {"kafka": [self.brokers]}
        for cell in self.cells:
            for name, stations in cell.stations.items():
                found.setdefault(name, []).extend(stations)
        return found

    def lose_machine(self) -> None:
        """Have the machine die that has tasks of these cells: their jobs start again, from their last checkpoint."""
        habits, layout = self.asked.habits, self.layout
        state = self.asked.sizes.profile * habits.people / layout.cells / layout.tasks
        self.outage = habits.notice + habits.restart + state / (habits.upload_mb * MB)
        for cell in self.cells:
            cell.lose(self.outage)


def _touched(events: float, people: int, skew: float, total: float) -> int:
    """How many different people act in so many events: those of whom at least one is expected, rank by rank."""
    seen, low = 0.0, 1.0
    while low <= people:
        high = min(low + max(1.0, low / 16), people + 1.0)
        middle = (low + high - 1) / 2
        seen += (high - low) * -math.expm1(-events * middle**-skew / total)
        low = high
    return round(seen)


def _poisson(random: Random, mean: float) -> int:
    """A count of what happens by chance, `mean` times on average."""
    if mean > 50:  # noqa: PLR2004 - from there on the bell is near enough
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, left = 0, math.exp(-mean)
    product = random.random()
    while product > left:
        count += 1
        product *= random.random()
    return count

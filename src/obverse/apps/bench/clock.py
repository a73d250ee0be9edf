"""`obverse bench clock`: how late people are moved whose window closes by time alone, while events come in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from obverse.adapters.postgres.event_log import PostgresLogSettings, open_event_log
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.doors import OK, Doors
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed, histogram, spread
from obverse.apps.bench.phases import Phase, send_phase
from obverse.apps.bench.trial import trial_of
from obverse.core import codec, times
from obverse.core.changes import ENTERED, LEFT, Change
from obverse.core.profiles.turning import CLOCK
from obverse.core.spans import HOUR, MINUTE, SECOND
from obverse.ports.event_log import EventLog, Stream

WINDOW: Final = "closing_window"
"""The audience of a windowed trait: its people leave when a minute is over, all of them at once."""
EVENTS: Final = "closing_events"
"""The audience of who did something in the last hour: each leaves when it is an hour old."""
PROMISED: Final = 2 * SECOND
_NAMES: Final = {WINDOW: "Shopped", EVENTS: "Browsed"}
_LEAD: Final = 5 * SECOND
"""In which everybody has entered, before the first window closes."""
_PATIENCE: Final = 60.0
"""Seconds after the load within which all must have left."""
_SIZE: Final = 200
"""People in one batch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Whose window closes when; all instants are in microseconds since 1970."""

    begin: int
    """When the load begins."""
    closes: dict[str, list[int]]
    """By audience, one instant for each of its people."""

    @property
    def people(self) -> int:
        """How many there are."""
        return sum(len(instants) for instants in self.closes.values())


def plan_of(people: int, *, now: int, seconds: int, minute: bool) -> Plan:
    """
    Have half of these people leave at a whole minute in the midst of the load, and the others one after another.

    Without `minute` nobody waits for one, and all leave one after another.

    >>> plan = plan_of(4, now=59 * SECOND, seconds=10, minute=True)
    >>> plan.begin // SECOND, plan.closes[WINDOW] == [2 * MINUTE] * 2, [at // SECOND for at in plan.closes[EVENTS]]
    (115, True, [115, 120])
    """
    begin = now + _LEAD
    at_once = people // 2 if minute else 0
    turn = 0
    if minute:
        turn = -(-(begin + SECOND) // MINUTE) * MINUTE
        begin = max(begin, turn - seconds * SECOND // 2)
    one_by_one = people - at_once
    apart = [begin + place * seconds * SECOND // one_by_one for place in range(one_by_one)]
    return Plan(begin, {WINDOW: [turn] * at_once, EVENTS: apart})


def bodies_of(plan: Plan) -> Iterator[bytes]:
    """Batches that have everybody enter: each with an event of an hour before their window closes."""
    events = [
        {
            "type": "track",
            "event": _NAMES[audience],
            "messageId": f"{audience}-{place}",
            "userId": f"{audience}-{place}",
            # Of a windowed trait the minute counts in which something happened, to its end.
            "timestamp": times.to_text(at - HOUR - (SECOND if audience == WINDOW else 0)),
        }
        for audience, instants in plan.closes.items()
        for place, at in enumerate(instants)
    ]
    for first in range(0, len(events), _SIZE):
        yield json.dumps({"batch": events[first : first + _SIZE]}).encode()


@dataclass(slots=True)
class Moves:
    """What the stream of changes told of these people, and when."""

    entered: Counter[str] = field(default_factory=Counter)
    late: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in _NAMES})
    """By audience, seconds from each instant until the change was read."""
    unexpected: int = 0
    """Those who left for another reason, or twice."""
    _left: set[tuple[str, bytes]] = field(default_factory=set)

    def note(self, change: Change, now: int) -> None:
        """Note a change that was read at this instant."""
        if change.name not in _NAMES:
            return
        if change.kind == ENTERED:
            self.entered[change.name] += 1
        elif change.kind == LEFT:
            who = change.name, change.profile
            at = times.parse(change.event.removeprefix(f"{CLOCK}:"))
            if at is None or who in self._left:
                self.unexpected += 1
            else:
                self._left.add(who)
                self.late[change.name].append((now - at) / SECOND)

    @property
    def gone(self) -> int:
        """How many have left."""
        return len(self._left)

    async def follow(self, log: EventLog, mark: int) -> None:
        """Read the stream of changes from there on, until cancelled."""
        reader, decoder = await log.open_reader(Stream.CHANGES, {0: mark}), codec.Decoder(Change)
        try:
            while True:
                batches = await reader.next()
                now = time.time_ns() // 1000
                for batch in batches:
                    for change in decoder.decode(batch.count, batch.body):
                        self.note(change, now)
        finally:
            await reader.close()

    def figures(self) -> dict[str, Any]:
        """As it is told."""
        late = [one for some in self.late.values() for one in some]
        told = {name: spread(some) | {"worst_ms": _ms(max(some))} for name, some in self.late.items() if some}
        return {
            "moved": self.gone,
            "later_than_promised": sum(one > PROMISED / SECOND for one in late),
            **told,
        }

    def flaws(self, plan: Plan) -> list[str]:
        """What is not as it should be, or would make the figures mislead."""
        early = sum(one < 0 for some in self.late.values() for one in some)
        lacking = (
            (plan.people - self.entered.total(), "people were never in the audience"),
            (plan.people - self.gone, "people did not leave it within a minute"),
            (self.unexpected, "left for another reason than time, or twice"),
            (early, "left before their time"),
        )
        return [f"{count} {what}" for count, what in lacking if count]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


async def bench_clock(load: Load, *, minute: bool = True) -> dict[str, Any]:
    """
    Have people enter audiences that they leave by time alone, send the load meanwhile, and tell how late each left.

    Raises:
        BenchFailed: the installation did not start, or not everything was answered.
    """
    phase, moves = Phase(load.rate, load.seconds), Moves()
    async with trial_of(load) as trial:
        log = await open_event_log(PostgresLogSettings(dsn=trial.here.dsn), open_runtime())
        following = asyncio.create_task(moves.follow(log, (await log.bounds(Stream.CHANGES))[0][1]))
        try:
            plan = plan_of(load.closing, now=time.time_ns() // 1000, seconds=load.seconds, minute=minute)
            await _enter(plan, trial.doors)
            await asyncio.sleep(max(0.0, plan.begin / SECOND - time.time()))
            await send_phase(phase, trial.doors, load, b"load-%d" % os.getpid())
            trial.ended = phase.ended
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    while moves.gone < plan.people and not following.done():  # noqa: ASYNC110 - nobody is told of each
                        await asyncio.sleep(0.05)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await log.close()
    accepted = len(phase.accepted) * load.batch + plan.people
    own = {"accepted": accepted, "closing": moves.figures(), **phase.answer_figures(load.batch)}
    flaws = moves.flaws(plan) + phase.failures() + phase.lacks(load.batch) + trial.losses(accepted)
    return {**trial.figures(own), "histogram_ms": histogram(phase.accepted), "flaws": flaws}


async def _enter(plan: Plan, doors: Doors) -> None:
    answers = await asyncio.gather(*(doors.send(body) for body in bodies_of(plan)))
    if any(one != OK for one in answers):
        raise BenchFailed(f"the events of people whose window closes were answered {sorted(set(answers))}")

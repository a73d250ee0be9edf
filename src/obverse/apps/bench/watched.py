"""People who are read all the while a trait is changed: everybody shows the old value until the swap, then the new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from time import perf_counter
from typing import Any, Final

import aiohttp
import asyncpg

from obverse.apps.bench.doors import OK
from obverse.apps.bench.installed import Installed
from obverse.apps.bench.machine import percentile
from obverse.apps.own_secrets import API_KEY, own_secret

MOST: Final = 20
"""People who are read, one after the other, again and again."""
RATE: Final = 10
"""Reads a second."""
_EVENTS: Final = """
select user_id, event_type = 'Order Completed' as ordered,
    coalesce((properties ->> 'revenue')::numeric >= 50, false) as dear
from public.person_events where user_id = any($1) order by user_id, log_partition, log_offset
"""


def sample(people: int) -> list[str]:
    """Some of so many people, each as far from the next: those who act at one moment stand side by side."""
    return [f"person-{one}" for one in range(0, people, -(-people // MOST))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One profile as the API showed it, and between which moments (`perf_counter`)."""

    person: str
    due: float
    sent: float
    answered: float
    status: int
    events: int = 0
    """How many events the profile had seen."""
    value: int = 0
    """The trait's; 0 if it has none."""


@dataclass(slots=True)
class Watched:
    """A fixed sample of people, read at a constant rate whatever the answers do."""

    people: Sequence[str]
    readings: list[Reading] = field(default_factory=list)
    _sent: int = 0
    _over: bool = False

    @asynccontextmanager
    async def all_the_while(self, here: Installed) -> AsyncIterator[None]:
        """Have them be read while the block runs, everybody once at least before it and once after it."""
        reading = asyncio.create_task(self._read(here))
        try:
            await self._everybody()
            yield
            await self._everybody()
        finally:
            self._over = True
            await reading

    async def _read(self, here: Installed) -> None:
        """Read them in turn, until it is over and all are answered."""
        headers = {"Authorization": f"Bearer {own_secret(here.data, API_KEY)}"}
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(here.api, headers=headers, timeout=timeout) as http, asyncio.TaskGroup() as on:
            began = perf_counter()
            while not self._over:
                due = began + self._sent / RATE
                await asyncio.sleep(max(0.0, due - perf_counter()))
                on.create_task(self._one(http, self.people[self._sent % len(self.people)], due))
                self._sent += 1

    async def _one(self, http: aiohttp.ClientSession, person: str, due: float) -> None:
        sent = perf_counter()
        try:
            async with http.get(f"/v1/profiles/user_id:{person}") as answer:
                body, status = await answer.json(), answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            body, status = {}, 0
        seen = {"events": body["events"], "value": body["traits"].get("orders") or 0} if status == OK else {}
        self.readings.append(Reading(person=person, due=due, sent=sent, answered=perf_counter(), status=status, **seen))

    async def _everybody(self) -> None:
        """Wait until everybody has been read once more, from now on."""
        wanted = self._sent + len(self.people)
        while len(self.readings) < wanted:  # noqa: ASYNC110 - an event would cost each answer a look
            await asyncio.sleep(0.5 / RATE)


async def histories(here: Installed, people: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """
    Return by person what the trait must have been after each of their events, by the old definition and by the new one.

    A person's events are of one partition of the log, and are folded in its order.
    """
    connection = await asyncpg.connect(here.dsn)
    try:
        rows = await connection.fetch(_EVENTS, list(people))
    finally:
        await connection.close()
    return {
        one: values_of((row["ordered"], row["ordered"] and row["dear"]) for row in rows if row["user_id"] == one)
        for one in people
    }


def values_of(events: Iterable[tuple[bool, bool]]) -> list[tuple[int, int]]:
    """
    Count what the old and what the new definition counts, before the first event and after each.

    >>> values_of([(False, False), (True, False), (True, True)])
    [(0, 0), (0, 0), (1, 0), (2, 1)]
    """
    return list(accumulate(events, lambda had, one: (had[0] + one[0], had[1] + one[1]), initial=(0, 0)))


@dataclass(slots=True)
class Judged:
    """The readings, held against what must have been read."""

    changed: float
    """When the definition was changed."""
    readings: Sequence[Reading]
    old: list[Reading] = field(default_factory=list)
    """Those that show the old value, where the new one is another."""
    new: list[Reading] = field(default_factory=list)
    wrong: list[Reading] = field(default_factory=list)
    """Those that show neither."""

    @property
    def swapped(self) -> float | None:
        """When the first one that showed the new value was answered: nobody who asks after that may see the old one."""
        return min((one.answered for one in self.new), default=None)

    @property
    def behind(self) -> list[Reading]:
        """Those that show the old value, though somebody had shown the new one before they were asked for."""
        return [one for one in self.old if self.swapped is not None and one.sent > self.swapped]

    def figures(self) -> dict[str, Any]:
        """As it is told."""
        took = [one.answered - one.due for one in self.readings]
        both = {one.person for one in self.old} & {one.person for one in self.new}
        return {
            "reads": len(self.readings),
            "reads_old": len(self.old),
            "reads_new": len(self.new),
            "reads_wrong": len(self.wrong),
            "reads_old_after_new": len(self.behind),
            "people_read": len({one.person for one in self.readings}),
            "people_seen_to_swap": len(both),
            "old_until_s": round(max((one.answered for one in self.old), default=self.changed) - self.changed, 2),
            "new_from_s": None if self.swapped is None else round(self.swapped - self.changed, 2),
            "read_p50_ms": round(percentile(took, 0.5) * 1000, 2),
            "read_p99_ms": round(percentile(took, 0.99) * 1000, 2),
        }

    def flaws(self) -> list[str]:
        """What is not as it is promised, and what would make the figures mislead."""
        failed = sum(one.status != OK for one in self.readings)
        counted = (
            (failed, "reads were not answered 200"),
            (len(self.wrong), "reads show neither the old nor the new value"),
            (len(self.behind), "reads show the old value after somebody had the new one"),
        )
        never = ((self.old, "nobody was seen with the old value"), (self.new, "nobody was seen with the new value"))
        return [*(f"{count} {what}" for count, what in counted if count), *(what for seen, what in never if not seen)]


def judge(readings: Sequence[Reading], values: Mapping[str, Sequence[tuple[int, int]]], changed: float) -> Judged:
    """Hold each reading against what the trait was after so many events, by the old definition and by the new one."""
    judged = Judged(changed, readings)
    for one in readings:
        if one.status != OK:
            continue
        known = values[one.person]
        old, new = known[one.events] if one.events < len(known) else (None, None)
        if one.value not in (old, new):
            judged.wrong.append(one)
        elif old != new:
            (judged.old if one.value == old else judged.new).append(one)
    return judged

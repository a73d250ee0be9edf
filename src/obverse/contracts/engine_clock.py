"""What every engine must prove of time: what a plain reduce makes of it, at its instant, and no sooner than the log."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any, Final

from obverse.contracts.engine_groups import GroupPromises
from obverse.contracts.engine_steps import PATIENCE, Placed, append, kept, load, read, reduced
from obverse.contracts.stories import START
from obverse.core import conditions, profiles, spans
from obverse.core.audiences import Audience
from obverse.core.changes import ENTERED, LEFT, TRAIT, Change
from obverse.core.definitions import Trait, define
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.traits.calendars import Calendar, zone_of
from obverse.core.traits.collections import UniqueList
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.numbers import Count, Sum
from obverse.core.traits.windows import Periodic, Sliding, Windowed
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream


def _trait(name: str, kind: TraitKind | Windowed, prop: str | None = None) -> Trait:
    return Trait(name=name, kind=kind, key=f"w:{name}:1", type="track", event="Bought", property=prop, field=None)


_UTC: Final = zone_of("UTC")
assert _UTC is not None
WINDOWED: Final = define(
    traits=[
        _trait("bought", Count()),
        _trait("bought_1h", Sliding(Count(), spans.HOUR)),
        _trait("spent_1d", Sliding(Sum(), spans.DAY), "price"),
        _trait("skus_today", Periodic(UniqueList(), Calendar("day", _UTC)), "sku"),
    ],
    audiences=[Audience("active", conditions.parse({"op": "gte", "trait": "bought_1h", "value": 1}))],
    identity=IdentityRules(limits={}),
)
"""Windows that slide and one of the calendar, and an audience of those of whom one is not empty."""

GONE: Final = START + spans.MINUTE + spans.HOUR
"""When what was bought in the first minute leaves the window of an hour."""


def bought(number: int, at: int, *, arrived: int | None = None, **ids: Any) -> Event:
    """Return a purchase at this time; it arrived at once if nothing else is said."""
    return Event(
        type="track",
        name="Bought",
        message_id=f"bought-{number}",
        source="web",
        received_at=at if arrived is None else arrived,
        timestamp=at,
        properties=b'{"price": %d.50, "sku": "sku-%d"}' % (number % 7, number % 3),
        **(ids or {"user_id": "ada"}),
    )


def at_instant(placed: list[Placed], now: int) -> dict[frozenset[str], dict[str, Any]]:
    """The states of a plain reduce after which time went on to this instant, by the identifiers of their person."""
    people = reduced(placed, WINDOWED).profiles.values()
    for profile in people:
        profiles.advance(profile, now, WINDOWED)
    return {frozenset(one.identifiers): profiles.state_of(one, WINDOWED) for one in people}


class ClockPromises(GroupPromises):
    """Time alone moves traits, audiences and changes: at its instant, once, and never ahead of the log."""

    @abstractmethod
    def set_clock(self, parts: EngineParts, now: int) -> None:
        """Have the runtime of these parts say that it is this time, and go on from there."""

    async def windowed(self, partitions: int = 1, *, now: int = START) -> EngineParts:
        """Parts whose traits have windows, and whose clock begins at this time."""
        parts = replace(await self.open_parts(partitions), definitions=lambda: WINDOWED)
        self.set_clock(parts, now)
        return parts

    async def left(self, parts: EngineParts) -> list[Change]:
        """Return each time that somebody left the audience, once: what is told again has the same id."""
        changes = await read(parts, Stream.CHANGES, Change)
        return sorted({one for one in changes if one.kind == LEFT}, key=lambda one: (one.profile, one.number))

    @asynccontextmanager
    async def told(self, parts: EngineParts, count: int) -> AsyncIterator[None]:
        """Run an engine during the block and until so many have left."""
        async with self.running(parts):
            yield
            async with asyncio.timeout(PATIENCE):
                while len(await self.left(parts)) < count:
                    await parts.runtime.sleep(0.02)

    async def as_reduced(self, parts: EngineParts, placed: list[Placed], now: int) -> None:
        """
        Wait until the store keeps what a plain reduce gives, after which time went on to this instant.

        Or to a minute since, for the clock goes on while an engine takes its time.
        """
        wanted = list[dict[frozenset[str], dict[str, Any]]]()
        async with asyncio.timeout(PATIENCE):
            while True:
                since = min(60, max(0, parts.runtime.now() - now) // spans.MINUTE)
                wanted += [at_instant(placed, now + one * spans.MINUTE) for one in range(len(wanted), since + 1)]
                if await kept(parts, placed) in wanted:
                    return
                await parts.runtime.sleep(0.02)

    async def test_what_time_alone_changes_is_told_seen_and_kept(self) -> None:
        parts = await self.windowed()
        placed = await append(parts, [bought(1, START)], batch=1)
        async with self.told(parts, 1):
            await self.as_reduced(parts, placed, START)
            self.set_clock(parts, GONE)
            await self.as_reduced(parts, placed, GONE)
            seen = await parts.cache.get("user_id:ada")
        (ada,) = await load(parts, placed)
        assert seen is None or profiles.unpack(seen, WINDOWED) == ada, "the cache is as new as the store"
        moved = [one for one in await read(parts, Stream.CHANGES, Change) if one.event.startswith("clock:")]

        assert [(one.kind, one.name, one.number) for one in moved] == [(TRAIT, "bought_1h", 0), (LEFT, "active", 1)]
        assert {(one.profile, one.event) for one in moved} == {(ada.id, "clock:2025-01-01T01:01:00Z")}
        assert not ada.audiences["active"].member
        assert ada.audiences["active"].since == GONE

    async def test_nothing_changes_before_its_instant(self) -> None:
        parts = await self.windowed()
        placed = await append(parts, [bought(1, START), bought(2, START + 2 * spans.MINUTE, user_id="bob")], batch=2)
        async with self.told(parts, 1):
            await self.as_reduced(parts, placed, START)
            # Bob's is two minutes later; when Ada's is told he was looked at, too.
            self.set_clock(parts, GONE + spans.MINUTE)
        assert [one.number for one in await self.left(parts)] == [1]
        async with self.running(parts):
            await self.as_reduced(parts, placed, GONE)

    async def test_a_window_closes_after_a_restart_and_once(self) -> None:
        """Also for a profile that nobody has brought into memory since."""
        parts = await self.windowed()
        placed = await append(parts, [bought(1, START)], batch=1)
        await self.fold(parts)
        self.set_clock(parts, GONE)
        for _ in range(2):
            async with self.told(parts, 1):
                await self.as_reduced(parts, placed, GONE)
        # What comes back enters anew, and leaves a second time.
        placed += await append(parts, [bought(2, GONE + spans.HOUR)], batch=1)
        self.set_clock(parts, GONE + 2 * spans.HOUR + spans.MINUTE)
        async with self.told(parts, 2):
            pass
        assert [one.number for one in await self.left(parts)] == [1, 2]
        entered = [one for one in await read(parts, Stream.CHANGES, Change) if one.kind == ENTERED]
        assert {one.number for one in entered} == {1, 2}

    async def test_it_is_a_plain_reduce_at_any_instant(self) -> None:
        dice = Random(51)  # noqa: S311 - a story
        people: list[dict[str, str]] = [{"user_id": f"u{number}"} for number in range(6)]
        people += [{"anonymous_id": f"a{number}"} for number in range(3)]
        story = []
        for number in range(80):
            arrived = START + number * 20 * spans.MINUTE
            late = dice.choice([0, 0, 0, 1, 50, 120, 1800]) * spans.MINUTE
            ids = dice.choice(people) if number % 20 else {"user_id": "u1", "anonymous_id": f"a{number // 20 % 3}"}
            story.append(bought(number, arrived - late, arrived=arrived, **ids))
        parts = await self.windowed(2)
        placed: list[Placed] = []
        for at in range(0, len(story), 8):
            some = story[at : at + 8]
            placed += await append(parts, some, batch=3)
            # Something can change at full minutes alone.
            now = some[-1].received_at + dice.randrange(20) * spans.MINUTE
            self.set_clock(parts, now + spans.SECOND)
            async with self.running(parts):
                await self.as_reduced(parts, placed, now)

    async def test_nobody_leaves_and_comes_back_for_a_backlog(self) -> None:
        """The log holds what keeps them in; the clock is far ahead of what is folded of it."""
        parts = await self.windowed(2)
        placed = await append(parts, [bought(1, START), bought(2, START, user_id="bob")], batch=1)
        await self.fold(parts)
        # Each in a partition of their own: between partitions the log has no order.
        later = [
            bought(10 + number, START + number * 20 * spans.MINUTE, user_id=("ada", "bob")[number % 2])
            for number in range(40)
        ]
        self.set_clock(parts, later[-1].received_at + spans.MINUTE)
        placed += await append(parts, later, batch=1)
        async with self.running(parts) as engine:
            await asyncio.wait_for(engine.drain(), PATIENCE)
            # That of time alone may be kept a moment later.
            await self.as_reduced(parts, placed, later[-1].received_at)

        told = Counter((one.profile, one.kind) for one in {*await read(parts, Stream.CHANGES, Change)})
        assert {count for (_, kind), count in told.items() if kind == ENTERED} == {1}
        assert await self.left(parts) == []

    async def test_killed_anywhere_while_time_goes_on_it_ends_the_same(self) -> None:
        # One partition: after a crash several may be read in another order, and who entered when hangs on that.
        parts = await self.windowed()
        dice, placed, now = Random(52), list[Placed](), START  # noqa: S311 - a story
        for turn in range(12):
            story = [
                bought(100 * turn + number, now + number * spans.MINUTE, user_id=f"u{dice.randrange(8)}")
                for number in range(20)
            ]
            placed += await append(parts, story, batch=dice.randint(1, 8))
            now = story[-1].received_at + dice.randrange(1, 100) * spans.MINUTE
            self.set_clock(parts, now + spans.SECOND)
            engine = await self.open_engine(parts)
            work = parts.runtime.spawn("engine", engine.run())
            await parts.runtime.sleep(dice.choice([0, 0.01, 0.1, 0.4, 0.8]))
            await work.stop()
            now += spans.MINUTE
        self.set_clock(parts, now + 30 * spans.HOUR + spans.SECOND)
        async with self.running(parts):
            await self.as_reduced(parts, placed, now + 30 * spans.HOUR)
        told = await read(parts, Stream.CHANGES, Change)
        moves = {one for one in told if one.kind in {ENTERED, LEFT}}
        assert len(moves) == len({(one.profile, one.kind, one.number) for one in moves}), "told twice, by two ids"
        assert Counter(one.kind for one in moves)[LEFT] == Counter(one.kind for one in moves)[ENTERED]

    async def test_what_comes_late_counts_if_it_is_in_the_window_still(self) -> None:
        parts = await self.windowed()
        placed = await append(parts, [bought(1, START)], batch=1)
        self.set_clock(parts, GONE)
        async with self.told(parts, 1):
            await self.as_reduced(parts, placed, GONE)
            half = START + 30 * spans.MINUTE
            placed += await append(parts, [bought(2, half, arrived=GONE), bought(3, START, arrived=GONE)], batch=1)
            await self.as_reduced(parts, placed, GONE)
        (ada,) = await load(parts, placed)
        values = profiles.computed_traits(ada, WINDOWED)
        assert (values["bought"], values["bought_1h"], ada.audiences["active"].member) == (3, 1, True)
        assert ada.due == half + spans.MINUTE + spans.HOUR

    async def test_a_clock_that_is_set_forward_and_back_tells_nothing_twice(self) -> None:
        parts = await self.windowed()
        placed = await append(parts, [bought(1, START), bought(2, START + spans.HOUR, user_id="bob")], batch=2)
        async with self.told(parts, 3):
            await self.as_reduced(parts, placed, START)
            self.set_clock(parts, GONE)
            await self.as_reduced(parts, placed, GONE)
            self.set_clock(parts, START + 10 * spans.MINUTE)
            placed += await append(parts, [bought(3, START + 9 * spans.MINUTE, user_id="cy")], batch=1)
            # For Ada it is what it was, since time does not go back for anybody.
            await self.as_reduced(parts, placed, GONE)
            self.set_clock(parts, GONE + 9 * spans.MINUTE)
            await self.as_reduced(parts, placed, GONE + 9 * spans.MINUTE)
            self.set_clock(parts, GONE + spans.HOUR)
            await self.as_reduced(parts, placed, GONE + spans.HOUR)
        told = [one for one in await read(parts, Stream.CHANGES, Change) if one.kind == LEFT]
        assert [one.number for one in told] == [1, 1, 1]

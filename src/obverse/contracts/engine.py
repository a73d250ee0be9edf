"""What every engine must prove: the profiles of a plain `functools.reduce`, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from msgspec import structs

from obverse.contracts.engine_backfill import BackfillPromises
from obverse.contracts.engine_changes import ChangePromises
from obverse.contracts.engine_decisions import DecisionPromises
from obverse.contracts.engine_foreign import ForeignPromises
from obverse.contracts.engine_refolding import RefoldPromises
from obverse.contracts.engine_requests import RequestPromises
from obverse.contracts.engine_steps import PATIENCE, append, expected, kept, load, read, reduced, until
from obverse.contracts.stories import DEFINITIONS, START, tell
from obverse.core import profiles
from obverse.core.definitions import Source, define
from obverse.core.events import Event
from obverse.core.identity import Decision, SetAside
from obverse.core.people import People
from obverse.core.tracking_plans import TrackingPlan, planned_call
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Appender, EventLog, Reader, Records, Stream
from obverse.ports.runtime import Runtime


def shown_on(device: str, users: Iterable[int], *, name: str) -> list[Event]:
    """Return a page by each of these users in turn, all on one device."""
    return [
        Event(
            type="page",
            message_id=f"{name}-{place}",
            source="web",
            received_at=START + place,
            timestamp=START + place,
            user_id=f"user-{user}",
            anonymous_id=device,
        )
        for place, user in enumerate(users)
    ]


class EngineContract(
    RefoldPromises, BackfillPromises, RequestPromises, DecisionPromises, ForeignPromises, ChangePromises
):
    """Subclass, answer the questions of `EngineQuestions` and of `BackfillPromises`, and every promise is tested."""

    async def test_it_gives_the_profiles_of_reduce(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=1, people=30, events=600), batch=37)

        await self.fold(parts)

        assert await kept(parts, placed) == expected(placed)

    async def test_ids_edges_and_versions_are_those_of_reduce_too(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=2, people=10, events=200), batch=11)

        await self.fold(parts)

        mine = {one.id: (one.edges, one.version, one.audiences) for one in await load(parts, placed)}
        assert mine == {one.id: (one.edges, one.version, one.audiences) for one in reduced(placed).profiles.values()}

    async def test_batches_split_otherwise_give_the_same(self) -> None:
        story = tell(seed=3, people=20, events=300)
        outcomes = []
        for batch in (1, 7, 300):
            parts = await self.open_parts(1)
            placed = await append(parts, story, batch=batch)
            await self.fold(parts)
            outcomes.append(await kept(parts, placed))

        assert outcomes[0] == outcomes[1] == outcomes[2]

    async def test_partitions_interleaved_otherwise_give_the_same(self) -> None:
        story = tell(seed=4, people=20, events=400)
        one, four = await self.open_parts(1), await self.open_parts(4)
        placed_in_one = await append(one, story, batch=20)
        placed_in_four = await append(four, Random(4).sample(story, len(story)), batch=20)  # noqa: S311 - a shuffle

        await self.fold(one)
        await self.fold(four)

        assert await kept(four, placed_in_four) == await kept(one, placed_in_one)

    async def test_what_comes_twice_counts_once_also_by_another_collector(self) -> None:
        story = tell(seed=5, people=10, events=150)
        parts = await self.open_parts(2)
        # Of five batches: what comes again is in the other partition.
        placed = await append(parts, [*story, *story], batch=30)

        await self.fold(parts)

        assert await kept(parts, placed) == expected(placed[: len(story)])
        assert (await parts.store.overview()).events == len(story)

    async def test_a_tracking_plan_holds(self) -> None:
        """What it blocks is kept as rejected events, once; what it omits is in nobody's profile."""
        story = tell(seed=7, people=10, events=150)
        sample = next(event for event in story if event.type == "track")
        plan = TrackingPlan("shop", (1, 0), {("track", "Other"): planned_call("track", "Other", {})})
        sources = [Source(sample.source, tracking_plan=("shop", None, "block"))]
        definitions = define(
            traits=DEFINITIONS.traits, audiences=DEFINITIONS.audiences, sources=sources, tracking_plans=[plan]
        )
        parts = replace(await self.open_parts(1), definitions=lambda: definitions)
        placed = await append(parts, story, batch=20)
        for _ in range(2):
            await self.fold(parts)

        people = People("main", definitions)
        admitted = [one for one in placed if isinstance(people.admit(one[2]), Event)]
        blocked = {event.message_id for _, _, event in placed} - {event.message_id for _, _, event in admitted}
        assert blocked
        assert await kept(parts, placed) == expected(admitted, definitions)
        rejected = await parts.store.rejected(limit=1000)
        assert sorted(one.event.message_id or "" for one in rejected) == sorted(blocked)
        assert {(one.event.code, one.event.field) for one in rejected} == {("violates_tracking_plan", "$.event")}

    async def test_killed_anywhere_it_ends_the_same(self) -> None:
        parts = await self.open_parts(2)
        stories = (tell(seed=60 + part, people=15, events=120) for part in range(5))
        placed = await self.fold_killed(parts, stories, seed=6)

        assert await kept(parts, placed) == expected(placed)
        assert (await parts.store.overview()).events == len({event.message_id for _, _, event in placed})

    async def test_what_was_folded_is_visible_through_the_cache(self) -> None:
        parts = await self.open_parts(1)
        async with self.running(parts) as engine:
            placed = await append(parts, tell(seed=7, people=5, events=50), batch=10)
            await until(parts, lambda: engine.progress.folded.get(0) == len(placed))
            shown = People("main", DEFINITIONS).shown(placed[-1][2])
            packed = await parts.cache.get(shown[0])

        assert packed is not None
        visible = profiles.unpack(packed, DEFINITIONS)
        assert profiles.state_of(visible, DEFINITIONS) in list(expected(placed).values())

    async def test_decisions_are_in_the_log_and_never_taken_anew(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=8, people=12, events=150), batch=10)
        await self.fold(parts)
        first = await read(parts, Stream.DECISIONS, Decision)

        await self.fold(parts)

        assert await read(parts, Stream.DECISIONS, Decision) == first
        assert {one.event for one in first} <= {event.message_id for _, _, event in placed}
        assert {"create", "link", "merge"} == {one.kind for one in first}

    async def test_who_shares_a_device_stays_apart_and_that_is_decided_once(self) -> None:
        parts = await self.open_parts(1)
        shared = shown_on("tablet", [one % 3 for one in range(12)], name="shared")
        placed = await append(parts, shared[:6], batch=2)
        await self.fold(parts)
        placed += [(0, len(placed) + place, one) for place, one in enumerate(shared[6:])]
        await append(parts, shared[6:], batch=2)
        await self.fold(parts)

        assert await kept(parts, placed) == expected(placed)
        decided = [(one.kind, one.event) for one in await read(parts, Stream.DECISIONS, Decision)]
        assert decided == [("create", f"shared-{place}") for place in range(3)]
        people = {one.id: one for one in await load(parts, placed)}
        assert sorted(sorted(one.identifiers) for one in people.values()) == [
            ["anonymous_id:tablet", "user_id:user-0"],
            ["user_id:user-1"],
            ["user_id:user-2"],
        ]

    async def test_what_too_many_share_is_set_aside_for_good(self) -> None:
        parts = await self.open_parts(1)
        told = shown_on("kiosk", range(24), name="kiosk")
        placed = await append(parts, told[:15], batch=4)
        await self.fold(parts)
        placed += [(0, len(placed) + place, one) for place, one in enumerate(told[15:])]
        await append(parts, told[15:], batch=4)
        await self.fold(parts)

        (aside,) = await parts.store.set_aside()
        assert aside == SetAside("anonymous_id:kiosk", 11, "kiosk-10", START + 10)
        assert await parts.store.load(["anonymous_id:kiosk"]) == []
        decided = [one.set_aside for one in await read(parts, Stream.DECISIONS, Decision)]
        assert [one for one in decided if one] == [(aside,)]
        people = {one.id: one for one in await load(parts, placed)}
        assert sorted(sorted(one.identifiers) for one in people.values()) == sorted(
            [f"user_id:user-{number}"] for number in range(24)
        )
        assert await kept(parts, placed) == expected(placed)

    async def test_no_change_is_in_the_log_before_the_decision_that_it_follows_from(self) -> None:
        parts = await self.open_parts(1)
        await append(parts, tell(seed=11, people=5, events=60), batch=10)
        log = _Slow(parts.log, parts.runtime, Stream.DECISIONS)

        await self.fold(replace(parts, log=log))

        assert log.appended.index(Stream.DECISIONS) < log.appended.index(Stream.CHANGES)

    async def test_nobody_sees_a_link_before_its_decision_is_in_the_log(self) -> None:
        parts = await self.open_parts(1)
        log = _Slow(parts.log, parts.runtime, Stream.DECISIONS)
        async with self.running(replace(parts, log=log)) as engine:
            await append(parts, [_VISIT], batch=1)
            await until(parts, lambda: engine.progress.folded.get(0) == 1)
            seen = list[tuple[bool, bool]]()
            await append(parts, [_SIGN_UP], batch=1)
            async with asyncio.timeout(PATIENCE):
                while (True, True) not in seen:
                    linked = await _shows_sign_up(parts)
                    seen.append((linked, log.appended.count(Stream.DECISIONS) > 1))
                    await parts.runtime.sleep(0.001)

        assert (True, False) not in seen

    async def test_an_event_that_identifies_nobody_is_kept_as_rejected(self) -> None:
        parts = await self.open_parts(1)
        nobody = Event(type="track", message_id="m", source="web", received_at=1, timestamp=1, user_id="null", name="A")
        await append(parts, [nobody], batch=1)

        await self.fold(parts)

        (rejected,) = await parts.store.rejected(limit=10)
        assert (rejected.event.code, rejected.event.message_id) == ("no_usable_identifier", "m")

    async def test_records_that_cannot_be_read_are_set_aside(self) -> None:
        parts = await self.open_parts(1)
        appender = await parts.log.open_appender(Stream.EVENTS)
        await appender.append(0, Records(3, b"\xc1\xc1\xc1"))
        await appender.close()
        told = tell(seed=10, people=3, events=25)
        placed = await append(parts, told[:20], batch=5)

        async with self.running(parts) as engine:
            await asyncio.wait_for(engine.drain(), PATIENCE)
            damaged = engine.progress.damaged
        # Once, though the engine starts again.
        placed += await append(parts, told[20:], batch=5)
        await self.fold(parts)

        assert damaged == 3
        (one,) = await parts.store.rejected(limit=10)
        assert (one.event.code, one.event.source, one.event.body) == ("damaged_record", "log", b"\xc1\xc1\xc1")
        assert one.event.reason.startswith("events partition 0, offsets 0 to 2: 3 records in 3 bytes cannot be read")
        assert await kept(parts, placed) == expected(placed)


_VISIT: Final = Event(
    type="track", message_id="visit", source="web", received_at=1, timestamp=1, anonymous_id="visitor", name="A"
)
_SIGN_UP: Final = structs.replace(_VISIT, type="identify", message_id="sign-up", user_id="customer", name="")


async def _shows_sign_up(parts: EngineParts) -> bool:
    """Whether readers of the cache see the visitor as a customer."""
    packed = await parts.cache.get("anonymous_id:visitor")
    return packed is not None and "user_id:customer" in profiles.unpack(packed, DEFINITIONS).identifiers


class _Slow:
    """A log that takes its time over one stream, and remembers in what order appends were done."""

    def __init__(self, log: EventLog, runtime: Runtime, stream: Stream) -> None:
        self.appended: list[Stream] = []
        self._log = log
        self._runtime = runtime
        self._stream = stream

    @property
    def partitions(self) -> int:
        return self._log.partitions

    async def open_appender(
        self, stream: Stream, partitions: Sequence[int] | None = None, *, most: int | None = None
    ) -> Appender:
        return _SlowAppender(self, stream, await self._log.open_appender(stream, partitions, most=most))

    async def appending(self, stream: Stream) -> None:
        if stream is self._stream:
            await self._runtime.sleep(0.05)

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        return await self._log.open_reader(stream, marks)

    async def bounds(self, stream: Stream) -> Mapping[int, tuple[int, int]]:
        return await self._log.bounds(stream)

    async def begin(self, stream: Stream, offsets: Mapping[int, int]) -> None:
        await self._log.begin(stream, offsets)

    async def trim(self, stream: Stream, before: int) -> None:
        await self._log.trim(stream, before)

    async def close(self) -> None:
        await self._log.close()


class _SlowAppender:
    def __init__(self, log: _Slow, stream: Stream, appender: Appender) -> None:
        self._log = log
        self._stream = stream
        self._appender = appender

    @property
    def partitions(self) -> Sequence[int]:
        return self._appender.partitions

    async def append(self, partition: int, records: Records) -> int:
        await self._log.appending(self._stream)
        first = await self._appender.append(partition, records)
        self._log.appended.append(self._stream)
        return first

    async def close(self) -> None:
        await self._appender.close()

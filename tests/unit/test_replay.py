"""Replay: what was rejected is read with today's rules, as of when it came first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from collect_steps import Installation, collecting, source
from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.memory.profile_store import MemoryProfileStore, MemoryStoreSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import wire
from obverse.core.definitions import define
from obverse.core.events import Event, RejectedEvent, damaged_record, foreign_record
from obverse.core.tracking_plans import TrackingPlan, planned_call
from obverse.flows.replay import AT_ONCE, Replay
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import Checkpoint, KeptRejected, RejectedFilter, ReplayState
from wire_steps import GOOD

THEN = 1_767_225_600_000_000
"""When all of it came first."""


class Rejected:
    """Rejected events in a store, and the flow that sends them again."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self.store = MemoryProfileStore(MemoryStoreSettings(), here.runtime)
        self.replay = Replay(here.collect, self.store, here.runtime)

    async def keep(self, *bodies: Any, ask: bool = True, correction: bytes | None = None) -> None:
        writer = await self.store.open_writer("test")
        rejected = [
            RejectedEvent(
                source="web",
                received_at=THEN,
                code="missing_id",
                reason="was wrong",
                field="$.userId",
                body=body if isinstance(body, bytes) else json.dumps(body).encode(),
            )
            for body in bodies
        ]
        await writer.commit(Checkpoint(marks={Stream.REJECTED: {0: 1}}, rejected=rejected))
        await writer.close()
        if ask:
            await self.store.ask_replay(RejectedFilter(), correction=correction)

    async def all(self) -> list[KeptRejected]:
        return [*await self.store.rejected(limit=1000)][::-1]


def replaying(test: Callable[[Installation, Rejected], Awaitable[None]], **options: Any) -> None:
    async def run(here: Installation) -> None:
        await test(here, Rejected(here))

    collecting(run, **options)


def test_what_is_good_now_is_in_the_log_as_of_its_first_arrival() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        sent = {**GOOD, "timestamp": "2025-12-31T23:00:00Z", "sentAt": "2025-12-31T23:30:00Z", "odd": 1}
        await rejected.keep(sent)
        assert await rejected.replay.turn() == 1
        (event,) = await here.events()
        assert (event.message_id, event.source, event.received_at) == ("m1", "web", THEN)
        assert event.timestamp == THEN - 1_800_000_000
        assert json.loads(event.extra) == {"odd": 1}
        (kept,) = await rejected.all()
        assert (kept.state, kept.settled_at) == (ReplayState.REPLAYED, here.runtime.now())
        assert await rejected.replay.turn() == 0

    replaying(test)


def test_an_event_of_ours_comes_back_the_same() -> None:
    """One that was read, and rejected for what it is."""

    async def test(here: Installation, rejected: Rejected) -> None:
        sent = {**GOOD, "timestamp": "2025-12-31T23:00:00Z", "sentAt": "2025-12-31T23:30:00Z", "context": {"a": 1}}
        reading = here.collect.read("web", json.dumps(sent).encode(), received_at=THEN, name="x")
        assert isinstance(reading, wire.Reading)
        (event,) = reading.events
        await rejected.keep(wire.rejected(event, "bot", "$", "a crawler").body)
        await rejected.replay.turn()
        assert await here.events() == [event]

    replaying(test)


def test_what_is_wrong_still_is_open_with_the_reason_of_today() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        await rejected.keep({"type": "track", "userId": "ada"}, b"{", b"[" * 500, {"batch": [GOOD, {"type": "page"}]})
        assert await rejected.replay.turn() == 4
        assert await here.events() == []
        assert [(one.state, one.event.code, one.event.field) for one in await rejected.all()] == [
            (ReplayState.OPEN, "missing_event", "$.event"),
            (ReplayState.OPEN, "invalid_json", "$"),
            (ReplayState.OPEN, "invalid_json", "$"),
            (ReplayState.OPEN, "missing_id", "$.batch[1].userId"),
        ]
        assert all(one.settled_at is not None for one in await rejected.all())

    replaying(test)


def test_what_was_found_in_the_log_and_is_no_event_keeps_its_reason() -> None:
    async def test(_: Installation, rejected: Rejected) -> None:
        found = [damaged_record("events partition 0, offsets 1 to 2", "bits", b"\xc1", THEN), foreign_record("x", THEN)]
        writer = await rejected.store.open_writer("test")
        await writer.commit(Checkpoint(marks={}, rejected=found))
        await rejected.store.ask_replay(RejectedFilter())
        assert await rejected.replay.turn() == 2
        assert [one.event for one in await rejected.all()] == found
        assert {one.state for one in await rejected.all()} == {ReplayState.OPEN}

    replaying(test)


def test_an_event_without_a_time_is_sent_again_as_of_its_arrival() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        sent = {**GOOD, "sentAt": "2025-12-31T23:30:00Z"}
        reading = here.collect.read("web", json.dumps(sent).encode(), received_at=THEN, name="x")
        assert isinstance(reading, wire.Reading)
        (event,) = reading.events
        assert (event.timestamp, event.original_timestamp) == (THEN, None)
        await rejected.keep(wire.rejected(event, "bot", "$", "a crawler").body)
        await rejected.replay.turn()
        assert await here.events() == [event]

    replaying(test)


def test_a_correction_is_sent_in_its_place() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        await rejected.keep({"type": "track", "event": "Bought"}, correction=json.dumps(GOOD).encode())
        await rejected.replay.turn()
        assert [event.user_id for event in await here.events()] == ["ada"]

    replaying(test)


def test_without_a_message_id_it_has_the_same_one_each_time() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        nameless = {key: value for key, value in GOOD.items() if key != "messageId"}
        await rejected.keep({"batch": [nameless, nameless]})
        (kept,) = await rejected.all()
        await rejected.replay.turn()
        await rejected.store.settle_replay(kept.id, at=0)
        for again in await rejected.store.rejected(limit=1):
            rejected.store._replace(structs.replace(again, state=ReplayState.WAITING))
        await rejected.replay.turn()
        assert [event.message_id for event in await here.events()] == ["rejected-1-0", "rejected-1-1"] * 2

    replaying(test)


def test_a_tracking_plan_holds_it_until_the_plan_or_the_event_is_mended() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        strict = planned_call("track", "Bought", {"required": ["price"]})
        held = define(
            sources=[replace(source("web"), tracking_plan=("shop", None, "block"))],
            tracking_plans=[TrackingPlan("shop", (1, 0), {("track", "Bought"): strict})],
        )
        here.definitions = held
        await rejected.keep(GOOD)
        await rejected.replay.turn()
        (kept,) = await rejected.all()
        assert (kept.state, kept.event.code, kept.event.field) == (
            ReplayState.OPEN,
            "violates_tracking_plan",
            "$.properties.price",
        )
        await rejected.store.ask_replay(
            RejectedFilter(), correction=json.dumps({**GOOD, "properties": {"price": 1}}).encode()
        )
        await rejected.replay.turn()
        assert [event.properties for event in await here.events()] == [b'{"price": 1}']

    replaying(test)


def test_while_the_log_is_away_it_waits() -> None:
    async def test(_: Installation, rejected: Rejected) -> None:
        await rejected.keep(GOOD)
        with pytest.raises(Unreachable):
            await rejected.replay.turn()
        assert [one.state for one in await rejected.all()] == [ReplayState.WAITING]

    replaying(test, opened=False)


ASKED = Event(type="identify", message_id="asked", source="obverse", received_at=THEN, timestamp=THEN, user_id="ada")
"""One that somebody asked for who cannot append."""


def test_an_event_that_was_asked_for_is_appended_once_and_arrives_then() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        assert await rejected.store.ask_event(ASKED)
        assert await rejected.replay.bring() == 1
        assert await rejected.replay.bring() == 0
        (event,) = await here.events()
        assert event == structs.replace(ASKED, received_at=here.runtime.now())
        assert rejected.replay.vitals.records["asked for"] == 1

    replaying(test)


def test_killed_before_it_is_settled_an_event_is_appended_twice_with_one_message_id_and_stamp() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        await rejected.store.ask_event(ASKED)
        await rejected.replay.bring()
        rejected.store._tables.appended.clear()
        await here.runtime.sleep(5)
        await rejected.replay.bring()
        one, other = await here.events()
        assert (one.message_id, one.stamp) == (other.message_id, other.stamp) == ("asked", ASKED.stamp)

    replaying(test)


def test_while_the_log_is_away_what_was_asked_for_waits() -> None:
    async def test(_: Installation, rejected: Rejected) -> None:
        await rejected.store.ask_event(ASKED)
        with pytest.raises(Unreachable):
            await rejected.replay.bring()
        assert await rejected.store.waiting_events(limit=9) == [ASKED]

    replaying(test, opened=False)


def test_what_waits_is_told_with_the_time_since_it_was_seen() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        def told() -> dict[str, tuple[int, float | None]]:
            waiting = rejected.replay.vitals.queues.waiting("replay", here.runtime.now())
            return {one.queue: (one.count, one.seconds) for one in waiting}

        await rejected.keep(GOOD)
        await rejected.store.ask_event(ASKED)
        for _ in range(2):
            with pytest.raises(Unreachable):
                await rejected.replay.turn()
            with pytest.raises(Unreachable):
                await rejected.replay.bring()
            await here.runtime.sleep(30)
        assert told() == {"rejected": (1, 60), "events": (1, 60)}
        await here.collect.share.open()
        assert await rejected.replay.turn() == await rejected.replay.bring() == 1
        assert told() == {"rejected": (0, None), "events": (0, None)}

    replaying(test, opened=False)


def test_many_are_sent_in_turns_and_what_comes_later_too() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        await rejected.keep(*[{**GOOD, "messageId": f"m{number}"} for number in range(2 * AT_ONCE + 1)])
        work = here.runtime.spawn("replay", rejected.replay.run())
        await here.runtime.sleep(1)
        assert len(await here.events()) == 2 * AT_ONCE + 1
        await rejected.keep({**GOOD, "messageId": "later"})
        for number in range(AT_ONCE + 1):
            await rejected.store.ask_event(structs.replace(ASKED, message_id=f"asked {number}"))
        await here.runtime.sleep(5)
        assert (await here.events())[2 * AT_ONCE + 1].message_id == "later"
        assert (await here.events())[-1].message_id == f"asked {AT_ONCE}"
        await work.stop()

    replaying(test)


def test_of_two_collectors_one_sends_again_and_the_other_once_that_is_gone() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        other = Installation(here.runtime, here.log, partitions=1)
        flows = [Replay(one.collect, rejected.store, here.runtime) for one in (here, other)]
        await other.collect.open()
        works = [here.runtime.spawn("replay", flow.run()) for flow in flows]
        await here.runtime.sleep(5)
        await rejected.keep(*[{**GOOD, "messageId": f"m{number}"} for number in range(150)])
        await here.runtime.sleep(5)
        assert sorted(flow.vitals.records["accepted"] for flow in flows) == [0, 150]
        gone = max((0, 1), key=lambda number: flows[number].vitals.records["accepted"])
        await works[gone].stop()
        await rejected.keep({**GOOD, "messageId": "last"})
        await here.runtime.sleep(5)
        assert sorted(flow.vitals.records["accepted"] for flow in flows) == [1, 150]
        assert Counter(event.message_id for event in await here.events()).most_common(1)[0][1] == 1
        await works[1 - gone].stop()

    async def run(runtime: SimulatedRuntime) -> None:
        here = Installation(runtime, MemoryEventLog(MemoryLogSettings(partitions=2), runtime), partitions=1)
        await here.collect.open()
        await test(here, Rejected(here))

    simulate(0, run)


def test_one_that_stands_by_sends_nothing_again() -> None:
    async def test(here: Installation, rejected: Rejected) -> None:
        standby = Installation(here.runtime, here.log)
        work = here.runtime.spawn("replay", Replay(standby.collect, rejected.store, here.runtime).run())
        await rejected.keep(GOOD)
        await here.runtime.sleep(30)
        assert [one.state for one in await rejected.all()] == [ReplayState.WAITING]
        await work.stop()

    replaying(test)

"""Dry run: what is read out of a log and a store, and what of that counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dry_run_steps import OPEN, SEGMENTS, TABLET, of
from engine_parts import memory_parts
from obverse.contracts.engine_steps import append
from obverse.core.definitions import Source, define
from obverse.core.dry_run import Missing
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.identity.differences import Difference
from obverse.core.people import People
from obverse.core.tracking_plans import TrackingPlan, planned_call
from obverse.flows.dry_run import DryRunParts, DryRunReport, LogRead, dry_run
from obverse.ports.engine import WRITER, EngineParts
from obverse.ports.event_log import Records, Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow
from people_steps import event, new


async def report(parts: EngineParts, rules: IdentityRules, **said: Any) -> DryRunReport:
    given = DryRunParts(workspace="main", log=parts.log, store=parts.store, definitions=parts.definitions(), **said)
    return await dry_run(given, rules)


async def keep(parts: EngineParts, people: People, marks: Mapping[int, int]) -> None:
    """Have the store hold these people, as of these marks."""
    writer = await parts.store.open_writer(WRITER)
    rows = [ProfileRow.of(profile, people.definitions) for profile in people.profiles.values()]
    await writer.commit(Checkpoint(marks={Stream.EVENTS: marks}, profiles=rows))
    await writer.close()


async def test_the_log_is_read_as_far_as_todays_people_were_made_of_it() -> None:
    parts = await memory_parts(1, define(identity=SEGMENTS))
    await append(parts, TABLET, batch=2)
    await keep(parts, of(SEGMENTS, TABLET[0]), {0: 1})
    steps: list[tuple[int, int]] = []

    found = await report(parts, OPEN, progress=lambda *step: steps.append(step))

    assert found.log == LogRead(events=1, rejected=0, unidentified=0, damaged=0, trimmed={}, waiting=2)
    assert found.comparison.alike
    assert Difference("limits.anonymous_id", "5 within 7 days", "none") in found.differences
    assert steps == [(1, 1)]


async def test_an_empty_log_and_store_have_nobody() -> None:
    found = await report(await memory_parts(3, define()), SEGMENTS)
    assert found.log == LogRead(events=0, rejected=0, unidentified=0, damaged=0, trimmed={}, waiting=0)
    assert (found.comparison.before.people, found.comparison.after.people, found.differences) == (0, 0, [])


@pytest.mark.parametrize("batch", [1, 3, 100])
async def test_partitions_are_taken_in_the_order_of_arrival(batch: int) -> None:
    """Who has the tablet first keeps it; and who that is, is told by `receivedAt` alone."""
    parts = await memory_parts(3, define(identity=SEGMENTS))
    log = [
        event(f"m{place}", at=place, user_id=f"u{place % 7}", anonymous_id=f"tablet {place // 8}")
        for place in range(120)
    ]
    ends = await scatter(parts, log, batch)
    await keep(parts, of(SEGMENTS, *log), ends)

    found = await report(parts, SEGMENTS)

    assert found.log.events == 120
    assert found.comparison.alike
    assert found.comparison.before.people == 7
    assert found.comparison.after.refused == found.comparison.before.refused


async def scatter(parts: EngineParts, log: list[Event], batch: int) -> dict[int, int]:
    """Deal events out to the partitions, each in its order; return where these end."""
    appender = await parts.log.open_appender(Stream.EVENTS)
    ends = {}
    for partition in range(parts.log.partitions):
        mine = [one for place, one in enumerate(log) if place * 7 % 5 % parts.log.partitions == partition]
        for at in range(0, len(mine), batch):
            await appender.append(partition, *Records.of(mine[at : at + batch]))
        ends[partition] = len(mine)
    await appender.close()
    return ends


async def test_what_was_sent_again_later_is_taken_when_it_came() -> None:
    parts = await memory_parts(2, define(identity=SEGMENTS))
    late = event("again", at=0, user_id="cleo", anonymous_id="tablet")
    await append(parts, [*TABLET, late], batch=4)
    await keep(parts, of(SEGMENTS, *TABLET, late), {0: 4, 1: 0})

    assert (await report(parts, SEGMENTS)).comparison.alike


async def test_a_log_that_was_trimmed_says_so() -> None:
    parts = await memory_parts(1, define(identity=SEGMENTS))
    await append(parts, TABLET, batch=1)
    before = parts.runtime.now()
    await append(parts, [event("m4", at=9, user_id="dora")], batch=1)
    await keep(parts, of(SEGMENTS, *TABLET, event("m4", at=9, user_id="dora")), {0: 4})
    await parts.log.trim(Stream.EVENTS, before)

    found = await report(parts, SEGMENTS)

    assert found.log == LogRead(events=1, rejected=0, unidentified=0, damaged=0, trimmed={0: 3}, waiting=0)
    assert (found.comparison.gone.count, found.comparison.vanished) == (4, 2)


async def test_what_cannot_be_read_or_identifies_nobody_is_counted() -> None:
    plan = TrackingPlan("shop", (1, 0), {("page", "Home"): planned_call("page", "Home", {})})
    held = define(sources=[Source("web", tracking_plan=("shop", None, "block"))], tracking_plans=[plan])
    parts = await memory_parts(1, held)
    appender = await parts.log.open_appender(Stream.EVENTS)
    await appender.append(0, Records(3, b"\xc1\xc1\xc1"))
    await appender.close()
    await append(
        parts,
        [event("m1", name="Home", user_id="ada"), event("m2", name="Away", user_id="bob"), event("m3", name="Home")],
        batch=2,
    )
    await keep(parts, new(held), {0: 6})

    found = await report(parts, SEGMENTS)

    assert found.log == LogRead(events=1, rejected=1, unidentified=1, damaged=3, trimmed={}, waiting=0)
    assert found.comparison.come == Missing(1, ["user_id:ada"])

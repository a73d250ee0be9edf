"""A time is found in the log that keeps it for good, too."""

from __future__ import annotations

import pytest

from obverse.core.replays import Span, Wanted
from obverse.flows.ranges import batches_in, offset_at, spans_of
from obverse.ports.event_log import EventLog, Records, Stream
from services import ShiftedRuntime

pytestmark = pytest.mark.service


async def test_a_time_is_found_in_postgres(postgres_log: EventLog, runtime: ShiftedRuntime) -> None:
    appender = await postgres_log.open_appender(Stream.EVENTS)
    began: list[int] = []
    for number in range(6):
        runtime.shift += 3600
        began.append(runtime.now())
        await appender.append(0, Records(number + 1, b"." * (number + 1)))
    await appender.close()
    firsts = [0, 1, 3, 6, 10, 15]
    assert [await offset_at(postgres_log, Stream.EVENTS, 0, at) for at in began] == firsts
    assert await offset_at(postgres_log, Stream.EVENTS, 0, runtime.now() + 1) == 21
    wanted = Wanted(flows=("unify",), since=began[2], until=began[4])
    assert await spans_of(postgres_log, Stream.EVENTS, wanted) == {0: Span(3, 10)}
    found = [(one.first, one.end) async for one in batches_in(postgres_log, Stream.EVENTS, 0, Span(4, 10))]
    assert found == [(3, 6), (6, 10)]

"""`obverse bench clock`, small: everybody leaves by time alone, and it is told how late."""

from __future__ import annotations

import pytest

from obverse.apps.bench.clock import EVENTS, bench_clock
from obverse.apps.bench.load import Load

pytestmark = pytest.mark.service


async def test_people_leave_by_time_alone_while_events_come() -> None:
    figures = await bench_clock(Load(rate=200, seconds=2, people=50, closing=20), minute=False)
    closing = figures["closing"]
    assert closing["moved"] == 20
    assert 0 <= closing[EVENTS]["p50_ms"] <= closing[EVENTS]["worst_ms"]
    # So slow a generator is a machine that others use; nothing else is wrong.
    assert [flaw for flaw in figures["flaws"] if "events a second were sent" not in flaw] == []

"""`obverse bench backfill`, small: whoever reads sees the old value, then the new one."""

from __future__ import annotations

import pytest

from obverse.apps.bench.backfill import bench_backfill
from obverse.apps.bench.load import Load

pytestmark = pytest.mark.service


async def test_people_who_are_read_while_a_trait_is_changed_all_swap_at_once() -> None:
    figures = await bench_backfill(Load(rate=200, seconds=2, people=100), 1000)
    watched = figures["watched"]
    assert (watched["reads_wrong"], watched["reads_old_after_new"], watched["people_read"]) == (0, 0, 20)
    assert watched["people_seen_to_swap"] > 0
    # So slow a generator is a machine that others use; nothing else is wrong.
    assert [flaw for flaw in figures["flaws"] if "events a second were sent" not in flaw] == []

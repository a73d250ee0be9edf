"""`obverse bench preview` looks as the API does: some people are read, and overlaps are counted."""

from __future__ import annotations

import pytest

from obverse.apps.bench.preview import bench_preview
from obverse.flows.preview import SAMPLE

pytestmark = pytest.mark.service


async def test_each_look_shows_people_and_counts_overlaps_unless_that_is_said() -> None:
    figures = await bench_preview(people=20_000, events=40_000)
    assert (figures["flaws"], figures["people"], figures["events"]) == ([], 20_000, 40_000)
    for name in ("first_look", "same_again", "one_test_changed", "with_events"):
        assert figures[name]["shown"] == SAMPLE, name
        assert figures[name]["overlaps"].keys() == {"often", "rich", "quiet"}
        assert max(figures[name]["overlaps"].values()) > 0
    assert (figures["without_overlaps"]["shown"], figures["without_overlaps"]["overlaps"]) == (SAMPLE, {})
    assert figures["without_overlaps"]["count"] == figures["first_look"]["count"] > 0

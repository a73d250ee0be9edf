"""What docs/metrics.md says is told, and what is told stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from installation import Installation

pytestmark = pytest.mark.service

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROLES = ("collector", "worker", "api", "sandbox")


async def test_the_page_of_metrics_names_what_a_scraper_finds(here: Installation) -> None:
    told: set[str] = set()
    for role in ROLES:
        async with here.http.get(f"{here.note[role]}/metrics") as answer:
            assert answer.status == 200
            told |= set(re.findall(r"^# TYPE (obverse_\w+) ", await answer.text(), re.MULTILINE))
    named = set(re.findall(r"`(obverse_\w+)", PAGE.read_text(encoding="utf-8")))

    assert {name.removesuffix("_total").removesuffix("_info") for name in named} == told

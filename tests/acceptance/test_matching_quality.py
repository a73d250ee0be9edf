"""Matching is no worse than Splink with the settings of its own examples, on every data set whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from obverse.adapters.memory.matcher import MemoryMatcher
from obverse.adapters.runtime.system import open_runtime
from obverse.adapters.splink import SplinkSettings, open_matcher
from obverse.apps.bench.match import compare, match_crowd

DATA = Path(__file__).parents[1] / "data" / "identity"
pytestmark = pytest.mark.service
"""No server, but half a minute of both cores."""


@pytest.mark.parametrize("name", ["febrl_1", "febrl_2", "fake_1000", "companies"])
async def test_it_is_no_worse_than_splinks_own_example_at_its_best(name: str) -> None:
    matcher = await open_matcher(SplinkSettings(), open_runtime())

    figures = await compare(matcher, name, DATA)

    example, strict, loose, exact = (figures[one] for one in ("splink_example", "strict", "loose", "exact"))
    # The tier is fixed; the example is taken at whichever threshold is best for it.
    for one in ("precision", "recall", "f1"):
        assert strict[one] >= example[one], one
    assert loose["f1"] >= example["f1"]
    assert loose["recall"] >= strict["recall"]
    # What may be merged without a person. Of the companies four are told apart by a label, though all that is known of
    # them is the same.
    assert exact["precision"] >= (0.997 if name == "companies" else 1.0)
    assert exact["pairs"] >= 100


async def test_the_example_is_worth_being_compared_with() -> None:
    # Its figures as published are of this order: an example that was set up badly would be easily beaten.
    matcher = MemoryMatcher()
    assert (await compare(matcher, "febrl_1", DATA))["splink_example"]["f1"] >= 0.99
    assert (await compare(matcher, "fake_1000", DATA))["splink_example"]["f1"] >= 0.85


async def test_a_crowd_is_matched() -> None:
    matcher = await open_matcher(SplinkSettings(), open_runtime())

    figures = await match_crowd(matcher, DATA, 5_000)

    assert figures["records"] == 5_000
    assert figures["loose"]["recall"] >= 0.85
    assert figures["strict"]["precision"] >= 0.97
    assert figures["exact"]["precision"] >= 0.999

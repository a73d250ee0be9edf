"""The figures of `obverse bench match` are what they say; and nobody needs Splink who does not match."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from obverse.adapters.memory.matcher import MemoryMatcher
from obverse.apps.bench.crowd import crowd
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.match import best, compare, quality
from obverse.apps.bench.people_known import FEBRL, companies, fake, febrl, lists

DATA = Path(__file__).parents[1] / "data" / "identity"


def test_a_crowd_is_the_same_every_time_and_partly_told_twice() -> None:
    names = lists(DATA)
    people = crowd(names, 1000)

    assert people == crowd(names, 1000)
    assert len(people.people) == len(people.columns[0]) == 1000
    assert len(set(people.people)) == 800


def test_the_truth_is_in_the_files() -> None:
    sets = (febrl(DATA, FEBRL[0]), febrl(DATA, FEBRL[1]), fake(DATA), companies(DATA))
    assert [(len(one.rows), len(one.pairs())) for one in sets] == [
        (1000, 500),
        (5000, 1934),
        (1000, 2031),
        (3337, 6608),
    ]


def test_the_best_threshold_takes_all_of_one_weight() -> None:
    truth = {(0, 1), (0, 2), (3, 4)}
    found = [(2.0, (0, 1)), (1.0, (0, 2)), (1.0, (0, 3)), (0.0, (0, 4))]
    assert best(found, truth) == {**quality(2, 3, 3), "weight": 1.0}
    assert best([], truth) == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "weight": None}


async def test_data_sets_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(BenchFailed, match="--folder"):
        await compare(MemoryMatcher(), "fake_1000", tmp_path)


LACKING = """
import asyncio, sys
sys.modules["splink"] = None
import obverse.adapters.splink as adapter
import obverse.wiring
from obverse.ports.matcher import MatcherLacking
try:
    asyncio.run(adapter.open_matcher(adapter.SplinkSettings(), None))
except MatcherLacking as error:
    print(error)
"""


def test_without_splink_it_is_said_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "matching needs splink, which is not installed here: pip install 'obverse[er]'"


HEAVY = """
import sys
import obverse.wiring, obverse.apps.roles, obverse.apps.preload, obverse.adapters.splink, obverse.adapters.duckdb
print([name for name in sys.modules if name.partition(".")[0] in {"splink", "duckdb", "pyarrow", "sqlglot"}])
"""


def test_nobody_pays_for_splink_who_does_not_match() -> None:
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

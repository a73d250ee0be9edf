"""`obverse bench match`: how well and how fast profiles are matched, beside Splink with its own examples' settings."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import resource
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

from obverse.adapters.runtime.system import open_runtime
from obverse.adapters.splink import SplinkSettings, open_matcher
from obverse.apps.bench.crowd import SEED, crowd
from obverse.apps.bench.machine import machine
from obverse.apps.bench.people_known import FEBRL, Labelled, companies, fake, febrl, lists
from obverse.apps.bench.splink_examples import (
    Example,
    Scored,
    companies_style,
    fake_example,
    febrl_example,
    scored,
)
from obverse.core.matching import Field, Tier, Tiers, tier_of
from obverse.ports.matcher import Matcher, Pair

_PEOPLE: Final[tuple[tuple[str, Callable[[Path], Labelled], Callable[[], Example], bool], ...]] = (
    ("febrl_1", lambda folder: febrl(folder, FEBRL[0]), febrl_example, False),
    ("febrl_2", lambda folder: febrl(folder, FEBRL[1]), febrl_example, False),
    ("fake_1000", fake, fake_example, False),
    ("companies", companies, companies_style, True),
)
"""Name, data, example, and whether the example reads normalised values."""


async def bench_match(*, folder: Path, records: int) -> dict[str, Any]:
    """
    Match each data set, and a crowd of so many records if there are any.

    Raises:
        BenchFailed: the data sets are not there.
        MatcherLacking: Splink is not installed.
    """
    matcher = await open_matcher(SplinkSettings(), open_runtime())
    tiers = Tiers()
    sets = {name: await compare(matcher, name, folder) for name, *_ in _PEOPLE}
    figures: dict[str, Any] = {
        "machine": machine(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "versions": {name: importlib.metadata.version(name) for name in ("splink", "duckdb")},
        "tiers": {tier.value: getattr(tiers, tier.value) for tier in Tier},
        "sets": sets,
    }
    if records:
        figures["crowd"] = await match_crowd(matcher, folder, records)
    flaws = [
        f"{name}: F1 of what is proposed is {one['loose']['f1']}, less than {one['splink_example']['f1']}"
        for name, one in sets.items()
        if one["loose"]["f1"] < one["splink_example"]["f1"]
    ]
    return {**figures, "peak_memory_bytes": _peak(), "flaws": flaws}


async def compare(matcher: Matcher, name: str, folder: Path) -> dict[str, Any]:
    """How well a data set is matched in each tier and those above it, and how well by Splink's example at its best."""
    _, read, example, normalised = next(one for one in _PEOPLE if one[0] == name)
    data = read(folder)
    truth = data.pairs()
    began, cpu = perf_counter(), process_time()
    pairs = await matcher.match(data.fields, data.columns, least=Tiers().loose)
    took = {"seconds": round(perf_counter() - began, 2), "cpu_seconds": round(process_time() - cpu, 2)}
    columns = data.columns if normalised else None
    baseline = await asyncio.to_thread(lambda: best(scored(example(), data, columns), truth))
    return {
        "records": len(data.rows),
        "pairs_of_one": len(truth),
        **by_tier(pairs, data.fields, truth),
        "splink_example": baseline,
        **took,
    }


async def match_crowd(matcher: Matcher, folder: Path, records: int) -> dict[str, Any]:
    """How long a crowd takes, and how well it is matched."""
    people = crowd(lists(folder), records)
    began, cpu = perf_counter(), process_time()
    pairs = await matcher.match(people.fields, people.columns, least=Tiers().loose)
    seconds, cpu = perf_counter() - began, process_time() - cpu
    counts = Counter(people.people)
    return {
        "records": records,
        "seed": SEED,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "pairs_of_one": sum(count * (count - 1) // 2 for count in counts.values()),
        **_crowd_tiers(pairs, people.fields, people.people),
    }


def by_tier(pairs: Sequence[Pair], fields: Sequence[Field], truth: Collection[tuple[int, int]]) -> dict[str, Any]:
    """Of each tier and those above it: precision, recall and F1."""
    found: dict[str, Any] = {}
    kept: set[tuple[int, int]] = set()
    for tier in Tier:
        kept |= {(one.one, one.other) for one in pairs if _tier(one, fields) is tier}
        found[tier.value] = {"pairs": len(kept), **quality(len(kept & set(truth)), len(kept), len(truth))}
    return found


def _crowd_tiers(pairs: Sequence[Pair], fields: Sequence[Field], people: Sequence[int]) -> dict[str, Any]:
    counts = Counter(people)
    all_ = sum(count * (count - 1) // 2 for count in counts.values())
    found: dict[str, Any] = {}
    right = told = 0
    for tier in Tier:
        of_tier = [people[one.one] == people[one.other] for one in pairs if _tier(one, fields) is tier]
        right, told = right + sum(of_tier), told + len(of_tier)
        found[tier.value] = {"pairs": told, **quality(right, told, all_)}
    return found


def _tier(pair: Pair, fields: Sequence[Field]) -> Tier | None:
    return tier_of(pair.probability, fields, pair.agreements, Tiers())


def best(found: Scored, truth: Collection[tuple[int, int]]) -> dict[str, Any]:
    """Precision, recall and F1 at the weight, in bits, at which F1 is highest."""
    ordered = sorted(found, reverse=True)
    highest: dict[str, Any] = {**quality(0, 0, len(truth)), "weight": None}
    right = 0
    for place, (weight, pair) in enumerate(ordered, 1):
        right += pair in truth
        last_of_its_weight = place == len(ordered) or ordered[place][0] != weight
        reached = quality(right, place, len(truth))
        if last_of_its_weight and reached["f1"] > highest["f1"]:
            highest = {**reached, "weight": round(weight, 2)}
    return highest


def quality(right: int, told: int, truth: int) -> dict[str, float]:
    """
    Precision, recall and F1 of so many pairs told, of which so many are right.

    >>> quality(8, 10, 16)
    {'precision': 0.8, 'recall': 0.5, 'f1': 0.6154}
    """
    precision, recall = right / told if told else 0.0, right / truth if truth else 0.0
    both = precision + recall
    return {
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / both, 4) if both else 0.0,
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

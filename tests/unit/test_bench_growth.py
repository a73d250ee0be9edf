"""Whether memory is flat: what is called growth, and what is not."""

from __future__ import annotations

import os
from time import perf_counter

import pytest

from obverse.apps.bench.growth import Looks, grown, growth
from obverse.apps.bench.machine import Watch

MB = 1 << 20


def looks(seconds: int, **rise: float) -> Looks:
    """A look each ten seconds at processes that begin with 100 MB and rise by so many MB a minute."""
    return [
        (float(at), {name: round((100 + more * at / 60) * MB) for name, more in rise.items()})
        for at in range(0, seconds + 1, 10)
    ]


def test_of_each_process_first_and_last_minute_are_told_and_the_growth_between_them() -> None:
    told = growth(looks(600, worker=10, api=0))
    assert told == {
        "worker": {
            "first_minute_bytes": 105 * MB,
            "last_minute_bytes": 195 * MB,
            "growth_bytes_per_minute": 10 * MB,
        },
        "api": {"first_minute_bytes": 100 * MB, "last_minute_bytes": 100 * MB, "growth_bytes_per_minute": 0},
    }


def test_one_look_that_is_higher_than_all_others_tells_nothing() -> None:
    series = [(at, {"worker": 500 * MB if at == 590 else size["worker"]}) for at, size in looks(600, worker=0)]
    assert grown(series, 600) == []
    assert growth(series)["worker"]["growth_bytes_per_minute"] == 0


@pytest.mark.parametrize(("rise", "flaws"), [(0, 0), (-5, 0), (3.5, 0), (3.7, 1), (10, 1)])
def test_who_has_a_third_more_in_the_end_has_grown(rise: float, flaws: int) -> None:
    # Nine minutes lie between the middles of both; 32 MB more than 100 are the least that is called growth.
    assert len(grown(looks(600, worker=rise, api=0), 600)) == flaws


def test_of_a_large_process_a_quarter_more_is_none_yet() -> None:
    def series(last: int) -> Looks:
        return [(float(at), {"postgres": (1000 if at < 300 else last) * MB}) for at in range(0, 601, 10)]

    assert grown(series(1250), 600) == []
    assert grown(series(1260), 600) == [
        "postgres grew from 1,048,576,000 bytes in its first minute to 1,321,205,760 in its last, 30,292,196 a minute"
    ]


def test_short_runs_do_not_judge_and_very_short_ones_tell_no_rate() -> None:
    assert grown(looks(290, worker=100), 299) == []
    assert len(grown(looks(290, worker=100), 300)) == 1
    assert growth(looks(20, worker=100))["worker"]["growth_bytes_per_minute"] is None
    assert growth([(0.0, {"worker": 5})])["worker"] == {
        "first_minute_bytes": 5,
        "last_minute_bytes": 5,
        "growth_bytes_per_minute": None,
    }


def test_a_watch_notes_each_look_and_tells_those_of_one_load() -> None:
    watch, moments = Watch({"generator": os.getpid()}), [perf_counter()]
    for _ in range(4):
        watch.look()
        moments.append(perf_counter())
    assert len(watch.looks) == 4
    assert watch.looks[0][0] == 0.0
    assert len(watch.looks_between(moments[0], moments[4])) == 4
    assert len(watch.looks_between(moments[1], moments[3])) == 3
    later = watch.looks_between(moments[2], moments[3])
    assert [at for at, _ in later] == [0.0, watch.looks[2][0] - watch.looks[1][0]]
    assert len(watch.looks_between(0.0, 0.0)) == 1
    assert watch.looks[0][1]["generator"] > MB

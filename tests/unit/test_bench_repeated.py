"""A benchmark that is run several times: what lies in the middle is told, and every run beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from obverse.apps.bench.fold import bench_fold
from obverse.apps.bench.idle import bench_idle
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.repeated import repeated, summary
from obverse.apps.bench.report import tell


def run(p99: float, **more: object) -> dict[str, object]:
    return {
        "load": {"rate": 100},
        "p99_ms": p99,
        "processes": {"worker": {"pid": 7, "cpu_seconds": p99 / 10}},
        "histogram_ms": {"0.10": 3},
        "flaws": [],
        **more,
    }


def test_of_every_figure_median_least_and_most_are_told_beside_the_runs() -> None:
    runs = [run(30.0, late=1), run(10.0, flaws=["a loss"]), run(20.5, late=None)]
    told = summary(runs)
    assert told["repeat"] == 3
    assert told["figures"] == {
        "p99_ms": {"median": 20.5, "min": 10.0, "max": 30.0},
        "processes.worker.cpu_seconds": {"median": 2.05, "min": 1.0, "max": 3.0},
    }
    assert told["runs"] == runs
    assert told["flaws"] == ["run 2: a loss"]


def test_they_are_told_as_a_table_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(summary([run(30.0), run(10.0, flaws=["a loss"])]), as_json=False) == 1
    told = capsys.readouterr()
    (row,) = [line for line in told.out.splitlines() if "p99_ms" in line]
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["20.0", "10.0", "30.0", "30.0", "10.0"]
    assert told.err == "obverse: not a fair figure: run 2: a loss\n"


async def test_each_run_is_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    told = await repeated(partial(bench_fold, profiles=1000, events=1000), 2)
    first, second = told["runs"]
    assert first["pid"] != second["pid"]
    assert told["figures"].keys() >= {"events_per_second", "us_per_event", "bytes_per_profile"}
    middle = told["figures"]["events_per_second"]
    assert middle["min"] <= middle["median"] <= middle["max"]
    assert {middle["min"], middle["max"]} == {first["events_per_second"], second["events_per_second"]}
    assert capsys.readouterr().err == "obverse: run 1 of 2 is done\nobverse: run 2 of 2 is done\n"


async def test_a_run_that_fails_ends_them_all(tmp_path: Path) -> None:
    with pytest.raises(BenchFailed, match="there is no installation in"):
        await repeated(partial(bench_idle, tmp_path / "nowhere", seconds=1), 2)

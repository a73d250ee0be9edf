"""`obverse bench idle` leaves an installation alone that somebody else runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obverse.apps import data_folder
from obverse.apps.bench.idle import bench_idle
from obverse.apps.bench.machine import BenchFailed


async def test_an_installation_that_runs_is_not_killed(tmp_path: Path) -> None:
    (tmp_path / "definitions").mkdir()
    held = data_folder.claim(tmp_path)
    try:
        with pytest.raises(data_folder.InUse, match=f"in use by process {os.getpid()}: stop that one"):
            await bench_idle(tmp_path, seconds=1)
    finally:
        os.close(held)
    assert list((tmp_path / "definitions").iterdir()) == []


async def test_a_folder_without_an_installation_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchFailed, match=r"there is no installation in .*none: run `obverse demo --exit`"):
        await bench_idle(tmp_path / "none", seconds=1)
    assert not (tmp_path / "none").exists()

"""`obverse bench load`: how fast the rows of a file come in, in what memory, and that a kill costs none."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Final

import aiohttp
import msgspec

from obverse.apps.bench.installed import Installed, installed
from obverse.apps.bench.machine import BenchFailed, Watch, database_settings, machine
from obverse.apps.bench.trial import count_stored, drained
from obverse.apps.loads.record import Record

_EVENT: Final = "Order Completed"
_LOOK: Final = 0.2
"""Seconds between two looks at its memory."""
_BAD_EVERY: Final = 100
_PEOPLE: Final = 10
"""Rows a person, on average."""


def write_orders(path: Path, rows: int, *, bad: bool) -> list[int]:
    """Write a CSV file of orders; with `bad`, one row in a hundred is wrong. Returns the lines of these."""
    wrong: list[int] = []
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("Customer ID,E-Mail,First Name,Product,Quantity,Price,Paid,Order Date\n")
        for number, line in enumerate(_lines(rows), 2):
            if bad and number % _BAD_EVERY == 0:
                wrong.append(number)
                line = line.replace(",yes,", ",perhaps,").replace(",no,", ",perhaps,")  # noqa: PLW2901 - made wrong
            file.write(line)
    return wrong


def _lines(rows: int) -> Iterator[str]:
    dice = Random(1)  # noqa: S311 - data
    for number in range(rows):
        person = 1 + dice.randrange(max(1, rows // _PEOPLE))
        yield (
            f'c{person},c{person}@example.com,Ada,"Lamp, red",{1 + number % 8},{dice.randrange(10_000) / 100:.2f},'
            f"{'yes' if number % 3 else 'no'},2024-0{1 + number % 9}-1{number % 9} 10:{number % 60:02}:00\n"
        )


async def bench_history(rows: int, *, kill: bool) -> dict[str, Any]:
    """
    Bring a file of so many rows into an installation of its own; `kill` ends it at half, and starts it again.

    Raises:
        BenchFailed: the installation did not start, or the load failed.
    """
    async with installed() as here:
        path = here.data / "orders.csv"
        wrong = write_orders(path, rows, bad=True)
        watch = Watch(here.pids)
        watch.look()
        began = perf_counter()
        runs = [await _run(here, path, until=rows // 2)] if kill else []
        runs.append(await _run(here, path))
        seconds = perf_counter() - began
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            await drained(http, here)
        lag = perf_counter() - began - seconds
        watch.look()
        stored, distinct = await count_stored(here)
        postgres = await database_settings(here.dsn)
        outcome = runs[-1][0]
        flaws = _flaws(outcome, rows=rows, wrong=wrong, stored=stored, distinct=distinct)
        return {
            "rows": rows,
            "machine": machine(),
            "postgres": postgres,
            "taken": outcome["taken"],
            "refused": outcome["refused"],
            "rows_per_second": outcome["rows_per_second"],
            "seconds": outcome["seconds"],
            "with_start_and_end_s": round(seconds, 1),
            "peak_memory_bytes": max(peak for _, peak in runs),
            "stored": stored,
            "distinct_stored": distinct,
            "lag_after_s": round(lag, 1),
            "processes": watch.report(),
            "flaws": flaws,
        }


def _flaws(outcome: Any, *, rows: int, wrong: list[int], stored: int, distinct: int) -> list[str]:
    good = rows - len(wrong)
    found = []
    if not good == outcome["taken"] == stored == distinct:
        found.append(f"{good} good rows, {outcome['taken']} taken, {stored} stored, {distinct} of them distinct")
    told = _reject_lines(Path(outcome["rejects"])) if outcome["rejects"] else []
    if told != wrong:
        found.append(f"{len(wrong)} rows are wrong, and {len(told)} stand in the reject file")
    return found


def _reject_lines(path: Path) -> list[int]:
    with path.open(encoding="utf-8", newline="") as file:
        return [int(row["line"]) for row in csv.DictReader(file)]


async def _run(here: Installed, path: Path, until: int | None = None) -> tuple[Any, int]:
    """Run `obverse load`; returns what it said, and its peak memory in bytes. It is killed after `until` rows."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "obverse.apps.cli", "load", str(path), "--event", _EVENT, "--type", "Paid=boolean", "--yes", "--json"),
        *("--collector", here.collector),
        env={**os.environ, "OBVERSE_LOAD__WRITE_KEY": here.key},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    talking = asyncio.create_task(process.communicate())
    peak = 0
    while not talking.done():
        peak = max(peak, _peak(process.pid))
        if until is not None and _settled(path) >= until:
            process.send_signal(signal.SIGKILL)
            break
        await asyncio.wait([talking], timeout=_LOOK)
    said, complained = await talking
    if until is not None:
        return None, peak
    if process.returncode not in {0, 2}:
        raise BenchFailed(f"the load failed: {complained.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(said), peak


def _settled(path: Path) -> int:
    return sum(one.standing.taken + one.standing.refused for one in Record(path, path.parent).entries)


def _peak(pid: int) -> int:
    """The most memory that a process has had until now, in bytes (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)

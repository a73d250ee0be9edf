"""How a benchmark is told: to people as a table, to programs as one JSON line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


def tell(figures: Mapping[str, Any], *, as_json: bool) -> int:
    """Print the figures; the exit code is 1 if they have flaws, since then they would mislead."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + os.linesep)
    else:
        Console().print(_of_runs(figures) if "repeat" in figures else _of_one(figures))
    for flaw in figures.get("flaws", ()):
        sys.stderr.write(f"obverse: not a fair figure: {flaw}{os.linesep}")
    return 1 if figures.get("flaws") else 0


def _of_one(figures: Mapping[str, Any]) -> Table:
    table = Table("figure", "value")
    for name, value in _flat(figures):
        if not name.startswith("histogram"):
            table.add_row(name, _text(value))
    return table


def _of_runs(figures: Mapping[str, Any]) -> Table:
    """What lies in the middle, and each run beside it."""
    runs = [dict(_flat(run)) for run in figures["runs"]]
    table = Table("figure", "median", "min", "max", *(f"run {number}" for number in range(1, len(runs) + 1)))
    for name, spread in figures["figures"].items():
        table.add_row(name, *map(_text, spread.values()), *(_text(run.get(name)) for run in runs))
    return table


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _flat(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value

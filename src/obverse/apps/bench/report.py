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
        table = Table("figure", "value")
        for name, value in _flat(figures):
            if not name.startswith("histogram"):
                table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
        Console().print(table)
    for flaw in figures.get("flaws", ()):
        sys.stderr.write(f"obverse: not a fair figure: {flaw}{os.linesep}")
    return 1 if figures.get("flaws") else 0


def _flat(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value

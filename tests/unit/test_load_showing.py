"""What a load shows to people."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from load_steps import HastyRuntime, write
from obverse.adapters.row_files import open_rows
from obverse.apps.cli.load_showing import progress_bar
from obverse.flows.load import Standing


def shown(path: Path, *, terminal: bool, size: int, already: bool) -> str:
    told = StringIO()
    console = Console(file=told, force_terminal=terminal, width=100)
    with progress_bar(console, open_rows(path), HastyRuntime()) as bar:
        bar.digested(size)
        if already:
            bar.nothing_to_do()
        else:
            bar.update(Standing(taken=3))
    return told.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_of_what_is_read(tmp_path: Path, *, terminal: bool) -> None:
    path = write(tmp_path, "a.csv", "user_id\n1\n2\n3\n")
    assert "3 rows" in shown(path, terminal=terminal, size=14, already=False)
    assert "MiB" not in shown(path, terminal=terminal, size=14, already=True)
    left = shown(path, terminal=False, size=5 << 20, already=True)
    assert not left.strip()

"""How a load is shown to people: what was guessed of it, its progress, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from obverse.adapters.row_files import RowFile
from obverse.apps.loads.running import Outcome, Trial
from obverse.core.flaws import printable
from obverse.core.loads import Mapping
from obverse.flows.load import Standing
from obverse.ports.runtime import Runtime

_SHOWN = 10
_MEBIBYTE = 1 << 20


def show_mapping(console: Console, rows: RowFile, mapping: Mapping) -> None:
    """What each column is taken for."""
    for note in rows.notes:
        _say(console, f"{rows.path.name}: {note}")
    if mapping.type == "events":
        _say(console, f"{rows.path.name}: each row is a whole event")
        return
    what = "a track" + (f" {mapping.event!r}" if mapping.event else "") if mapping.type == "track" else "an identify"
    when = f", at {mapping.at}" if mapping.at else ""
    _say(console, f"{rows.path.name}: each row is {what}{when}; times without a zone are in {mapping.zone}")
    table = Table("column", "is", "type", "")
    for name, column in mapping.columns.items():
        to = column.to if column.to is not None else "left out"
        table.add_row(*(escape(printable(one)) for one in (name, to, column.type, column.note)))
    console.print(table)


def show_new_source(console: Console, source: str, others: Sequence[str]) -> None:
    """That a source is made, and which ones there are."""
    _say(console, f"There is no source {source} yet: it will be made, beside {', '.join(others)}")


def show_trial(console: Console, trial: Trial) -> None:
    """What would be sent, and what would be refused."""
    for event in trial.events:
        _say(console, msgspec.json.format(bytes(event)).decode())
    counted = "" if trial.whole else " of the first ones"
    _say(console, f"{trial.taken:,} rows would be taken, {trial.refused:,} refused{counted}")
    for one in trial.reasons[:_SHOWN]:
        where = f"line {one.line}" + (f", column {one.column!r}" if one.column else "")
        more = f", and {one.rows - 1:,} more rows" if one.rows > 1 else ""
        _say(console, f"  {where}: {one.reason}{more}")


def show_outcome(console: Console, outcome: Outcome) -> None:
    """What came of it."""
    if outcome.already:
        _say(console, f"{outcome.file} was loaded already: {outcome.taken:,} rows taken. --restart loads it again")
    else:
        _say(
            console,
            f"{outcome.taken:,} rows taken as source {outcome.source}, {outcome.refused:,} refused "
            f"({outcome.seconds:.1f} s, {outcome.rows_per_second:,} a second)",
        )
    if outcome.rejects:
        _say(console, f"Refused rows, each with its reason: {outcome.rejects}. Mend them, and load that file")
    if not outcome.done:
        _say(console, "Stopped. The same command goes on from here")


class ProgressBar:
    """Rows, rows a second and the time left."""

    def __init__(self, progress: Progress, task: TaskID, rows: RowFile, runtime: Runtime) -> None:
        self._progress = progress
        self._task = task
        self._rows = rows
        self._runtime = runtime
        self._began = runtime.elapsed()
        self._first: int | None = None

    def digested(self, size: int) -> None:
        """Tell how many bytes were read to know the file again, once they are many."""
        if size < _MEBIBYTE:
            return
        self._progress.update(self._task, visible=True, description=f"{size // _MEBIBYTE:,} MiB looked at")

    def nothing_to_do(self) -> None:
        """Leave no bar behind."""
        self._progress.update(self._task, visible=False)

    def update(self, standing: Standing) -> None:
        """Tell how far it has come."""
        settled = standing.taken + standing.refused
        if self._first is None:
            self._first = settled
            self._began = self._runtime.elapsed()
        seconds = self._runtime.elapsed() - self._began
        rate = round((settled - self._first) / seconds) if seconds > 0 else 0
        refused = f", {standing.refused:,} refused" if standing.refused else ""
        self._progress.update(
            self._task,
            visible=True,
            completed=self._rows.position,
            description=f"{settled:,} rows{refused}, {rate:,} a second",
        )


@contextmanager
def progress_bar(console: Console, rows: RowFile, runtime: Runtime) -> Iterator[ProgressBar]:
    """A bar while the block runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield ProgressBar(progress, progress.add_task("", total=1.0, visible=False), rows, runtime)


def _say(console: Console, line: str) -> None:
    console.print("\n".join(printable(one) for one in line.split("\n")), markup=False, highlight=False, soft_wrap=True)

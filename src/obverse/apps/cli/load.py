"""The command `load`: a file of rows brought in, after what was guessed of it is shown."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from collections.abc import Mapping as Tree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
from rich.console import Console

from obverse.adapters.row_files import RowFile, Told, open_rows
from obverse.adapters.runtime.system import open_runtime
from obverse.apps import processes
from obverse.apps.cli.json_line import write_json
from obverse.apps.cli.load_showing import progress_bar, show_mapping, show_new_source, show_outcome, show_trial
from obverse.apps.loads.record import BadLoad
from obverse.apps.loads.running import Order, Outcome, Trial, run_load, try_out
from obverse.apps.loads.written import read_mapping, write_mapping
from obverse.core.loads import BadMapping, Mapping, Wishes, guessed, named, to_tree
from obverse.settings import Settings

SOME_REFUSED: Final = 2
STOPPED: Final = 130
_GRACE: Final = 10.0
"""Seconds in which what is on its way is answered after a signal to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command was given."""

    path: Path
    told: Told = field(default_factory=Told)
    wishes: Wishes = field(default_factory=Wishes)
    mapping: Path | None = None
    save_mapping: Path | None = None
    collector: str | None = None
    write_key: str | None = None
    source: str | None = None
    beside: Path | None = None
    dry_run: bool = False
    rows: int | None = None
    restart: bool = False
    yes: bool = False
    lifeline: bool = False
    """Whether to stop when stdin ends."""
    as_json: bool = False


async def load(settings: Settings, asked: Asked) -> int:
    """
    Show what the file is taken for; then bring it in, or, if that is asked for, only say what would come of it.

    Returns:
        0 if every row is taken, 2 if some are refused, 130 if it was stopped.

    Raises:
        UnreadableFile, BadMapping, BadLoad: with what to do.
        AccessRefused, Unreachable: the collector does not take it.
    """
    console = Console(stderr=True)
    rows = open_rows(asked.path, asked.told)
    try:
        mapping = _mapping(rows, asked)
    except BadMapping as error:
        if asked.dry_run and asked.as_json:
            # Whoever is to correct it has to see what there is.
            write_json(
                {
                    **_told(rows, named(rows.columns)),
                    **msgspec.structs.asdict(Trial(whole=False)),
                    "message": str(error),
                }
            )
        raise
    if asked.save_mapping is not None:
        write_mapping(asked.save_mapping, mapping)
    if not asked.as_json:
        show_mapping(console, rows, mapping)
    if asked.dry_run:
        return _try(console, rows, mapping, asked)
    made = _made(console, settings, asked)
    question = f"Load {asked.path.name}{made}?"
    if not asked.yes and sys.stdin.isatty() and not typer.confirm(question, err=True):
        raise BadLoad("nothing was loaded; correct what is wrong with --map, --type, --skip, or say --dry-run")
    outcome = await _load(console, settings, rows, mapping, asked)
    if asked.as_json:
        write_json(msgspec.to_builtins(outcome))
    else:
        show_outcome(console, outcome)
    if not outcome.done:
        return STOPPED
    return SOME_REFUSED if outcome.refused else 0


def _made(console: Console, settings: Settings, asked: Asked) -> str:
    """Tell that the source is a new one beside others, since a typing error would load everything again as it."""
    from obverse.apps.loads.keys import others_beside

    if asked.source is None or asked.write_key is not None or not (others := others_beside(settings, asked.source)):
        return ""
    show_new_source(console, asked.source, others)
    return f" as the new source {asked.source}"


def _mapping(rows: RowFile, asked: Asked) -> Mapping:
    if asked.mapping is None:
        return guessed(rows.columns, rows.sample(), asked.wishes)
    if asked.wishes != Wishes():
        raise BadMapping("a mapping is a file or options, not both: change the file, or leave --mapping out")
    return read_mapping(asked.mapping, rows.columns)


def _try(console: Console, rows: RowFile, mapping: Mapping, asked: Asked) -> int:
    trial = try_out(rows, mapping, limit=asked.rows)
    if asked.as_json:
        write_json({**_told(rows, mapping), **msgspec.structs.asdict(trial)})
    else:
        show_trial(console, trial)
    return SOME_REFUSED if trial.refused else 0


def _told(rows: RowFile, mapping: Mapping) -> dict[str, Any]:
    return {
        "file": str(rows.path),
        "format": rows.format,
        "columns": list(rows.columns),
        "notes": list(rows.notes),
        "doubts": {name: column.note for name, column in mapping.columns.items() if column.note},
        "mapping": to_tree(mapping),
    }


async def _load(console: Console, settings: Settings, rows: RowFile, mapping: Mapping, asked: Asked) -> Outcome:
    # A dry run needs neither HTTP nor an installation.
    from obverse.apps.loads.door import open_door
    from obverse.apps.loads.keys import collector_of, key_of, source_of

    runtime = open_runtime()
    stop = processes.stop_on_signals(0 if asked.lifeline else None)
    key = key_of(settings, asked.write_key, asked.source)
    collector, place = collector_of(settings, asked.collector)
    async with open_door(collector, key) as door:
        own = asked.write_key is None and settings.load.write_key is None
        source = await source_of(door, runtime, new=own)
        with progress_bar(console, rows, runtime) as bar:
            order = Order(
                rows=rows,
                mapping=mapping,
                collector=collector,
                installation=place,
                source=source,
                folder=asked.beside or asked.path.parent,
                restart=asked.restart,
                digesting=bar.digested,
                progress=bar.update,
                stopped=stop.is_set,
            )
            outcome = await _unless_stopped(run_load(door, order, runtime), stop)
            if outcome.already:
                bar.nothing_to_do()
            return outcome


async def _unless_stopped(loading: Coroutine[Any, Any, Outcome], stop: asyncio.Event) -> Outcome:
    """Let it end by itself once it is to stop, and by force if it still waits for an answer a while later."""
    task, stopping = asyncio.ensure_future(loading), asyncio.ensure_future(stop.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    _, waiting = await asyncio.wait([task], timeout=_GRACE if stop.is_set() else None)
    if waiting:
        task.cancel()
        await asyncio.wait([task])
        raise BadLoad("stopped while the collector did not answer; the same command goes on from what is settled")
    return task.result()


def pairs(given: Sequence[str], option: str) -> Tree[str, str]:
    """
    What an option that may be given more than once says: `NAME=VALUE` each.

    Raises:
        BadMapping: one is no such pair, or a name comes twice.
    """
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=") if option == "--map" else one.rpartition("=")
        if not equals or not name or not value or name in found:
            raise BadMapping(f"{option} {one!r}: write NAME=VALUE, each name once")
        found[name] = value
    return found

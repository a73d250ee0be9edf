"""`obverse dry-run`: who would merge and who would split under other identity rules, before they are switched on."""

from __future__ import annotations

import sys
from collections.abc import Sized
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from obverse.adapters.definition_files import read_folder
from obverse.apps.cli.reachable import reachable
from obverse.core.dry_run import Cluster, Comparison, Missing, Pair
from obverse.core.identity import IdentityRules
from obverse.flows.dry_run import DryRunParts, DryRunReport, dry_run
from obverse.settings import Settings
from obverse.wiring import Wiring, trait_kinds

OTHERWISE: Final = 2
"""Exit code if somebody would merge, split or vanish; 1 is an error."""
_SHORT: Final = 4
"""Entries that one cell of a table has room for."""


async def run(settings: Settings, folder: Path | None, *, as_json: bool) -> int:
    """
    Hold the rules of a folder (those in force, if none is named) against the log of an installation.

    Returns:
        0 if everybody would be who they are, `OTHERWISE` if not.

    Raises:
        BadDefinition: a definition cannot be used.
        Unreachable, ServerFailed: the database is away, or was never made.
        LogGap, UnknownMark: the log lacks what is to be read.
    """
    rules = None if folder is None else read_folder(folder, trait_kinds()).identity
    async with reachable(settings) as wiring:
        report = await _report(wiring, rules)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _tell(report)
    return 0 if report.comparison.alike else OTHERWISE


async def _report(wiring: Wiring, rules: IdentityRules | None) -> DryRunReport:
    columns = TextColumn("reading the log"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with AsyncExitStack() as stack:
        definition_store = await wiring.definition_store()
        stack.push_async_callback(definition_store.close)
        following = wiring.definitions(definition_store)
        await following.open()
        definitions = following.current()
        log = await wiring.whole_log()
        stack.push_async_callback(log.close)
        store = await wiring.profile_store()
        stack.push_async_callback(store.close)
        bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        reading = bar.add_task("", total=None)
        parts = DryRunParts(
            workspace=wiring.settings.workspace,
            log=log,
            store=store,
            definitions=definitions,
            progress=lambda done, whole: bar.update(reading, completed=done, total=whole),
        )
        return await dry_run(parts, definitions.identity if rules is None else rules)


def _tell(report: DryRunReport) -> None:
    # What people sent is told as they sent it, and is no markup of ours.
    console, found = Console(markup=False, emoji=False, highlight=False), report.comparison
    _tell_rules(console, report)
    _tell_log(console, report)
    _tell_sides(console, found)
    _tell_merges(console, found)
    _tell_splits(console, found)
    if found.alike:
        console.print("Nobody would merge, split or vanish.")


def _tell_rules(console: Console, report: DryRunReport) -> None:
    if not report.differences:
        console.print("The rules are those in force.")
        return
    table = Table("rule", "in force", "tried", title="Rules that differ", title_justify="left")
    for one in report.differences:
        table.add_row(one.rule, one.in_force, one.tried)
    console.print(table)


def _tell_log(console: Console, report: DryRunReport) -> None:
    log = report.log
    console.print(f"{log.events:,} events of people were decided upon; nothing was written.")
    for count, what in (
        (log.rejected, "were rejected by a tracking plan"),
        (log.unidentified, "show nothing that identifies anybody"),
        (log.damaged, "cannot be read"),
        (log.waiting, "came after the last checkpoint, and were not looked at"),
    ):
        if count:
            console.print(f"{count:,} {what}.")
    if log.trimmed:
        where = ", ".join(f"partition {partition} before {first:,}" for partition, first in log.trimmed.items())
        console.print(
            f"The log was trimmed ({where}): what people showed only then is not known here, and is told as gone."
        )


def _tell_sides(console: Console, found: Comparison) -> None:
    before, after = found.before, found.after
    table = Table("", "today", "under these rules", title="Who there is", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("people", f"{before.people:,}", f"{after.people:,}")
    table.add_row("identifiers", f"{before.identifiers:,}", f"{after.identifiers:,}")
    table.add_row("identifiers set aside", f"{before.set_aside:,}", f"{after.set_aside:,}")
    for rule in sorted({*before.refused, *after.refused}):
        table.add_row(f"pairs refused: {rule}", f"{before.refused.get(rule, 0):,}", f"{after.refused.get(rule, 0):,}")
    console.print(table)
    table = Table("today", "under these rules", title="The largest", title_justify="left")
    for place in range(max(len(before.largest), len(after.largest))):
        table.add_row(*(_cluster(side.largest[place]) if place < len(side.largest) else "" for side in (before, after)))
    console.print(table)
    _tell_missing(console, found.gone, "that somebody has would be nobody's")
    _tell_missing(console, found.come, "that nobody has would be somebody's")
    if found.vanished:
        console.print(f"{found.vanished:,} people would vanish: all of their identifiers would be nobody's.")


def _tell_missing(console: Console, missing: Missing, what: str) -> None:
    if missing.count:
        console.print(f"{missing.count:,} identifiers {what}: {_some(missing.shown, missing.count)}")


def _tell_merges(console: Console, found: Comparison) -> None:
    if not found.merges:
        return
    title = f"{found.merged:,} people would become {found.merges:,}{_of(found.largest_merges, found.merges)}"
    table = Table("people", "who", "because", title=title, title_justify="left", show_lines=True)
    for one in found.largest_merges:
        who = "\n".join(_cluster(person) for person in one.of[:_SHORT])
        table.add_row(f"{one.people:,}", who, _pairs(one.because))
    console.print(table)


def _tell_splits(console: Console, found: Comparison) -> None:
    if not found.split:
        return
    title = f"{found.split:,} people would become several{_of(found.largest_splits, found.split)}"
    table = Table("people", "who", "parts", "refused", title=title, title_justify="left", show_lines=True)
    for one in found.largest_splits:
        parts = "\n".join(_cluster(part) for part in one.parts[:_SHORT])
        table.add_row(f"{one.people:,}", _cluster(one.person), parts, _pairs(one.because))
    console.print(table)


def _of(shown: Sized, count: int) -> str:
    told = len(shown)
    return f" (the largest {told})" if told < count else ""


def _cluster(one: Cluster) -> str:
    return _some(one.shown, one.identifiers)


def _some(identifiers: list[str], count: int) -> str:
    told = [_plain(one) for one in identifiers[:_SHORT]]
    more = count - len(told)
    return ", ".join(told) + (f" and {more:,} more" if more else "")


def _pairs(pairs: list[Pair]) -> str:
    return "\n".join(
        f"{_plain(one.a)} + {_plain(one.b)}\n  {one.rule}, event {_plain(one.event)}, {one.at}"
        for one in pairs[:_SHORT]
    )


def _plain(text: str) -> str:
    """A text as a terminal may show it: whoever sent it might have sent what a terminal obeys."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in text)

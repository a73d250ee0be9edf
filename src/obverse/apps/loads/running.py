"""A load from its beginning to its end: what was asked for, tried out or done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from obverse.adapters.row_files import RowFile, UnreadableFile, digest_of_file
from obverse.apps.loads.record import BadLoad, Entry, Record, claimed
from obverse.apps.loads.reject_file import RejectFile
from obverse.core import times
from obverse.core.flaws import readable
from obverse.core.loads import (
    ANONYMOUS_ID,
    EVENT,
    MESSAGE_ID,
    TIMESTAMP,
    USER_ID,
    Mapping,
    Refusal,
    Row,
    Translator,
    digest_of,
    to_tree,
)
from obverse.flows.load import Door, Load, Standing
from obverse.ports.runtime import Runtime

FIRST: Final = 3
"""Rows that are shown as events."""
_REASONS: Final = 100
"""Different refusals that a trial keeps apart."""
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+")


class Reason(msgspec.Struct):
    """Rows that are refused for the same."""

    column: str
    reason: str
    """Of the first of them."""
    line: int
    """Of the first of them."""
    rows: int = 0


class Trial(msgspec.Struct):
    """What would be sent."""

    taken: int = 0
    refused: int = 0
    events: list[msgspec.Raw] = msgspec.field(default_factory=list)
    """The first ones."""
    reasons: list[Reason] = msgspec.field(default_factory=list)
    whole: bool = True
    """Whether every row was looked at."""


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a load."""

    file: str
    source: str
    collector: str
    taken: int
    refused: int
    rejects: str | None
    done: bool
    already: bool = False
    """Whether an earlier run had done all of it."""
    seconds: float = 0.0
    rows_per_second: int = 0
    """Of this run, what an earlier one did left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be loaded, and how it is told."""

    rows: RowFile
    mapping: Mapping
    collector: str
    installation: str
    """What the record calls where it goes."""
    source: str
    folder: Path
    """Of the record and the reject file."""
    restart: bool = False
    digesting: Callable[[int], None] = field(default=lambda _: None)
    """Told how many bytes were read to know the file again."""
    progress: Callable[[Standing], None] = field(default=lambda _: None)
    stopped: Callable[[], bool] = field(default=lambda: False)


def try_out(rows: RowFile, mapping: Mapping, *, limit: int | None = None) -> Trial:
    """
    Make events of the rows, of the first `limit` if one is given, and send none.

    Raises:
        UnreadableFile: the rest of it cannot be read.
    """
    translate, trial = Translator(mapping, file=digest_of_file(rows.path)), Trial()
    reasons: dict[tuple[str, str], Reason] = {}
    every: Iterable[Row] = rows.rows()
    for row in every if limit is None else islice(every, limit):
        try:
            event = translate(row)
        except Refusal as refusal:
            trial.refused += 1
            # Refusals quote what was wrong: those that say the same of other values are one.
            kind = (refusal.column, _QUOTED.sub("", refusal.reason))
            if kind in reasons or len(reasons) < _REASONS:
                found = reasons.setdefault(kind, Reason(refusal.column, refusal.reason, row.line))
                found.rows += 1
        else:
            trial.taken += 1
            if len(trial.events) < FIRST:
                trial.events.append(msgspec.Raw(event))
    trial.whole = limit is None or trial.taken + trial.refused < limit
    trial.reasons = sorted(reasons.values(), key=lambda one: -one.rows)
    return trial


async def run_load(door: Door, order: Order, runtime: Runtime) -> Outcome:
    """
    Bring it in, from where an earlier run of the same came to.

    Raises:
        BadLoad: it cannot begin or go on as asked.
        UnreadableFile: the rest of it cannot be read; what came before is in.
        AccessRefused, Unreachable: the collector does not take it; what is settled is noted.
    """
    with claimed(order.rows.path):
        stamp = _stamp(order.rows.path)
        record = Record(order.rows.path, order.folder)
        digest = digest_of_file(order.rows.path, order.digesting)
        key = f"{order.installation} {order.source} {order.mapping.type} {order.mapping.event}".rstrip()
        entry = _entry(record, key, order, digest, runtime.now())
        standing = entry.standing
        if standing.done:
            return _outcome(order, entry, already=True)
        rejects = RejectFile(order.folder / entry.rejects, order.rows, size=standing.rejects_bytes)

        def keep(now: Standing) -> None:
            now.position = 1.0 if now.done else order.rows.position
            record.keep()

        keep(standing)
        load = Load(
            door,
            rejects,
            runtime=runtime,
            keep=keep,
            column_of=_columns(order.mapping),
            progress=order.progress,
        )
        before, began = standing.taken + standing.refused, runtime.elapsed()
        translate = Translator(order.mapping, file=digest)
        try:
            await load.run(_unchanged(order.rows, stamp), translate, standing, order.stopped)
        finally:
            rejects.close()
        seconds = runtime.elapsed() - began
        found = _outcome(order, entry)
        found.seconds = round(seconds, 2)
        found.rows_per_second = round((found.taken + found.refused - before) / seconds) if seconds else 0
        return found


def _unchanged(rows: RowFile, stamp: tuple[int, int]) -> Iterator[Row]:
    """The rows; at the end the file must be what it was when its digest was made, for it may have lost some."""
    yield from rows.rows()
    if _stamp(rows.path) != stamp:
        raise UnreadableFile(
            f"{rows.path} was changed while it was read, so that rows of it may be missing: see that nobody writes to "
            "it, and say --restart to begin anew"
        )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns


_LONGEST_NAME: Final = 150
_LONGEST_SLUG: Final = 60
"""Of the name of a reject file, which may have 255 bytes in all."""


def _entry(record: Record, key: str, order: Order, digest: str, now: int) -> Entry:
    """The record's entry of this load: that of an earlier run, if it is the same load; else a new one."""
    mapping = digest_of(msgspec.json.encode(to_tree(order.mapping)).decode())
    name = readable(order.rows.path.name)
    short = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
    known = record.find(key)
    if known is not None and not order.restart:
        said = f"{known.standing.taken:,} of its rows came in"
        if known.file != digest:
            raise BadLoad(f"{name} has changed since {known.began}, when {said}: say --restart to begin anew")
        if known.mapping != mapping:
            raise BadLoad(
                f"{name} was loaded with another mapping on {known.began}, and {said}: say --restart to begin anew "
                "with this one, or give the same options"
            )
        return known
    what = order.mapping.event if order.mapping.type == "track" and order.mapping.event else order.mapping.type
    slug = re.sub(r"[^a-z0-9]+", "-", what.casefold()).strip("-")[:_LONGEST_SLUG] or order.mapping.type
    rejects = record.reject_path(key, f"{short}.{slug}{order.rows.rejects_suffix}")
    entry = Entry(file=digest, mapping=mapping, rejects=rejects, began=times.to_text(now), standing=Standing())
    record.begin(key, entry)
    return entry


def _outcome(order: Order, entry: Entry, *, already: bool = False) -> Outcome:
    standing = entry.standing
    return Outcome(
        file=str(order.rows.path),
        source=order.source,
        collector=order.collector,
        taken=standing.taken,
        refused=standing.refused,
        rejects=str(order.folder / entry.rejects) if standing.refused else None,
        done=standing.done,
        already=already,
    )


def _columns(mapping: Mapping) -> Callable[[str], str]:
    """Which column a JSON path of an event came from."""
    fields: dict[str, Any] = {
        "$.userId": mapping.column_of(USER_ID),
        "$.anonymousId": mapping.column_of(ANONYMOUS_ID),
        "$.event": mapping.column_of(EVENT),
        "$.timestamp": mapping.column_of(TIMESTAMP),
        "$.messageId": mapping.column_of(MESSAGE_ID),
    }
    main = "traits" if mapping.type == "identify" else "properties"

    def column_of(path: str) -> str:
        if path in fields:
            return fields[path] or ""
        return mapping.column_of(path.removeprefix(f"$.{main}.")) or ""

    return column_of

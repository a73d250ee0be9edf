"""Steps of the tests of loads: files, and a collector's door that does as it is told."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from obverse.adapters.row_files import Told, open_rows
from obverse.adapters.runtime.system import SystemRuntime
from obverse.core.loads import Mapping, Row, Translator, Wishes, guessed
from obverse.flows.load import Denied, Standing

PEOPLE = "Customer ID,E-Mail,First Name,Plan\n"
Answer = Callable[[list[dict[str, Any]]], Sequence[Denied]]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """A file of this content; packed, if its name says so."""
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def read(path: Path, **told: Any) -> list[Row]:
    return list(open_rows(path, Told(**told)).rows())


def mapped(path: Path, **wishes: Any) -> Mapping:
    rows = open_rows(path)
    return guessed(rows.columns, rows.sample(), Wishes(**wishes))


def events_of(path: Path, **wishes: Any) -> list[dict[str, Any]]:
    """The events that are made of a file's rows, none of which is to be refused."""
    rows = open_rows(path)
    translate = Translator(guessed(rows.columns, rows.sample(), Wishes(**wishes)), file="digest")
    return [msgspec.json.decode(translate(row)) for row in rows.rows()]


def flaws_of(path: Path) -> list[tuple[int, str]]:
    """Line and reason of each row that is none."""
    return [(row.line, row.flaw.reason) for row in read(path) if row.flaw is not None]


class HastyRuntime(SystemRuntime):
    """Sleeps take no time but by its own clock, and are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(1)
        self.slept: list[float] = []

    def elapsed(self) -> float:
        return super().elapsed() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        await super().sleep(0)


class ToldDoor:
    """A collector's door: what it answers is said beforehand, one answer a request; then it takes everything."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.events: list[dict[str, Any]] = []
        """What was taken, in the order of arrival."""
        self.requests = 0

    async def post(self, body: bytes) -> Sequence[Denied]:
        self.requests += 1
        batch: list[dict[str, Any]] = msgspec.json.decode(body)["batch"]
        denied: Sequence[Denied] = ()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            denied = answer(batch)
        places = {one.index for one in denied}
        self.events += [event for place, event in enumerate(batch) if place not in places]
        return denied

    @property
    def users(self) -> list[str]:
        return [event["userId"] for event in self.events]


class Kept:
    """A standing as it was noted last, and as it would be read again."""

    def __init__(self) -> None:
        self.standing = Standing()
        self.notes = 0

    def __call__(self, standing: Standing) -> None:
        self.notes += 1
        self.standing = msgspec.convert(msgspec.to_builtins(standing), Standing)

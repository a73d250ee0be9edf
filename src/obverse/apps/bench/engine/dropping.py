"""
What a job gives slices to while its engine is measured alone: the real machine, whose words are dropped.

What was folded is packed in full, and a line of a few bytes goes out in its place, until the items of the paced phase
come. Runs in the engine's own environment, imported by the name of its file, with a module `dropping_told` beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from struct import Struct
from typing import Any, Final

import msgspec

from obverse.adapters._buckets.shelves import Outcome, Shelf

LINE: Final = Struct(">cIId")
"""A letter; how many items were done, in how many bytes that is told, and the seconds of CPU that it took."""
LETTER: Final = b"D"
"""Begins nothing that was folded."""
_FIRST: Final = slice(5, 13)
"""Where a slice has the number of the first item of its turn."""


class _Begun(msgspec.Struct, array_like=True):
    """How `Folded` begins; the rest is passed over."""

    format: int
    bucket: int
    done: list[int]


_decoder = msgspec.msgpack.Decoder(_Begun)


def done_of(record: bytes) -> list[int]:
    """The numbers of the items of a record of what was folded."""
    return _decoder.decode(record).done


def told(hosted: str, until: int) -> str:
    """The text of `dropping_told`: the module that opens the real ones, and from which item on nothing is dropped."""
    return f"HOSTED = {hosted!r}\nUNTIL = {until}\n"


def open_cutter(workspace: str, kept: bytes) -> Any:
    """The real cutter."""
    return _real().open_cutter(workspace, kept)


def machines(workspace: str, trait_modules: Sequence[str]) -> Callable[[int, Shelf], Any]:
    """What makes the machine of a bucket over its shelf."""
    real, until = _real().machines(workspace, trait_modules), import_module("dropping_told").UNTIL
    return lambda bucket, shelf: Dropping(real(bucket, shelf), until)


def _real() -> Any:
    return import_module(import_module("dropping_told").HOSTED)


class Dropping:
    """A machine, of whose words only how many they are goes out."""

    def __init__(self, machine: Any, until: int) -> None:
        self._machine = machine
        self._until = until
        self._passes = False
        self._took = 0.0

    def take(self, record: bytes) -> Outcome:
        """See `BucketMachine.take`."""
        began = time.thread_time()
        outcome: Outcome = self._machine.take(record)
        self._took += time.thread_time() - began
        if record[:1] == b"S" and int.from_bytes(record[_FIRST], "big") >= self._until:
            self._passes = True
        if self._passes or not outcome.folded:
            return outcome
        line = LINE.pack(LETTER, len(done_of(outcome.folded)), len(outcome.folded), self._took)
        self._took = 0.0
        return Outcome(line, outcome.moves)

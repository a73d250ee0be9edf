"""One bucket's part of a micro-batch: its records in their one order, through its machine."""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from typing import Any, Final, NamedTuple, Protocol

from obverse.adapters.spark.shelf import LateShelf, StateMap

MOVE: Final = 0
"""The source of a record of `moves`; those of a micro-batch go before its slices, so that what waits goes on."""
SLICE: Final = 1

_IDLE: Final = 600.0
"""Seconds after which a machine whose bucket is folded elsewhere by now is let go of."""
_NONCE: Final = 16


class Arrival(NamedTuple):
    """A record for a bucket, with what orders it: the same micro-batch done again is done in the same order."""

    source: int
    """`MOVE` or `SLICE`."""
    partition: int
    place: int
    """Its Kafka offset, or that of the record of `routed` that it was cut from."""
    step: int
    """Which of that record's slices."""
    record: bytes


class Leaving(NamedTuple):
    """A record for Kafka."""

    topic: str
    key: bytes
    """The bucket, in four bytes: so a bucket's records stay in one partition and in their order."""
    value: bytes


class Mark(Protocol):
    """A few bytes that are committed with the state."""

    def read(self) -> bytes | None:
        """What was written last in a micro-batch that was committed, or in this one."""
        ...

    def write(self, value: bytes) -> None:
        """Keep this instead."""
        ...


class State(NamedTuple):
    """What the state store keeps of one bucket."""

    shelf: StateMap
    mark: Mark


@dataclass(slots=True)
class _Awake:
    """A machine that waits in this process for its bucket's next micro-batch."""

    nonce: bytes
    """What the state's mark is if it is the state that the machine left."""
    machine: Any
    shelf: LateShelf
    used: float


_LOOK: Final = 64
"""Tasks of which the last is looked through after it."""

_tasks = count(1)
_awake: dict[tuple[str, int], _Awake] = {}
"""By checkpoint and bucket. A process of Spark's Python folds for many micro-batches, one task at a time."""


class Folding:
    """What the job is told, and the machines made after it."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self._words = words
        self._topics: Mapping[str, str] = words["topics"]

    def fold(self, bucket: int, arrivals: Iterable[Arrival], state: State) -> Iterator[Leaving]:
        """
        Take one bucket's records of a micro-batch, and give what goes to Kafka.

        A machine of an earlier micro-batch is used again only if the state's mark is the number drawn when it
        was put back: no other process, failed attempt or older checkpoint can have left the same.
        """
        here = str(self._words["checkpoint"]), bucket
        awake = self._wake(here, state)
        head = bucket.to_bytes(4, "big")
        # Spark brings what comes over several wires as it comes.
        for arrival in sorted(arrivals):
            outcome = awake.machine.take(arrival.record)
            if outcome.folded:
                yield Leaving(self._topics["folded"], head, outcome.folded)
            for other, record in outcome.moves:
                yield Leaving(self._topics["moves"], other.to_bytes(4, "big"), record)
        awake.shelf.write()
        awake.nonce = secrets.token_bytes(_NONCE)
        state.mark.write(awake.nonce)
        _put_back(here, awake)

    @staticmethod
    def rest() -> None:
        """
        Be told that a task is over.

        After each, pyspark has the collector look through everything, a quarter of a second for what is awake. So what
        there is by now is kept out of its sight, but for one look in many: what pyspark itself leaves lying in circles
        is found then.
        """
        if next(_tasks) % _LOOK:
            gc.freeze()
        else:
            gc.unfreeze()

    def _wake(self, here: tuple[str, int], state: State) -> _Awake:
        """The bucket's machine over its state. It is put back only once all went well."""
        awake = _awake.pop(here, None)
        if awake is not None and awake.nonce == state.mark.read():
            awake.shelf.state = state.shelf
            return awake
        shelf = LateShelf(state.shelf)
        words = self._words
        machine = _machines(words["hosted"], words["workspace"], tuple(words["trait_modules"]))(here[1], shelf)
        return _Awake(b"", machine, shelf, 0.0)


@cache
def _machines(module: str, workspace: str, trait_modules: tuple[str, ...]) -> Callable[[int, LateShelf], Any]:
    """One of a process: definitions are read once."""
    made: Callable[[int, LateShelf], Any] = import_module(module).machines(workspace, trait_modules)
    return made


def _put_back(here: tuple[str, int], awake: _Awake) -> None:
    awake.used = time.monotonic()
    _awake[here] = awake
    for other in [other for other, one in _awake.items() if awake.used - one.used > _IDLE]:
        del _awake[other]

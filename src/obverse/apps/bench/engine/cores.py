"""Who runs on which cores: the engine on its own, all else on what is left (Linux)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of this machine, shared out."""

    engine: frozenset[int]
    others: frozenset[int]
    """Of the broker, and of whoever measures; if the engine has all cores, they share them."""

    def told(self) -> dict[str, Any]:
        """The same, as figures are told with."""
        return {"engine": sorted(self.engine), "broker_and_generator": sorted(self.others)}


def shared_out(count: int) -> Cores:
    """Give an engine so many of the cores that this process may use: the last ones."""
    whole = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(whole[-count:]), frozenset(whole[:-count] or whole))


@contextlib.contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """Have this thread, and what is started by it meanwhile, run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

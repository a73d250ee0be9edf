"""What folds in Flink and in Spark for the suite of engines, whose definitions were never written as documents."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from obverse.adapters._buckets.cutting import Cutter, place_of
from obverse.adapters._buckets.machine import BucketMachine
from obverse.adapters._buckets.shelves import Shelf
from obverse.core.definitions import Definitions, define
from obverse.core.traits.calendars import PERIODS, Calendar


def written(definitions: Definitions) -> bytes:
    """As much of them as the fold looks at."""
    one, text = definitions, io.BytesIO()
    _Pickler(text).dump((one.traits, one.audiences, one.identity, one.beside, one.beside_version))
    return text.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, one: Any) -> Any:
        """Say of calendars how they were made: what they work with has no name."""
        if isinstance(one, Calendar):
            (period,) = (name for name, days in PERIODS.items() if days is one._days)
            return Calendar, (period, one._zone)
        return NotImplemented


def _read(_version: int, text: bytes) -> Definitions:
    traits, audiences, identity, beside, version = pickle.loads(text)
    return define(traits=traits, audiences=audiences, identity=identity, beside=beside, beside_version=version)


def open_cutter(workspace: str, kept: bytes) -> Cutter:
    """As the jobs' own."""
    return Cutter(place_of(workspace), kept)


def machines(workspace: str, trait_modules: Sequence[str]) -> Callable[[int, Shelf], BucketMachine]:
    """As the jobs' own, but for the definitions."""
    assert not trait_modules
    return lambda bucket, shelf: BucketMachine(bucket, shelf, workspace=workspace, read=_read, awake=7)

"""What folds in Flink for the suite of engines, whose definitions were never written as documents."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence

from obverse.adapters._buckets.machine import BucketMachine, Shelf
from obverse.adapters.flink.folding import open_cutter
from obverse.core.definitions import Definitions, define

__all__ = ["machines", "open_cutter", "written"]


def written(definitions: Definitions) -> bytes:
    """As much of them as the fold looks at."""
    one = definitions
    return pickle.dumps((one.traits, one.audiences, one.identity, one.beside, one.beside_version))


def _read(_version: int, text: bytes) -> Definitions:
    traits, audiences, identity, beside, version = pickle.loads(text)
    return define(traits=traits, audiences=audiences, identity=identity, beside=beside, beside_version=version)


def machines(workspace: str, trait_modules: Sequence[str]) -> Callable[[int, Shelf], BucketMachine]:
    """See `obverse.adapters.flink.folding`."""
    assert not trait_modules
    return lambda bucket, shelf: BucketMachine(bucket, shelf, workspace=workspace, read=_read, awake=7)

"""What the job gives records to: the shared cutter and machine of buckets. A test puts another module in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from obverse.adapters._buckets.cutting import Cutter, place_of
from obverse.adapters._buckets.definitions import OURS, Reading
from obverse.adapters._buckets.machine import BucketMachine, wall_clock
from obverse.adapters._buckets.shelves import Shelf
from obverse.adapters._garbage import look_seldom


def open_cutter(workspace: str, kept: bytes) -> Cutter:
    """Who cuts what was routed in a workspace; goes on with what another one has kept."""
    return Cutter(place_of(workspace), kept)


def machines(workspace: str, trait_modules: Sequence[str]) -> Callable[[int, Shelf], BucketMachine]:
    """What makes the machine of a bucket over its shelf; all of a process share what they have read of definitions."""
    look_seldom()
    read = Reading((*OURS, *trait_modules))
    return lambda bucket, shelf: BucketMachine(bucket, shelf, workspace=workspace, read=read, now=wall_clock)

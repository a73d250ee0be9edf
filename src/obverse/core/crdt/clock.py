"""Stamps, which order writes, and versions, which tell what was folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Stamp(NamedTuple):
    """
    When, by whom and by which event; compared in that order, so that no two writes tie.

    `time` is in microseconds since 1970: the event's corrected time, never later than its arrival.
    """

    time: int
    source: str
    message_id: str


def earliest(one: Stamp | None, other: Stamp | None) -> Stamp | None:
    """The smaller of two stamps; an absent one loses."""
    if one is None or other is None:
        return one or other
    return min(one, other)


def latest(one: Stamp | None, other: Stamp | None) -> Stamp | None:
    """The larger of two stamps; an absent one loses."""
    if one is None or other is None:
        return one or other
    return max(one, other)


def merge_versions(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """
    What either has folded, as {partition: highest offset}.

    A version informs. It never decides whether to pass over an event: after a merge an event still
    on its way to the absorbed profile would be lost.
    """
    merged = dict(one)
    for partition, offset in other.items():
        if offset > merged.get(partition, -1):
            merged[partition] = offset
    return merged

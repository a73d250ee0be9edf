"""Whether memory stays as it is: what each process had in its first minute of a run, and in its last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

Looks = Sequence[tuple[float, Mapping[str, int]]]
"""Seconds since the first look, and the bytes that each process had then."""

MINUTE: Final = 60.0
LONG: Final = 300
"""Seconds from which on a run tells whether memory grows. Before, caches fill and people are met for the first time."""
MOST: Final = 1.25
"""How much more than in its first minute a process may have in its last …"""
LEAST_BYTES: Final = 32 << 20
"""… and what more is never called growth: the answers of a long run alone are that many at the generator."""


def growth(looks: Looks) -> dict[str, dict[str, Any]]:
    """Of each process the median of its first minute and of its last, and what it grew by in a minute between them."""
    end = looks[-1][0]
    firsts, lasts = [look for look in looks if look[0] <= MINUTE], [look for look in looks if look[0] >= end - MINUTE]
    apart = (_middle(lasts) - _middle(firsts)) / MINUTE
    told = {}
    for name in looks[-1][1]:
        first, last = _median(firsts, name), _median(lasts, name)
        told[name] = {
            "first_minute_bytes": first,
            "last_minute_bytes": last,
            "growth_bytes_per_minute": round((last - first) / apart) if end >= 2 * MINUTE else None,
        }
    return told


def grown(looks: Looks, seconds: float) -> list[str]:
    """The flaws that memory of a process is not flat, where the load was sent for long enough to tell."""
    if seconds < LONG:
        return []
    return [
        f"{name} grew from {one['first_minute_bytes']:,} bytes in its first minute to {one['last_minute_bytes']:,} in "
        f"its last, {one['growth_bytes_per_minute']:,} a minute"
        for name, one in growth(looks).items()
        if one["last_minute_bytes"] > max(MOST * one["first_minute_bytes"], one["first_minute_bytes"] + LEAST_BYTES)
    ]


def _middle(looks: Looks) -> float:
    return (looks[0][0] + looks[-1][0]) / 2


def _median(looks: Looks, name: str) -> int:
    return round(median([sizes[name] for _, sizes in looks if name in sizes] or [0]))

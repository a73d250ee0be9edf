"""Rules: what identifies anybody, and how much of it one profile may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LONGEST: Final = 400
"""Characters of the longest value that identifies anybody."""

KINDS: Final = ("user_id", "email", "anonymous_id")
"""Kinds of identifier, the strongest first."""

_BLOCKED_ANY_CASE: Final = frozenset(
    [
        "anonymous",
        "guest",
        "distinctid",
        "distinct_id",
        "id",
        "not_authenticated",
        "email",
        "undefined",
        "true",
        "false",
    ]
)
_BLOCKED: Final = frozenset({"[object Object]", "-1", "NaN", "None", "none", "null"})
_LONGEST_BLOCKED: Final = max(map(len, _BLOCKED_ANY_CASE))
"""No longer text is one of these in any case: in lower case a text has at least as many characters."""
_QUOTES: Final = "'\""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many values of one kind a profile may have."""

    values: int
    within: int | None = None
    """Of those shown first within so many seconds before the event; None: ever."""


_DAY: Final = 24 * 3600
LIMITS: Final[Mapping[str, Limit]] = {
    "user_id": Limit(1),
    "email": Limit(5, 365 * _DAY),
    "anonymous_id": Limit(5, 7 * _DAY),
}
"""What Segment recommends."""


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """The workspace's own rules."""

    blocked: frozenset[str] = frozenset()
    """Values that identify nobody, beside those that never do."""
    limits: Mapping[str, Limit] = field(default_factory=lambda: LIMITS)
    """By kind; a kind without one has none."""
    merges: int = 100
    """How often a profile may take in another one."""
    identifiers: int = 1000
    """How many a profile may have."""


def is_blocked(value: str, rules: IdentityRules) -> bool:
    """
    Whether a value identifies nobody: a placeholder that many share.

    Segment's and PostHog's lists, also in quotes; zeroes and dashes; blank; longer than `LONGEST`.

    >>> [is_blocked(value, IdentityRules()) for value in ("ada", "null", "0000-0000", '"Guest"', " ")]
    [False, True, True, True, True]
    """
    bare = value.strip()
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        bare = bare[1:-1].strip()
    return (
        not bare.strip("0-")
        or len(value) > LONGEST
        or bare in _BLOCKED
        or (len(bare) <= _LONGEST_BLOCKED and bare.lower() in _BLOCKED_ANY_CASE)
        or value in rules.blocked
    )

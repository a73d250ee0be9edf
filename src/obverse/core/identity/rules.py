"""Rules: what identifies anybody, and how much of it one profile may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from obverse.core.identity.kinds import BUILT_IN, KINDS, STRONGEST, Kind

LONGEST: Final = 400
"""Characters of the longest value that identifies anybody."""

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
    **dict.fromkeys(sorted(BUILT_IN - {"user_id", "email", "anonymous_id"}), Limit(5)),
}
"""What Segment recommends."""
OTHERS: Final = Limit(5)
"""What holds for a kind that the workspace adds, unless it says otherwise."""


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
    shared: int | None = 10
    """How many profiles one identifier may be shown with; with more it is set aside. None: any number."""
    added: tuple[Kind, ...] = ()
    """Kinds of identifier beside those that always count, by name."""
    unique: frozenset[str] = frozenset()
    """Kinds of which a profile has one value: who shows another one is another, and takes what was shown with it."""
    apart: frozenset[tuple[str, str]] = frozenset()
    """Pairs of identifiers, as `edge_key` orders them, that are never tied to each other."""
    isolated: bool = False
    """Whether what names a device is kept apart from what names a person."""
    kinds: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """All kinds, the strongest first: user id, e-mail, then by name."""

    def __post_init__(self) -> None:
        """Put the kinds in their order."""
        names = {*KINDS, *(kind.name for kind in self.added)}
        object.__setattr__(self, "kinds", (*STRONGEST, *sorted(names.difference(STRONGEST))))

    def rank(self, identifier: str) -> int:
        """The place of an identifier's kind, 0 for the strongest; a kind that is not defined any more comes last."""
        kind = identifier.partition(":")[0]
        return self.kinds.index(kind) if kind in self.kinds else len(self.kinds)

    def spelt(self, kind: str, value: str) -> str | None:
        """A value of a kind in the one spelling that events show it in; None if it is none of that kind."""
        if kind in {"user_id", "anonymous_id"}:
            return value  # as they are sent, blanks and all
        added = next((one for one in self.added if one.name == kind), None)
        return (added or Kind(kind, "email" if kind == "email" else "as_sent")).spelt(value)


PRESETS: Final[Mapping[str, IdentityRules]] = {
    "segment": IdentityRules(),
    "unique_user_id": IdentityRules(limits={}, unique=frozenset({"user_id"})),
    "profile_conversion": IdentityRules(limits={"user_id": Limit(1)}, merges=0),
    "profile_isolation": IdentityRules(limits={"user_id": Limit(1)}, isolated=True),
}
"""
Policies by name. `segment`: Segment's, which holds unless another is named. `unique_user_id`: Snowplow's; a user id
never shares a profile with another one, and who is seen last on a device has it. `profile_conversion`: mParticle's;
a profile gains identifiers, and no two ever become one. `profile_isolation`: mParticle's; what names a device and what
names a person are never tied.
"""


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

"""
Conditions: what audiences and traits ask of people and events, as data.

A tree (`parse`, `as_tree`), a function that judges (`compiled`), when time alone may change it (`changing`), why it
holds (`explain`), and the same as a SQL condition (`conditions.sql`).
"""

from obverse.core.conditions.evaluation import changing, compiled, no_circle, subjects
from obverse.core.conditions.explaining import Explanation, explain
from obverse.core.conditions.occurring import Need
from obverse.core.conditions.parsing import BadCondition, did_you_mean, parse, parse_event
from obverse.core.conditions.tree import (
    ATTRIBUTE,
    AUDIENCE,
    CONSENT,
    GROUP,
    IDENTIFIER,
    OCCURRENCES,
    PROPERTY,
    TRAIT,
    Condition,
    Did,
    Events,
    Every,
    Member,
    Not,
    Some,
    Step,
    Steps,
    Test,
    Times,
    as_tree,
    nodes,
    parts_of,
)

__all__ = (
    "ATTRIBUTE",
    "AUDIENCE",
    "CONSENT",
    "GROUP",
    "IDENTIFIER",
    "OCCURRENCES",
    "PROPERTY",
    "TRAIT",
    "BadCondition",
    "Condition",
    "Did",
    "Events",
    "Every",
    "Explanation",
    "Member",
    "Need",
    "Not",
    "Some",
    "Step",
    "Steps",
    "Test",
    "Times",
    "as_tree",
    "changing",
    "compiled",
    "did_you_mean",
    "explain",
    "no_circle",
    "nodes",
    "parse",
    "parse_event",
    "parts_of",
    "subjects",
)

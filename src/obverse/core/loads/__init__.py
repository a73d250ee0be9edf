"""Loads: history in files, row by row, read as the events that an SDK would have sent."""

from obverse.core.loads.mapping import (
    ANONYMOUS_ID,
    EVENT,
    MESSAGE_ID,
    TIMESTAMP,
    USER_ID,
    BadMapping,
    Column,
    Mapping,
    Wishes,
    digest_of,
    from_tree,
    guessed,
    named,
    to_tree,
)
from obverse.core.loads.rows import Cell, Refusal, Row
from obverse.core.loads.translating import Translator
from obverse.core.loads.values import BadType

__all__ = [
    "ANONYMOUS_ID",
    "EVENT",
    "MESSAGE_ID",
    "TIMESTAMP",
    "USER_ID",
    "BadMapping",
    "BadType",
    "Cell",
    "Column",
    "Mapping",
    "Refusal",
    "Row",
    "Translator",
    "Wishes",
    "digest_of",
    "from_tree",
    "guessed",
    "named",
    "to_tree",
]

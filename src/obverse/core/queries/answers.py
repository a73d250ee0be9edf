"""What a query's answer says: whose value is what, and which rows say nothing that can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from obverse.core import json_values
from obverse.core.identity import ID, IdentityRules, id_name, id_named, is_blocked
from obverse.core.queries import VALUE, kind_of

MOST_BYTES: Final = 10_000
"""JSON text of a value."""


@dataclass(slots=True)
class Found:
    """What the rows say, by the name of a person: an identifier, or a profile's own id as `id_name` writes it."""

    values: dict[str, bytes | None] = field(default_factory=dict)
    """JSON text; None where the query says that there is none."""
    doubted: set[str] = field(default_factory=set)
    """Names of which nothing is believed, so that what they have stays: they have two rows, or a value too long."""
    counts: Counter[str] = field(default_factory=Counter)
    """Rows, by what is wrong with them: `unusable`, `twice`."""


def read_answer(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]], rules: IdentityRules) -> Found:
    """
    Return what an answer says.

    Raises:
        BadQuery: its columns are not an identifier and a value.
    """
    kind = kind_of(columns, rules.kinds)
    place = columns.index(VALUE)
    found = Found()
    for row in rows:
        name = _name(kind, row[1 - place], rules)
        if name is None:
            found.counts["unusable"] += 1
            continue
        value = None if row[place] is None else json_values.encode(row[place])
        if name in found.values or name in found.doubted:
            found.counts["twice"] += 1 + (name in found.values)
        elif value is not None and len(value) > MOST_BYTES:
            found.counts["unusable"] += 1
        else:
            found.values[name] = value
            continue
        found.values.pop(name, None)
        found.doubted.add(name)
    return found


def _name(kind: str, sent: Any, rules: IdentityRules) -> str | None:
    if not isinstance(sent, str | int) or isinstance(sent, bool):
        return None
    text = str(sent)
    if kind == ID:
        profile = id_named(f"{ID}:{text.strip().lower()}")
        return None if profile is None else id_name(profile)
    value = rules.spelt(kind, text)
    return None if value is None or is_blocked(value, rules) or is_blocked(text, rules) else f"{kind}:{value}"


@dataclass(frozen=True, slots=True)
class Moves:
    """What differs from what was given before."""

    given: Mapping[str, bytes]
    gone: frozenset[str]
    same: frozenset[str]


def compare(found: Found, before: Mapping[str, bytes]) -> Moves:
    """
    What an answer changes of the values given before.

    >>> compare(Found({"user_id:a": b"2", "user_id:b": b"1"}), {"user_id:b": b"1", "user_id:c": b"3"})
    Moves(given={'user_id:a': b'2'}, gone=frozenset({'user_id:c'}), same=frozenset({'user_id:b'}))
    """
    values = {name: value for name, value in found.values.items() if value is not None}
    same = frozenset(name for name, value in values.items() if before.get(name) == value)
    return Moves(
        given={name: value for name, value in values.items() if name not in same},
        gone=frozenset(before.keys() - values.keys() - found.doubted),
        same=same,
    )

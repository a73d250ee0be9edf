"""Records: what is compared of each profile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from obverse.core import json_values
from obverse.core.matching.fields import FULL_NAME, Field, Kind
from obverse.core.matching.normal import normal

Values = tuple[str | None, ...]
"""Of the fields, in their order: normalised, None where nothing is known."""


@dataclass(frozen=True, slots=True)
class Record:
    """One profile as it is compared."""

    profile: bytes
    values: Values


class Person(Protocol):
    """What is asked of a profile."""

    @property
    def id(self) -> bytes:
        """16 bytes."""
        ...

    @property
    def identifiers(self) -> Collection[str]:
        """`kind:value` each."""
        ...

    def told(self, attribute: str) -> bytes | None:
        """The value of an attribute as it was sent; None if there is none."""
        ...


def record_of(profile: Person, fields: Sequence[Field]) -> Record:
    """What is compared of a profile."""
    values = [_value(profile, one) for one in fields]
    places = {one.kind: place for place, one in enumerate(fields) if one.kind in _NAMES}
    if places and all(values[place] is None for place in places.values()):
        _name(profile, places, values)
    return Record(profile.id, tuple(values))


_NAMES = {Kind.GIVEN_NAME: 0, Kind.FAMILY_NAME: -1}
"""Which word of a full name it is."""


def _name(profile: Person, places: dict[Kind, int], values: list[str | None]) -> None:
    told = profile.told(FULL_NAME)
    full = None if told is None else normal(Kind.GIVEN_NAME, json_values.lenient(told))
    parts = (full or "").split()
    if len(parts) > 1:  # one word alone may be either
        for kind, place in places.items():
            values[place] = parts[_NAMES[kind]]


def _value(profile: Person, field: Field) -> str | None:
    for path in field.attributes:
        found = normal(field.kind, _told(profile, path))
        if found is not None:
            return found
    if field.identifier is not None:
        prefix = f"{field.identifier}:"
        for identifier in sorted(profile.identifiers):
            if identifier.startswith(prefix):
                return normal(field.kind, identifier.removeprefix(prefix))
    return None


def _told(profile: Person, path: str) -> Any:
    name, *keys = path.split(".")
    told = profile.told(name)
    value = None if told is None else json_values.lenient(told)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def basis(one: Values, other: Values) -> bytes:
    """
    What a decision on a pair is based on, as 16 bytes: the values of both, whichever comes first.

    >>> basis(("ada", None), ("eda", None)) == basis(("eda", None), ("ada", None)) != basis(("ada", None), ("ada", ""))
    True
    """
    # Neither control character is in a normalised value.
    texts = sorted("\x1f".join("\x1e" if value is None else value for value in values) for values in (one, other))
    return blake2b("\x1d".join(texts).encode(), digest_size=16).digest()

"""What people are compared by: fields, each of a kind, and the ways in which two values of a kind may agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a field holds; it decides how its values are normalised and compared."""

    GIVEN_NAME = "given_name"
    FAMILY_NAME = "family_name"
    ORGANISATION = "organisation"
    DATE = "date"
    EMAIL = "email"
    PHONE = "phone"
    STREET = "street"
    POSTCODE = "postcode"
    CITY = "city"
    CODE = "code"
    """A number that one person has, such as that of an identity card or a loyalty card."""


class Agreement(StrEnum):
    """How two values of one field agree."""

    SAME = "same"
    SWAPPED = "swapped"
    """Given and family name in each other's place, or day and month."""
    ONE_LETTER = "one_letter"
    """They differ by one letter: put in, left out, changed, or two exchanged."""
    TWO_LETTERS = "two_letters"
    SHORTER = "shorter"
    """One is the beginning of the other."""
    ALIKE = "alike"
    PART = "part"
    """A part of it is the same: the name before the @, two of year, month and day, the street without its number."""
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """One of them has no value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that people are compared by."""

    name: str
    kind: Kind
    attributes: Sequence[str] = ()
    """Where the value is looked for, in this order; `address.city` is the key `city` of the attribute `address`."""
    identifier: str | None = None
    """The kind of identifier that is taken while no attribute has a value."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """The least probability of each tier, that two profiles are one person."""

    exact: float = 0.999
    strict: float = 0.75
    loose: float = 0.3


_FIELDS: Final = (
    Field("given_name", Kind.GIVEN_NAME, ("first_name", "firstName", "firstname", "given_name")),
    Field("family_name", Kind.FAMILY_NAME, ("last_name", "lastName", "lastname", "surname", "family_name")),
    Field("birth_date", Kind.DATE, ("birthday", "birth_date", "birthDate", "date_of_birth", "dateOfBirth", "dob")),
    Field("email", Kind.EMAIL, ("email",), "email"),
    Field("phone", Kind.PHONE, ("phone", "mobilephone", "mobile_phone", "phone_number")),
    Field("street", Kind.STREET, ("address.street", "street", "address1", "street_address")),
    Field(
        "postcode",
        Kind.POSTCODE,
        ("address.postalCode", "address.postal_code", "postal_code", "postcode", "zip", "zip_code"),
    ),
    Field("city", Kind.CITY, ("address.city", "city")),
)
FULL_NAME: Final = "name"
"""The attribute whose first and last word are taken while neither given nor family name is told."""


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """What people are compared by in a workspace, and what becomes of those who match."""

    fields: tuple[Field, ...] = _FIELDS
    tiers: Tiers = field(default_factory=Tiers)
    merge_exact: bool = False
    """Whether pairs of the tier `exact` are merged without a person."""


def replaced(rules: MatchingRules, changes: Mapping[str, Field | None]) -> tuple[Field, ...]:
    """
    The fields with some replaced or added by name; None takes one away.

    >>> card = Field("card", Kind.CODE, ("card",))
    >>> [one.name for one in replaced(MatchingRules(), {"city": None, "card": card})][-2:]
    ['postcode', 'card']
    """
    known: dict[str, Field | None] = {one.name: one for one in rules.fields}
    return tuple(one for one in {**known, **changes}.values() if one is not None)

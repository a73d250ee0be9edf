"""Tiers: how sure a pair is, and what an `exact` one must not have against it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from obverse.core.matching.fields import Agreement, Field, Kind, Tiers


class Tier(StrEnum):
    """How sure it is that two profiles are one person."""

    EXACT = "exact"
    STRICT = "strict"
    LOOSE = "loose"


_SURE: Final = frozenset({Agreement.SAME, Agreement.SWAPPED})
_OPEN: Final = frozenset({Agreement.SAME, Agreement.UNKNOWN})
_NAMED: Final = frozenset({Kind.GIVEN_NAME, Kind.FAMILY_NAME, Kind.ORGANISATION})
_ONE_FOR_LIFE: Final = frozenset({Kind.DATE, Kind.CODE})
_TELLING: Final = frozenset({Kind.DATE, Kind.CODE, Kind.EMAIL, Kind.PHONE})


def tier_of(probability: float, fields: Sequence[Field], agreements: Sequence[Agreement], tiers: Tiers) -> Tier | None:
    """The tier of a pair; None if it is too unlikely to be proposed."""
    if probability >= tiers.exact and beyond_doubt(fields, agreements):
        return Tier.EXACT
    if probability >= tiers.strict:
        return Tier.STRICT
    return Tier.LOOSE if probability >= tiers.loose else None


def beyond_doubt(fields: Sequence[Field], agreements: Sequence[Agreement]) -> bool:
    """
    Whether nothing speaks against a pair, however probable it is.

    Names are known and the same; twins share all but the given name. What a person has once for life, a birth date
    or a code, is the same or unknown. And something that few people share is the same: birth date, code, e-mail or
    phone; of an organisation, its street too.
    """
    told = list(zip(fields, agreements, strict=True))
    names = [agreement for field, agreement in told if field.kind in _NAMED]
    if not names or any(agreement not in _SURE for agreement in names):
        return False
    if any(agreement not in _OPEN for field, agreement in told if field.kind in _ONE_FOR_LIFE):
        return False
    if any(field.kind is Kind.ORGANISATION for field in fields) and not any(
        agreement is Agreement.SAME for field, agreement in told if field.kind is Kind.STREET
    ):
        return False
    return any(agreement is Agreement.SAME for field, agreement in told if field.kind in _TELLING)

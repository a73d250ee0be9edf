"""Reasons: why two profiles are proposed, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from obverse.core.matching.fields import Agreement, Field, Kind
from obverse.core.matching.records import Values

_ORDER: Final = tuple(Agreement)
_CALLED: Final[Mapping[str, str]] = {
    "given_name": "first name",
    "family_name": "surname",
    "email": "e-mail",
    "phone": "phone",
    "birth_date": "birth date",
}
_PARTS: Final[Mapping[Kind, str]] = {
    Kind.EMAIL: "the same before the @",
    Kind.DATE: "the same in two of year, month and day",
    Kind.PHONE: "the same in its last seven digits",
    Kind.STREET: "the same but for the number",
    Kind.ORGANISATION: "the same in some words",
}
_WORDS: Final[Mapping[Agreement, str]] = {
    Agreement.ONE_LETTER: "differs by one letter",
    Agreement.TWO_LETTERS: "differs by two letters",
    Agreement.SHORTER: "is short for the other",
    Agreement.ALIKE: "is alike",
    Agreement.DIFFERENT: "is different",
}


def reasons(fields: Sequence[Field], agreements: Sequence[Agreement], one: Values, other: Values) -> tuple[str, ...]:
    """
    Why a pair is proposed, what speaks for it first, and what speaks against it; what is unknown is left out.

    >>> email, name = Field("email", Kind.EMAIL), Field("family_name", Kind.FAMILY_NAME)
    >>> told = (Agreement.ONE_LETTER, Agreement.SAME)
    >>> reasons((name, email), told, ("alan", "a@b.c"), ("allan", "a@b.c"))
    ('same e-mail', 'surname differs by one letter (alan, allan)')
    """
    told = sorted(zip(agreements, fields, one, other, strict=True), key=lambda each: _ORDER.index(each[0]))
    found = (_reason(field, agreement, left, right) for agreement, field, left, right in told)
    # Both names tell that they are swapped.
    return tuple(dict.fromkeys(reason for reason in found if reason is not None))


def _reason(field: Field, agreement: Agreement, one: str | None, other: str | None) -> str | None:
    called = _CALLED.get(field.name, field.name.replace("_", " "))
    if agreement is Agreement.UNKNOWN:
        return None
    if agreement is Agreement.SAME:
        return f"same {called}"
    if agreement is Agreement.SWAPPED:
        return f"{called} with day and month swapped" if field.kind is Kind.DATE else "first name and surname swapped"
    words = _PARTS.get(field.kind, "is alike") if agreement is Agreement.PART else _WORDS[agreement]
    verb = "is " if agreement is Agreement.PART and field.kind in _PARTS else ""
    return f"{called} {verb}{words} ({_shown(field, one)}, {_shown(field, other)})"


def _shown(field: Field, value: str | None) -> str:
    text = value or ""
    if field.kind is Kind.DATE and len(text) == len("19710624"):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text

"""Levels: how Splink is asked in what way two values agree. SQL of DuckDB; `l` and `r` stand for both values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from obverse.core.matching import Agreement, Field, Kind


@dataclass(frozen=True, slots=True)
class Level:
    """One way to agree; of several that hold, the first counts."""

    agreement: Agreement
    sql: str
    m: float
    """Its share among pairs of one person, as long as the records do not teach otherwise."""
    u: float
    """Its share among pairs of two."""
    by_frequency: bool = False
    """Whether a rare value says more than a frequent one."""


# An edit distance costs as much as all else together, so it is asked for only where it may be small: one edit leaves
# the first letter or the last, and of those that two edits change both few are the same name.
_NEAR: Final = "abs(length({l}) - length({r})) <= 2 and ({l}[1:1] = {r}[1:1] or {l}[-1:] = {r}[-1:]) and "
_ONE: Final = _NEAR + "damerau_levenshtein({l}, {r}) <= 1"
_TWO: Final = _NEAR + "damerau_levenshtein({l}, {r}) <= 2"
_SAME: Final = "{l} = {r}"
_BEGINS: Final = (
    "{l}[1:3] = {r}[1:3] and least(length({l}), length({r})) >= 3 and (starts_with({l}, {r}) or starts_with({r}, {l}))"
)
_ALIKE: Final = "{l}[1:1] = {r}[1:1] and jaro_winkler_similarity({l}, {r}) >= 0.88"

# Dates have eight digits each.
_ONE_DIGIT: Final = "hamming({l}, {r}) <= 1 or (hamming({l}, {r}) = 2 and damerau_levenshtein({l}, {r}) <= 1)"
_TWO_DIGITS: Final = "hamming({l}, {r}) <= 2"
_DAY_AND_MONTH: Final = "{l}[1:4] = {r}[1:4] and {l}[5:6] = {r}[7:8] and {l}[7:8] = {r}[5:6]"
_TWO_PARTS: Final = (
    "({l}[1:4] = {r}[1:4])::integer + ({l}[5:6] = {r}[5:6])::integer + ({l}[7:8] = {r}[7:8])::integer >= 2"
)

# The matcher makes more columns: of an address what is before the @, of a street its number and its words, of an
# organisation the list of its words.
_LOCAL: Final = "{local_l} = {local_r}"
_LOCAL_NEAR: Final = "({local_l}[1:2] = {local_r}[1:2] or {local_l}[-2:] = {local_r}[-2:]) and "
_OF_THE_NAME: Final = "{l} <> {r} and {named_l} and {named_r}"
"""Addresses made of the person's name: that they are alike says what the names say, and must not be said twice."""
_LOCAL_ALIKE: Final = "{local_l}[1:1] = {local_r}[1:1] and jaro_winkler_similarity({local_l}, {local_r}) >= 0.9"
_WORDS_IN: Final = (
    "least(length({l}), length({r})) > 4 and (list_has_all({list_l}, {list_r}) or list_has_all({list_r}, {list_l}))"
)
_TWO_WORDS: Final = "len(list_intersect({list_l}, {list_r})) >= 2"
_STREET_ALIKE: Final = (
    "{number_l} = {number_r} and {words_l}[1:1] = {words_r}[1:1] and (starts_with({words_l}, {words_r}) or "
    "starts_with({words_r}, {words_l}) or damerau_levenshtein({words_l}, {words_r}) <= 2 "
    "or jaro_winkler_similarity({words_l}, {words_r}) >= 0.88)"
)
_STREET_PART: Final = (
    "{words_l} = {words_r} or ({words_l}[1:3] = {words_r}[1:3] and length({words_l}) > 6 and "
    "damerau_levenshtein({words_l}, {words_r}) <= 1)"
)

LEVELS: Final[Mapping[Kind, tuple[Level, ...]]] = {
    Kind.GIVEN_NAME: (
        Level(Agreement.SAME, _SAME, 0.65, 4e-3, by_frequency=True),
        Level(Agreement.SWAPPED, "{swapped}", 0.01, 1e-5),
        Level(Agreement.ONE_LETTER, _ONE + " and greatest(length({l}), length({r})) > 2", 0.12, 3e-3),
        Level(Agreement.SHORTER, _BEGINS, 0.03, 5e-4),
        Level(Agreement.TWO_LETTERS, _TWO + " and least(length({l}), length({r})) > 4", 0.03, 2e-3),
        Level(Agreement.ALIKE, _ALIKE, 0.02, 7e-4),
    ),
    Kind.FAMILY_NAME: (
        Level(Agreement.SAME, _SAME, 0.65, 2e-3, by_frequency=True),
        Level(Agreement.ONE_LETTER, _ONE + " and greatest(length({l}), length({r})) > 2", 0.15, 2e-3),
        Level(Agreement.SHORTER, _BEGINS, 0.01, 3e-4),
        Level(Agreement.TWO_LETTERS, _TWO + " and least(length({l}), length({r})) > 4", 0.04, 2e-3),
        Level(Agreement.ALIKE, _ALIKE, 0.02, 7e-4),
    ),
    Kind.ORGANISATION: (
        Level(Agreement.SAME, _SAME, 0.45, 5e-4, by_frequency=True),
        Level(Agreement.ONE_LETTER, _ONE, 0.04, 1e-4),
        Level(Agreement.TWO_LETTERS, _TWO, 0.03, 2e-4),
        Level(Agreement.PART, _WORDS_IN, 0.15, 1e-3),
        Level(Agreement.ALIKE, _ALIKE, 0.1, 5e-3),
        Level(Agreement.ALIKE, _TWO_WORDS, 0.1, 1e-2),
    ),
    Kind.DATE: (
        Level(Agreement.SAME, _SAME, 0.8, 5e-4, by_frequency=True),
        Level(Agreement.ONE_LETTER, _ONE_DIGIT, 0.06, 1e-3),
        Level(Agreement.SWAPPED, _DAY_AND_MONTH, 0.01, 2e-5),
        Level(Agreement.TWO_LETTERS, _TWO_DIGITS, 0.04, 1.5e-2),
        Level(Agreement.PART, _TWO_PARTS, 0.03, 2e-3),
    ),
    Kind.EMAIL: (
        Level(Agreement.SAME, _SAME, 0.6, 2e-5, by_frequency=True),
        Level(Agreement.ONE_LETTER, _LOCAL_NEAR + _ONE, 0.1, 2e-5),
        Level(Agreement.PART, _LOCAL, 0.06, 3e-4),
        Level(Agreement.TWO_LETTERS, _LOCAL_NEAR + _TWO, 0.04, 3e-5),
        Level(Agreement.ALIKE, _LOCAL_ALIKE, 0.04, 5e-4),
    ),
    Kind.PHONE: (
        Level(Agreement.SAME, _SAME, 0.7, 2e-5, by_frequency=True),
        Level(Agreement.PART, "right({l}, 7) = right({r}, 7)", 0.04, 1e-5),
        Level(Agreement.ONE_LETTER, _ONE, 0.06, 5e-4),
    ),
    Kind.STREET: (
        Level(Agreement.SAME, _SAME, 0.55, 3e-4, by_frequency=True),
        Level(Agreement.ALIKE, _STREET_ALIKE, 0.2, 3e-4),
        Level(Agreement.PART, _STREET_PART, 0.05, 5e-3),
    ),
    Kind.POSTCODE: (
        Level(Agreement.SAME, _SAME, 0.75, 3e-3, by_frequency=True),
        Level(Agreement.ONE_LETTER, _ONE, 0.1, 1e-2),
    ),
    Kind.CITY: (
        Level(Agreement.SAME, _SAME, 0.68, 1e-2, by_frequency=True),
        Level(Agreement.ONE_LETTER, _ONE, 0.1, 5e-3),
        Level(Agreement.TWO_LETTERS, _TWO + " and least(length({l}), length({r})) > 4", 0.03, 3e-3),
        Level(Agreement.ALIKE, _ALIKE, 0.02, 1e-3),
    ),
    Kind.CODE: (
        Level(Agreement.SAME, _SAME, 0.85, 1e-6, by_frequency=True),
        Level(Agreement.ONE_LETTER, _ONE, 0.07, 1e-5),
        Level(Agreement.TWO_LETTERS, _TWO, 0.02, 2e-4),
    ),
}


_DERIVED: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.EMAIL: {"local": "nullif(split_part({0}, '@', 1), '')", "named": "{named}"},
    Kind.STREET: {
        "number": r"nullif(regexp_extract({0}, '\d+'), '')",
        "words": r"nullif(trim(regexp_replace(regexp_replace({0}, '\d+', ''), "
        r"'^ *[nsew] | (st|ave|rd|dr|pl|ct|ln|cr|ter|blvd)$', '', 'g')), '')",
    },
    Kind.ORGANISATION: {"list": "string_split({0}, ' ')"},
}
"""Columns that are made of a field's own, each with its SQL."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A field, its column and its levels, with the SQL of each; the last of them is all that is different."""

    field: Field
    column: str
    nothing: str
    """When it weighs nothing."""
    levels: tuple[tuple[Level, str], ...]
    derived: Mapping[str, str]
    """Columns that are made of it, each with its SQL."""
    swapped: str | None
    """When it was exchanged with another field."""


def compared(fields: Sequence[Field]) -> tuple[Compared, ...]:
    """Each field as Splink compares it; its column is `f` and its place."""
    first: dict[Kind, str] = {}
    for place, field in enumerate(fields):
        first.setdefault(field.kind, f"f{place}")
    return tuple(
        _compared(field, f"f{place}", first.get(Kind.GIVEN_NAME), first.get(Kind.FAMILY_NAME))
        for place, field in enumerate(fields)
    )


def _compared(field: Field, column: str, given: str | None, family: str | None) -> Compared:
    swapped = None
    if given and family and column in {given, family}:
        swapped = f"{given}_l = {family}_r and {family}_l = {given}_r and {given}_l <> {family}_l"
    parts = ("local", "named", "number", "words", "list")
    names = {f"{part}_{side}": f"{column}_{part}_{side}" for part in parts for side in "lr"}
    names |= {"l": f"{column}_l", "r": f"{column}_r", "swapped": swapped or ""}
    nothing = f"{column}_l is null or {column}_r is null"
    if field.kind is Kind.FAMILY_NAME and swapped is not None:
        # What swapped names weigh is said once, by the given name.
        nothing = f"{nothing} or coalesce({swapped}, false)"
    if field.kind is Kind.EMAIL:
        alike = f"({_LOCAL_ALIKE}) or ({_LOCAL})".format(**names)
        nothing = f"{nothing} or coalesce({_OF_THE_NAME.format(**names)} and ({alike}), false)"
    wanted = [one for one in LEVELS[field.kind] if one.sql != "{swapped}" or swapped is not None]
    named = " or ".join(f"contains({column}, replace({name}, ' ', ''))" for name in (given, family) if name)
    return Compared(
        field,
        column,
        nothing,
        tuple((one, one.sql.format(**names)) for one in wanted),
        {
            f"{column}_{part}": sql.format(column, named=f"coalesce({named or 'false'}, false)")
            for part, sql in _DERIVED.get(field.kind, {}).items()
        },
        swapped,
    )


def agreement_sql(one: Compared) -> str:
    """The place of the level by which two values agree, -1 if one of them is unknown, -2 if they are swapped."""
    cases = [f"when {one.column}_l is null or {one.column}_r is null then -1"]
    if one.swapped is not None:
        cases.append(f"when coalesce({one.swapped}, false) then -2")
    cases += [f"when {sql} then {place}" for place, (_, sql) in enumerate(one.levels)]
    return f"case {' '.join(cases)} else {len(one.levels)} end"

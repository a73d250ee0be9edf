"""What every `Matcher` must prove: what it tells of a pair is so, whoever is alike is found, and nobody else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

import pytest

from obverse.core.matching import Agreement, MatchingRules
from obverse.ports.matcher import Matcher, Pair

FIELDS: Final = MatchingRules().fields
Row = Sequence[str | None]

ADA: Final[Row] = (
    "ada",
    "lovelace",
    "18151210",
    "ada@example.com",
    "44207000001",
    "12 st james sq",
    "sw1y4jh",
    "london",
)
GRACE: Final[Row] = (
    "grace",
    "hopper",
    "19061209",
    "grace@example.org",
    "12125550102",
    "3 pine st",
    "10005",
    "new york",
)
ALAN: Final[Row] = (
    "alan",
    "turing",
    "19120623",
    "prof@example.net",
    "44161000003",
    "43 adlington rd",
    "sk92bb",
    "wilmslow",
)
EMMY: Final[Row] = ("emmy", "noether", "18820323", "emmy@example.edu", "49913100004", "8 hauptstr", "91054", "erlangen")
NOBODY: Final[Row] = (None,) * len(FIELDS)

PEOPLE: Final = (ADA, GRACE, ALAN, EMMY)


def columns(*rows: Row) -> list[list[str | None]]:
    """The columns of these records."""
    return [[row[place] for row in rows] for place in range(len(FIELDS))]


def told(pairs: Sequence[Pair]) -> set[tuple[int, int]]:
    """Whom the pairs name."""
    return {(pair.one, pair.other) for pair in pairs}


class MatcherContract:
    """Subclass, say how a matcher is opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def matcher(self) -> Matcher:
        """The matcher."""

    async def test_who_agrees_in_everything_is_a_pair(self, matcher: Matcher) -> None:
        pairs = await matcher.match(FIELDS, columns(*PEOPLE, ADA), least=0.5)

        assert told(pairs) == {(0, 4)}
        assert pairs[0].agreements == (Agreement.SAME,) * len(FIELDS)
        assert 0.5 <= pairs[0].probability <= 1

    async def test_who_agrees_in_nothing_is_none(self, matcher: Matcher) -> None:
        assert await matcher.match(FIELDS, columns(*PEOPLE), least=0.1) == []

    async def test_of_whom_nothing_is_known_there_is_no_pair(self, matcher: Matcher) -> None:
        assert await matcher.match(FIELDS, columns(NOBODY, NOBODY, ADA), least=0.1) == []
        assert await matcher.match(FIELDS, columns(NOBODY, NOBODY), least=0.1) == []

    async def test_few_records_and_none(self, matcher: Matcher) -> None:
        assert await matcher.match(FIELDS, columns(), least=0.1) == []
        assert await matcher.match(FIELDS, columns(ADA), least=0.1) == []
        assert told(await matcher.match(FIELDS, columns(ADA, ADA), least=0.1)) == {(0, 1)}

    async def test_what_is_told_of_a_pair_is_so(self, matcher: Matcher) -> None:
        moved = (*ADA[:5], "1 high st", None, "leeds")
        rows = (*PEOPLE, moved)

        (pair,) = await matcher.match(FIELDS, columns(*rows), least=0.3)

        for place, agreement in enumerate(pair.agreements):
            left, right = rows[pair.one][place], rows[pair.other][place]
            assert (agreement is Agreement.UNKNOWN) == (left is None or right is None)
            assert (agreement is Agreement.SAME) == (left == right)

    async def test_a_field_that_nobody_has_makes_no_difference(self, matcher: Matcher) -> None:
        rows = [(*row[:5], None, None, None) for row in (*PEOPLE, GRACE)]

        (pair,) = await matcher.match(FIELDS, columns(*rows), least=0.5)

        assert (pair.one, pair.other) == (1, 4)
        assert pair.agreements == (*(Agreement.SAME,) * 5, *(Agreement.UNKNOWN,) * 3)

    async def test_a_pair_is_told_once_and_the_surest_first(self, matcher: Matcher) -> None:
        less = (*GRACE[:4], None, "77 elm ave", None, "boston")
        pairs = await matcher.match(FIELDS, columns(*PEOPLE, ADA, less, ADA), least=0.3)

        assert {(0, 4), (0, 6), (4, 6), (1, 5)} == told(pairs)
        assert len(pairs) == len(told(pairs))
        assert all(pair.one < pair.other for pair in pairs)
        probabilities = [pair.probability for pair in pairs]
        assert probabilities == sorted(probabilities, reverse=True)

    async def test_none_is_less_probable_than_was_asked_for(self, matcher: Matcher) -> None:
        less = (*GRACE[:4], None, "77 elm ave", None, "boston")
        rows = columns(*PEOPLE, ADA, less)
        every = await matcher.match(FIELDS, rows, least=0.3)
        most = max(pair.probability for pair in every)

        some = await matcher.match(FIELDS, rows, least=most)

        assert [pair for pair in every if pair.probability >= most] == list(some)

    async def test_the_same_records_give_the_same_pairs(self, matcher: Matcher) -> None:
        rows = columns(*PEOPLE, *PEOPLE, (*ALAN[:3], None, None, *ALAN[5:]))

        assert await matcher.match(FIELDS, rows, least=0.3) == await matcher.match(FIELDS, rows, least=0.3)

    async def test_texts_of_any_kind_are_values(self, matcher: Matcher) -> None:
        odd = tuple(f"'{value}\"; -- 山\\%" for value in ADA)

        assert told(await matcher.match(FIELDS, columns(*PEOPLE, odd, odd), least=0.5)) == {(4, 5)}

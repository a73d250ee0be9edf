"""What every `SqlRunner` must prove: a query gives its rows, or is told what is wrong with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import pytest

from obverse.core.queries import BadQuery
from obverse.ports.sql_runner import Rows, SqlRunner

MOST: Final = 3
"""Rows that a runner of this suite gives at most."""
TWO: Final = "SELECT 'ada' AS user_id, 12.50 AS value UNION ALL SELECT 'bob', 3"
NONE: Final = "SELECT 'ada' AS email, NULL AS value WHERE FALSE"
ODD: Final = "SELECT 'ada' AS a, TRUE AS b, CAST(NULL AS INT) AS c, CAST('[1, {\"x\": 1.5}]' AS JSON) AS d, '' AS e"
HUGE: Final = (
    "SELECT 'ada' AS user_id, CAST(CONCAT('1', REPEAT('0', 5000)) AS JSON) AS value UNION ALL SELECT 'bob', '3'"
)
WRONG: Final = "SELECT 'ada' AS user_id, CAST(CONCAT('x', '') AS INT) AS value"
MANY: Final = "SELECT n AS user_id, n AS value FROM GENERATE_SERIES(1, 4) AS n(n)"
ANSWERS: Final[Mapping[str, Rows | BadQuery]] = {
    TWO: Rows(("user_id", "value"), [("ada", Decimal("12.50")), ("bob", 3)]),
    NONE: Rows(("email", "value"), []),
    ODD: Rows(("a", "b", "c", "d", "e"), [("ada", True, None, [1, {"x": Decimal("1.5")}], "")]),
    HUGE: Rows(("user_id", "value"), [("ada", None), ("bob", 3)]),
    WRONG: BadQuery("It says: 'x' is no number"),
    MANY: Rows(("user_id", "value"), [(one, one) for one in (1, 2, 3, 4)]),
}
"""What there is to be said to each: for who must be told."""


class SqlRunnerContract:
    """Subclass, say how a runner is opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def runner(self) -> SqlRunner:
        """One that gives `MOST` rows at most. The suite does not close it."""

    @pytest.mark.parametrize("sql", [TWO, NONE, ODD, HUGE])
    async def test_a_query_gives_its_rows_as_json_says_them(self, runner: SqlRunner, sql: str) -> None:
        answer = await runner.run(sql)

        assert isinstance(answer, Rows)
        assert Rows(answer.columns, [*answer.rows]) == ANSWERS[sql]

    async def test_what_fails_is_told_and_others_go_on(self, runner: SqlRunner) -> None:
        with pytest.raises(BadQuery, match=r" says: .*\Wx\W"):
            await runner.run(WRONG)

        assert len((await runner.run(TWO)).rows) == 2

    async def test_too_many_rows_are_told(self, runner: SqlRunner) -> None:
        with pytest.raises(BadQuery, match="more than 3 rows; ask for fewer people"):
            await runner.run(MANY)

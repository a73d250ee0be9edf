"""Queries of traits in memory: it gives the answers that it was told, for tests and for trying things out."""

from __future__ import annotations

from dataclasses import dataclass

from obverse.core.queries import BadQuery
from obverse.ports.runtime import Runtime
from obverse.ports.sql_runner import Rows, SqlRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySqlSettings:
    """The `[sql_runner.memory]` table of the settings file."""

    workspace: str = "main"
    most_rows: int = 200_000


async def open_sql_runner(settings: MemorySqlSettings, runtime: Runtime) -> SqlRunner:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.sql_runner:memory`."""
    return MemorySqlRunner(settings)


class MemorySqlRunner:
    """See `SqlRunner`."""

    def __init__(self, settings: MemorySqlSettings) -> None:
        self._most = settings.most_rows
        self.answers: dict[str, Rows | Exception] = {}
        """By query, what it gives or raises; it fails if nothing is known of it."""
        self.asked: list[str] = []

    async def run(self, sql: str) -> Rows:
        """See `SqlRunner.run`."""
        self.asked.append(sql)
        answer = self.answers.get(sql, BadQuery("nothing is known of it"))
        if isinstance(answer, Exception):
            raise answer
        if len(answer.rows) > self._most:
            raise BadQuery(f"it gives more than {self._most} rows; ask for fewer people")
        return answer

    async def close(self) -> None:
        """See `SqlRunner.close`."""

"""Group commit: what many append at once is written together, and who appends alone waits for nobody."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from obverse.adapters._group_commit import GroupCommit, Grouping, Session, Writing
from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.contracts.event_log_steps import some
from obverse.ports.event_log import Records, Stream


class Paper:
    """A session that writes at once, and is never lost."""

    alive = True

    def __init__(self) -> None:
        self.written = 0

    async def write(self, group: Sequence[tuple[int, Sequence[Records]]], now: int) -> Sequence[int | Exception]:  # noqa: ARG002 - see `Session.write`
        first, self.written = self.written, self.written + sum(one.count for _, records in group for one in records)
        return [first]

    async def end(self) -> None:
        pass

    def abandon(self) -> None:
        pass


@pytest.mark.parametrize(
    ("stream", "milliseconds"),
    [(Stream.EVENTS, 40), (Stream.REJECTED, 40), (Stream.DECISIONS, 0), (Stream.CHANGES, 0), (Stream.ROUTED, 0)],
)
def test_only_what_collectors_append_waits_for_others(stream: Stream, milliseconds: int) -> None:
    async def story(runtime: SimulatedRuntime) -> float:
        paper = Paper()

        async def again() -> Session:
            return paper

        writing = Writing(stream, [0], again, failure=lambda error: error)
        settings = PostgresLogSettings(dsn="", linger_ms=10, pace_ms=20)
        appender = GroupCommit(paper, writing, Grouping.of(stream, settings), runtime)
        began = runtime.elapsed()
        assert [await appender.append(0, some(1)) for _ in range(3)] == [0, 1, 2]
        took = runtime.elapsed() - began
        await appender.close()
        return took

    # The first waits for others, the next two for the pace.
    took, _ = simulate(1, story)
    assert round(took * 1000) == (milliseconds + 10 if milliseconds else 0)

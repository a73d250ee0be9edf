"""Rejected events are kept, whatever happens to the log or the store in between."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from obverse.adapters.memory.event_log import MemoryEventLog, MemoryLogSettings
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core.events import RejectedEvent
from obverse.flows.keep_rejected import KeepRejected
from obverse.ports.event_log import LogGap, Reader, Records, Stream, UnknownMark
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import Fenced

REJECTED = RejectedEvent(
    source="web", received_at=1, code="bad_type", reason="a test", message_id="m", type="track", body=b"{}"
)


class Failing(MemoryEventLog):
    """A log that fails whoever reads it first, and works from then on."""

    def __init__(self, runtime: SimulatedRuntime, failure: Exception) -> None:
        super().__init__(MemoryLogSettings(), runtime)
        self.failures = [failure]

    async def open_reader(self, stream: Stream, marks: Mapping[int, int]) -> Reader:
        if self.failures:
            raise self.failures.pop()
        return await super().open_reader(stream, marks)


async def kept_after(runtime: SimulatedRuntime, failure: Exception) -> list[str | None]:
    log, store = Failing(runtime, failure), await open_profile_store(MemoryStoreSettings(), runtime)
    await (await log.open_appender(Stream.REJECTED)).append(0, Records.of([REJECTED])[0])
    work = runtime.spawn("keep rejected", KeepRejected(log, store, runtime).run())
    for _ in range(100):
        await runtime.sleep(0.1)
    await work.stop()
    return [one.event.message_id for one in await store.rejected(limit=10)]


@pytest.mark.parametrize(
    "failure", [LogGap("a gap"), UnknownMark("a mark"), Unreachable("down"), AccessRefused("no"), Fenced("another")]
)
def test_a_log_that_fails_is_tried_again(failure: Exception) -> None:
    assert simulate(1, lambda runtime: kept_after(runtime, failure))[0] == ["m"]

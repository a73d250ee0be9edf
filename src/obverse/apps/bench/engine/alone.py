"""The embedded engine in a process of its own, over a log that is filled, and a store that drops what it is given."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec

from obverse.adapters.local import LocalCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryProfileStore, MemoryStoreSettings
from obverse.adapters.runtime.system import open_runtime
from obverse.apps import processes
from obverse.apps.bench.engine.routing import parts_over
from obverse.ports.profile_store import Checkpoint, Marks, PackedEvents, StoredEvent, StoreWriter
from obverse.wiring import find
from obverse.wiring.finding import settings_of

_LOOK: Final = 0.002
"""Seconds between two looks at how far it is."""


class DroppingStore(MemoryProfileStore):
    """A store in memory that keeps how far everything was folded, and nothing else."""

    async def open_writer(self, name: str) -> StoreWriter:
        """See `ProfileStore.open_writer`."""
        return _DroppingWriter(await super().open_writer(name))


class _DroppingWriter:
    def __init__(self, writer: StoreWriter) -> None:
        self._writer = writer
        self.close = writer.close

    @property
    def marks(self) -> Marks:
        """See `StoreWriter.marks`."""
        return self._writer.marks

    def pack(self, events: Sequence[StoredEvent]) -> PackedEvents:
        """See `StoreWriter.pack`."""
        return self._writer.pack(events)

    async def commit(self, checkpoint: Checkpoint, give_way: Callable[[], Awaitable[None]] | None = None) -> None:
        """See `StoreWriter.commit`."""
        await self._writer.commit(Checkpoint(marks=checkpoint.marks), give_way)


async def _fold(words: dict[str, Any]) -> int:
    runtime = open_runtime()
    async with AsyncExitStack() as stack:
        log = await find("event_log", "kafka")(
            settings_of(find("event_log", "kafka"), words["kafka"], "event_log.kafka"), runtime
        )
        stack.push_async_callback(log.close)
        cache = await open_profile_cache(LocalCacheSettings(socket=str(Path(words["folder"]) / "cache")), runtime)
        parts = replace(
            await parts_over(log, runtime),
            store=DroppingStore(MemoryStoreSettings(), runtime),
            cache=cache,
            keeps=True,
        )
        opener = find("engine", "embedded")
        engine = await opener(settings_of(opener, words["settings"], "engine.embedded"), parts)
        work = runtime.spawn("engine", engine.run())
        stack.push_async_callback(work.stop)
        telling = asyncio.ensure_future(_tell(engine))
        stack.callback(telling.cancel)
        await work.wait()
    return 0


async def _tell(engine: Any) -> None:
    """Say at each step how far it is, and when that was."""
    told = 0
    while True:
        folded = sum(engine.progress.folded.values())
        if folded != told:
            told = folded
            sys.stdout.write(f"[{perf_counter()}, {folded}]\n")
            sys.stdout.flush()
        await asyncio.sleep(_LOOK)


if __name__ == "__main__":
    processes.set_up_logging("WARNING")
    sys.exit(processes.run(processes.until_told_to_stop(_fold(msgspec.json.decode(sys.stdin.buffer.read())))))

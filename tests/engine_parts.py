"""What engines are tested with: parts in memory, and a clock that can be set."""

from __future__ import annotations

from obverse.adapters.memory.event_log import MemoryLogSettings
from obverse.adapters.memory.event_log import open_event_log as open_memory_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings
from obverse.adapters.memory.profile_store import open_profile_store as open_memory_store
from obverse.adapters.runtime.system import SystemRuntime
from obverse.contracts.stories import DEFINITIONS
from obverse.core.definitions import Definitions
from obverse.ports.engine import EngineParts


class SettableRuntime(SystemRuntime):
    """A runtime whose clock can be set."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def set(self, now: int) -> None:
        self.ahead += now - self.now()


async def memory_parts(partitions: int, definitions: Definitions = DEFINITIONS) -> EngineParts:
    runtime = SettableRuntime()
    return EngineParts(
        workspace="main",
        log=await open_memory_log(MemoryLogSettings(partitions=partitions), runtime),
        store=await open_memory_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=lambda: definitions,
        runtime=runtime,
    )

"""What stands in for an outside log on this machine: started for a demo or a benchmark whose settings name none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from obverse.settings import PREFIX, Settings
from obverse.wiring import find, wire


@dataclass(frozen=True, slots=True)
class StandIn:
    """One that runs."""

    table: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter is to be told, as in its table of the settings."""
    pids: Mapping[str, int] = field(default_factory=dict)
    """Its processes by name."""


@dataclass(frozen=True, slots=True)
class LogToUse:
    """The log, or the cache, that an installation is to use."""

    settings: Settings
    pids: Mapping[str, int] = field(default_factory=dict)
    """The processes of its stand-in, if it needs one."""

    def environment(self) -> dict[str, str]:
        """The same for a process of its own."""
        tables = {"EVENT_LOG": self.settings.event_log, "PROFILE_CACHE": self.settings.profile_cache}
        return {f"{PREFIX}{name}": msgspec.json.encode(table).decode() for name, table in tables.items()}


@asynccontextmanager
async def log_to_use(settings: Settings, folder: Path) -> AsyncIterator[LogToUse]:
    """
    Have the log that the settings name while the block runs.

    Where it is outside and they do not say where, a stand-in is started, with its data beneath the folder.

    Raises:
        BadSettings: there is no such adapter, what it needs is not installed, or its table cannot be used.
        SandboxLacking: something that the stand-in needs is not on this machine; the message says what to do.
    """
    adapter, table = settings.port_options("event_log")
    find("event_log", adapter)
    if adapter not in STAND_INS or not PLACES[adapter].isdisjoint(table):
        yield LogToUse(settings)
        return
    async with STAND_INS[adapter](folder / adapter) as found:
        told = settings.model_copy(update={"event_log": {**settings.event_log, adapter: {**found.table, **table}}})
        # Said here, and not by each role that could not open it. Nothing is connected by that.
        log = await wire(told).log_of(adapter)
        await log.close()
        yield LogToUse(told, found.pids)


@asynccontextmanager
async def cache_to_use(settings: Settings) -> AsyncIterator[LogToUse]:
    """
    Have the profile cache that the settings name while the block runs: a Redis of this machine, if they name no place.

    Raises:
        BadSettings: there is no such adapter, or what it needs is not installed.
        SandboxLacking: there is no Redis on this machine to start; the message says what to do.
    """
    adapter, table = settings.port_options("profile_cache")
    find("profile_cache", adapter)
    if adapter != "redis" or "url" in table or settings.redis_url is not None:
        yield LogToUse(settings)
        return
    from obverse.sandboxes.redis import RedisSandbox  # noqa: PLC0415 - only whoever asks for it

    # Its socket's path has to be a short one.
    with TemporaryDirectory(prefix="obverse-redis-") as short:
        sandbox = RedisSandbox(Path(short))
        await sandbox.start()
        told = {**settings.profile_cache, adapter: {**table, "url": sandbox.url}}
        try:
            yield LogToUse(settings.model_copy(update={"profile_cache": told}), {"redis": sandbox.pid})
        finally:
            sandbox.kill()


@asynccontextmanager
async def _kafka(folder: Path) -> AsyncIterator[StandIn]:
    """One broker of Apache Kafka. Nobody else has a copy of its records, so it waits for its disk."""
    from obverse.sandboxes.kafka import open_kafka_sandbox  # noqa: PLC0415 - only whoever asks for it

    sandbox = await open_kafka_sandbox(folder)
    try:
        pids = {f"kafka-{broker.number}": broker.pid for broker in sandbox.brokers}
        yield StandIn({"servers": sandbox.servers, "replication": 1, "min_insync": 1}, pids)
    finally:
        await sandbox.close()


@asynccontextmanager
async def _kinesis(_folder: Path) -> AsyncIterator[StandIn]:
    """A server that speaks Kinesis, and keeps everything in memory."""
    from obverse.sandboxes.kinesis import open_kinesis  # noqa: PLC0415 - only whoever asks for it

    sandbox = await open_kinesis()
    # It knows no limits, and takes any credentials.
    table = {
        "endpoint_url": sandbox.url,
        "region": "eu-central-1",
        "access_key_id": "demo",
        "secret_access_key": "demo",
        "poll_ms": 20.0,
    }
    try:
        yield StandIn(table, {"kinesis": sandbox.pid})
    finally:
        await sandbox.close()


STAND_INS: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[StandIn]]]] = {
    "kafka": _kafka,
    "kinesis": _kinesis,
}
"""By the adapter's name; each is given a folder for its data, and runs while its block runs."""

PLACES: Final[Mapping[str, frozenset[str]]] = {
    "kafka": frozenset({"servers"}),
    "kinesis": frozenset({"endpoint_url", "region"}),
}
"""The settings of an adapter that say where its log is: with one of them no stand-in is needed."""

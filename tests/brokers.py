"""Apache Kafka for tests: one broker a session, and a prefix of its own for each test."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from obverse.adapters.kafka import KafkaLogSettings
from obverse.adapters.runtime.system import TaskWork
from obverse.ports.runtime import Work
from obverse.sandboxes import SandboxLacking
from obverse.sandboxes.kafka import KafkaSandbox, open_kafka_sandbox
from services import ShiftedRuntime


@contextmanager
def kafka_running(folder: Path, brokers: int = 1) -> Iterator[KafkaSandbox]:
    """Run brokers for a while; where that is impossible the tests are skipped, but not in CI."""
    try:
        sandbox = asyncio.run(open_kafka_sandbox(folder, brokers=brokers))
    except SandboxLacking as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    try:
        yield sandbox
    finally:
        for broker in sandbox.brokers:
            broker.kill()


def kafka_settings(sandbox: KafkaSandbox, partitions: int = 2) -> KafkaLogSettings:
    """Of a log that nobody else uses."""
    return KafkaLogSettings(
        servers=sandbox.servers,
        prefix=f"test-{secrets.token_hex(4)}",
        partitions=partitions,
        replication=len(sandbox.brokers),
        min_insync=(len(sandbox.brokers) + 1) // 2,
        lease_ms=1000,
    )


class MortalRuntime(ShiftedRuntime):
    """A runtime whose process can be killed: all that it was doing stops at once, and nothing is tidied up."""

    def __init__(self) -> None:
        super().__init__()
        self._works: list[Work] = []

    def spawn(self, name: str, work: object) -> Work:
        """See `Runtime.spawn`."""
        started = super().spawn(name, work)  # type: ignore[arg-type]  # passed on as it is
        self._works.append(started)
        return started

    async def kill(self) -> None:
        """Stop everything."""
        works, self._works = self._works, []
        for work in works:
            assert isinstance(work, TaskWork)
            await work.stop()

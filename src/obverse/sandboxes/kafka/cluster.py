"""One broker or three, on free ports of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.sandboxes.kafka.broker import HOST, Broker, find_java, new_id


@dataclass(slots=True)
class KafkaSandbox:
    """A cluster of brokers that runs until it is closed."""

    brokers: list[Broker]

    @property
    def servers(self) -> str:
        """Where clients reach it, as `bootstrap.servers`."""
        return ",".join(broker.server for broker in self.brokers)

    async def restart(self, number: int) -> None:
        """
        Start a broker again that was killed, on the ports and with the data that it had.

        Raises:
            RuntimeError: it does not start.
        """
        broker = self.brokers[number - 1]
        broker.start()
        await broker.until_ready()

    async def close(self) -> None:
        """Stop every broker. What they wrote stays in the folder."""
        await asyncio.gather(*(broker.stop() for broker in self.brokers))


async def open_kafka_sandbox(
    folder: Path, *, brokers: int = 1, jars: Path | None = None, heap_mb: int = 256
) -> KafkaSandbox:
    """
    Start Apache Kafka with its data in the folder, and wait until it takes connections.

    Raises:
        SandboxLacking: Java or the jars are missing.
        RuntimeError: a broker does not start; the message has its last words.
    """
    java = find_java(jars, heap_mb)
    with _free_ports(3 * brokers) as ports:
        cluster = KafkaSandbox([])
        for number in range(1, brokers + 1):
            port, controller_port, sasl_port = ports.pop(), ports.pop(), ports.pop()
            place = folder / f"broker-{number}"
            cluster.brokers.append(Broker(number, place, port, controller_port, sasl_port, java))
        await asyncio.to_thread(_prepare, cluster.brokers, _cluster_id(folder))
    try:
        for broker in cluster.brokers:
            broker.start()
        for broker in cluster.brokers:
            await broker.until_ready()
    except BaseException:
        await cluster.close()
        raise
    return cluster


def _prepare(brokers: Sequence[Broker], cluster: str) -> None:
    for broker in brokers:
        broker.write_properties(brokers)
    brokers[0].format(cluster)
    for broker in brokers[1:]:
        broker.format_like(brokers[0])


@contextlib.contextmanager
def _free_ports(count: int) -> Iterator[list[int]]:
    """Ports that nobody else is given while the block runs."""
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(socket.socket()) for _ in range(count)]
        for door in doors:
            door.bind((HOST, 0))
        yield [int(door.getsockname()[1]) for door in doors]


def _cluster_id(folder: Path) -> str:
    """The same for a folder that was used before: brokers refuse the data of another cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cluster-id"
    if not path.exists():
        path.write_text(new_id(), encoding="ascii")
    return path.read_text(encoding="ascii")

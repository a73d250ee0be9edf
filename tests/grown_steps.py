"""Steps of the test of a grown installation: what of it can be killed, and how long an event waits afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from confluent_kafka.admin import AdminClient

from installation import kill, running, until
from obverse.adapters.kafka import KafkaLogSettings
from obverse.ports.event_log import Stream
from obverse.sandboxes.kafka import KafkaSandbox
from obverse.sandboxes.redis import RedisSandbox

PATIENCE = 420.0
FOLDING = {"flink": "TaskManagerRunner", "spark": "CoarseGrainedExecutorBackend"}
"""What the command line of a process has that folds …"""
LEADING = {"flink": "StandaloneSessionClusterEntrypoint", "spark": "org.apache.spark.deploy.SparkSubmit"}
"""… and of the one that tells those what to do."""
SECONDS = 20.0
"""For which events are sent after something was killed."""
EVERY = 0.2


@dataclass(slots=True)
class Grown:
    """What runs, as far as a test touches it."""

    data: Path
    engine: str
    kafka: KafkaSandbox
    log: KafkaLogSettings
    redis: RedisSandbox

    def pid(self, name: str) -> int:
        """Of a role; 0 while it does not run."""
        note = running(self.data)
        return 0 if note is None else int(note["pids"].get(name, 0))

    def _of_engine(self, word: str) -> list[int]:
        host, found = self.pid(f"engine-{self.engine}"), list[int]()
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(host).children(recursive=True) if host else []:
                # They come and go while we look.
                with suppress(psutil.NoSuchProcess):
                    if word in " ".join(one.cmdline()):
                        found.append(one.pid)
        return found

    def folding(self) -> list[int]:
        """The processes in which the engine folds."""
        return self._of_engine(FOLDING[self.engine])

    async def kill_folding(self) -> None:
        """Kill one of those that fold."""
        await self._kill_one(FOLDING[self.engine])

    async def kill_leading(self) -> None:
        """Kill the one that tells those what to do."""
        await self._kill_one(LEADING[self.engine])

    async def _kill_one(self, word: str) -> None:
        async def some() -> list[int]:
            return self._of_engine(word)

        kill((await until(some, seconds=PATIENCE))[0])

    async def kill_broker(self) -> None:
        """Kill the broker that has what was routed."""
        topics = await asyncio.to_thread(AdminClient(self.log.client()).list_topics, timeout=60)
        leader = topics.topics[self.log.topic(Stream.ROUTED)].partitions[0].leader
        self.kafka.brokers[leader - 1].kill()

    async def mend_brokers(self) -> None:
        """Have all of them run, and each have a copy of everything."""
        for number, broker in enumerate(self.kafka.brokers, 1):
            if not broker.alive:
                await self.kafka.restart(number)
        admin = AdminClient(self.log.client())

        async def whole() -> bool:
            topics = await asyncio.to_thread(admin.list_topics, timeout=60)
            parts = [part for topic in topics.topics.values() for part in topic.partitions.values()]
            return all(set(part.isrs) == set(part.replicas) for part in parts)

        await until(whole, seconds=PATIENCE, every=0.5)

    async def kill_redis(self) -> None:
        """Kill it, and start another one, which knows nothing."""
        self.redis.kill()
        await self.redis.start()

    async def kill_role(self, name: str) -> None:
        """Kill one of our own processes."""
        kill(self.pid(name))


def told_by(number: int) -> Sequence[Mapping[str, Any]]:
    """
    Somebody new, whom the probe looks for; and what makes a death costly: a merge, an order, and one that comes again.

    The device of the probe before signs in, so that two profiles become one; the order is of somebody from long ago.
    """
    user, before = f"probe-{number}", f"probe-{number - 1}"
    orders = [
        {
            "type": "track",
            "event": "Order Completed",
            "userId": f"probe-{one // 2}",
            "messageId": f"order-{one}",
            "properties": {"order_id": f"order-{one}", "revenue": one},
        }
        for one in (number, max(1, number - 3))
    ]
    return [
        {"type": "track", "event": "Probed", "userId": user, "messageId": user},
        {"type": "track", "event": "Probed", "anonymousId": f"device-{number}", "messageId": f"device-{number}"},
        {"type": "identify", "userId": before, "anonymousId": f"device-{number - 1}", "messageId": f"sign-in-{number}"},
        *orders,
    ]


@dataclass(slots=True)
class Probe:
    """Sends events of people whom nobody knew, and looks when each can be read."""

    grown: Grown
    http: aiohttp.ClientSession
    key: str
    number: int = 0

    async def until_well(self) -> None:
        """Wait until three events in a row can be read within three seconds each."""
        async with asyncio.timeout(PATIENCE):
            well = 0
            while well < 3:
                well = well + 1 if max(await self.waits(EVERY)) < 3 else 0

    async def waits(self, seconds: float) -> Sequence[float]:
        """
        Send events for so long, and return how long each waited until it could be read.

        It counts from when it was due, and the next is looked for once this one was seen.
        """
        began, sent = time.monotonic(), asyncio.Queue[tuple[float, str] | None]()
        sending = asyncio.create_task(self._send(began, seconds, sent))
        waited: list[float] = []
        while (one := await sent.get()) is not None:
            due, user = one
            while await self._status("api", "GET", f"/v1/profiles/user_id:{user}") != 200:  # noqa: ASYNC110 - others do it
                await asyncio.sleep(0.05)
            waited.append(time.monotonic() - due)
        await sending
        return waited

    async def _send(self, began: float, seconds: float, sent: asyncio.Queue[tuple[float, str] | None]) -> None:
        for place in range(round(seconds / EVERY)):
            self.number += 1
            due, user = began + place * EVERY, f"probe-{self.number}"
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            body = {"batch": told_by(self.number), "writeKey": self.key}
            while await self._status("collector", "POST", "/v1/batch", body) != 200:  # noqa: ASYNC110 - others do it
                await asyncio.sleep(0.05)
            sent.put_nowait((due, user))
        sent.put_nowait(None)

    async def _status(self, role: str, method: str, path: str, body: object = None) -> int:
        note = running(self.grown.data)
        if note is None:
            return 0
        try:
            async with self.http.request(method, note[role] + path, json=body) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

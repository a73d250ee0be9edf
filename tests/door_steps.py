"""Steps of the tests of the collector's door: the app, called as a server calls it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from obverse.adapters.memory.crm import MemoryAccount, MemoryCrmSettings, open_crm
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.sync_queue import MemoryQueueSettings, open_sync_queue
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.collector import CollectorApp
from obverse.apps.collector.bots import is_bot
from obverse.apps.metrics import new_registry
from obverse.core import codec
from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent
from obverse.flows.absorb import Absorb
from obverse.flows.collect import Collect
from obverse.ports.event_log import EventLog, Stream

KEY = "wk_test"


def hash_key(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Door:
    """The app, called as a server calls it."""

    def __init__(self, app: CollectorApp, log: EventLog) -> None:
        self.app = self._app = app
        self._log = log

    async def ask(self, method: str, path: str, body: Sequence[bytes] = (b"",), **headers: str) -> Reply | None:
        """Ask with a body in these parts; None if nothing was answered."""
        messages = [
            {"type": "http.request", "body": part, "more_body": place < len(body) - 1}
            for place, part in enumerate(body)
        ]
        return await self.exchange(method, path, messages, **headers)

    async def exchange(
        self, method: str, path: str, messages: Sequence[Mapping[str, Any]], **headers: str
    ) -> Reply | None:
        sent: list[Mapping[str, Any]] = []
        coming = iter(messages)

        async def receive() -> Mapping[str, Any]:
            return next(coming)

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        place, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "scheme": "http",
            "path": place,
            "query_string": query.encode(),
            "method": method,
            "headers": raw,
            "client": ("192.0.2.7", 50_000),
        }
        await self._app(scope, receive, send)
        if not sent:
            return None
        start, end = sent
        assert end.get("more_body", False) is False
        reply = Reply(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, end["body"])
        assert int(reply.headers["content-length"]) == len(reply.body)
        return reply

    async def post(self, body: bytes, path: str = "/v1/batch", **headers: str) -> Reply:
        reply = await self.ask("POST", path, [body], **headers)
        assert reply is not None
        return reply

    async def get(self, path: str, method: str = "GET") -> Reply:
        reply = await self.ask(method, path)
        assert reply is not None
        return reply

    async def kept(self) -> tuple[list[Event], list[RejectedEvent]]:
        """Return the events and the rejected events that the log holds."""
        return await self._read(Stream.EVENTS, Event), await self._read(Stream.REJECTED, RejectedEvent)

    async def _read(self, stream: Stream, kind: Any) -> Any:
        found: list[Any] = []
        end = (await self._log.bounds(stream))[0][1]
        reader = await self._log.open_reader(stream, {0: 0})
        while len(found) < end:
            for one in await reader.next():
                found += codec.Decoder(kind).decode(one.count, one.body)
        await reader.close()
        return found


@asynccontextmanager
async def shut_door(
    definitions: Definitions | Callable[[], Definitions],
    account: MemoryAccount | None = None,
    queue_bytes: int = 64 << 20,
    log: EventLog | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Collect, Door]]:
    """Run a collector over a log, in memory if none is given, which it has not opened yet."""
    current = definitions if callable(definitions) else lambda: definitions
    runtime = open_runtime()
    log = log or await open_event_log(MemoryLogSettings(), runtime)
    collect = Collect(
        log=log,
        definitions=current,
        runtime=runtime,
        hash_key=hash_key,
        is_bot=is_bot,
        queue_bytes=queue_bytes,
    )
    absorb = Absorb(
        collect=collect,
        queue=await open_sync_queue(MemoryQueueSettings(), runtime),
        definitions=current,
        open_crm=lambda _: open_crm(MemoryCrmSettings(account=account or MemoryAccount()), runtime),
        runtime=runtime,
    )
    registry = new_registry("collector")
    yield (
        collect,
        Door(CollectorApp(collect, absorb, runtime=runtime, registry=registry, hash_key=hash_key, **options), log),
    )
    await absorb.close()
    await log.close()


@asynccontextmanager
async def open_door(definitions: Definitions | Callable[[], Definitions], **options: Any) -> AsyncIterator[Door]:
    """Run a collector that takes events."""
    async with shut_door(definitions, **options) as (collect, door):
        await collect.open()
        yield door

"""Between us and a server that speaks Kinesis: what the vendor documents, and its stand-ins never do."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

Change = Callable[[bytes], bytes | None]
"""What is read in place of a record; None if it is not read at all."""

_PREFIX = "Kinesis_20131202."


@dataclass
class KinesisWire:
    """Passes calls on, and makes of some what the test wants. Each number counts down."""

    behind: str
    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    fail_every: int = 0
    """Of so many records that are put one is not taken, whatever the call."""
    refuses: Callable[[str, bytes], bool] | None = None
    """Which records are not taken, by partition key and data."""
    throttled_puts: int = 0
    lost_answers: int = 0
    """Puts that are taken, and whose answer never comes."""
    throttled_reads: int = 0
    expired_iterators: int = 0
    refused: str = ""
    """With which error everything is refused."""
    held: asyncio.Event | None = None
    """Until it is set, puts wait before they are passed on."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a put waits."""
    answered_after: asyncio.Event | None = None
    """Until it is set, answers to puts wait."""
    changes: list[Change] = field(default_factory=list)
    _put: int = 0
    _http: aiohttp.ClientSession | None = None
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Serve on a free port; a second time, on the same one."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._http = aiohttp.ClientSession()

    async def stop(self) -> None:
        """Refuse connections."""
        if self._runner is not None and self._http is not None:
            await self._runner.cleanup()
            await self._http.close()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers["X-Amz-Target"].removeprefix(_PREFIX)
        self.calls[operation] += 1
        if self.refused:
            return _error(self.refused)
        if operation == "PutRecords":
            return await self._puts(request)
        if operation == "GetRecords":
            return await self._reads(request)
        status, body = await self._passed_on(request, await request.read())
        return _json(status, body)

    async def _puts(self, request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        if self.throttled_puts:
            self.throttled_puts -= 1
            return _error("ProvisionedThroughputExceededException")
        self.reached.set()
        if self.held is not None:
            await self.held.wait()
        refused: list[int] = []
        for place in range(len(asked["Records"])):
            self._put += 1
            one = asked["Records"][place]
            turn = self.fail_every and self._put % self.fail_every == 0
            if turn or (self.refuses and self.refuses(one["PartitionKey"], b64decode(one["Data"]))):
                refused.append(place)
        kept = [record for place, record in enumerate(asked["Records"]) if place not in refused]
        answers: list[dict[str, str]] = []
        if kept:
            status, body = await self._passed_on(request, json.dumps({**asked, "Records": kept}).encode())
            if status != 200:
                return _json(status, body)
            answers = json.loads(body)["Records"]
        if self.answered_after is not None:
            await self.answered_after.wait()
        if self.lost_answers:
            self.lost_answers -= 1
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        for place in refused:
            code = "ProvisionedThroughputExceededException" if place % 2 else "InternalFailure"
            answers.insert(place, {"ErrorCode": code, "ErrorMessage": "as the vendor documents it"})
        return _json(200, json.dumps({"FailedRecordCount": len(refused), "Records": answers}).encode())

    async def _reads(self, request: web.Request) -> web.StreamResponse:
        if self.throttled_reads:
            self.throttled_reads -= 1
            return _error("ProvisionedThroughputExceededException")
        if self.expired_iterators:
            self.expired_iterators -= 1
            return _error("ExpiredIteratorException")
        status, body = await self._passed_on(request, await request.read())
        if self.changes and status == 200:
            answer = json.loads(body)
            answer["Records"] = [one for record in answer["Records"] if (one := self._changed(record)) is not None]
            body = json.dumps(answer).encode()
        return _json(status, body)

    def _changed(self, record: dict[str, Any]) -> dict[str, Any] | None:
        data: bytes | None = b64decode(record["Data"])
        for change in self.changes:
            data = None if data is None else change(data)
        return None if data is None else {**record, "Data": b64encode(data).decode()}

    async def _passed_on(self, request: web.Request, body: bytes) -> tuple[int, bytes]:
        assert self._http is not None
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        async with self._http.post(self.behind, data=body, headers=headers) as answer:
            return answer.status, await answer.read()


@asynccontextmanager
async def wire_to(behind: str) -> AsyncIterator[KinesisWire]:
    """Stand in front of a server for a while."""
    wire = KinesisWire(behind)
    await wire.start()
    try:
        yield wire
    finally:
        await wire.stop()


def _json(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/x-amz-json-1.1")


def _error(code: str) -> web.Response:
    return _json(400, json.dumps({"__type": code, "message": "as the vendor documents it"}).encode())

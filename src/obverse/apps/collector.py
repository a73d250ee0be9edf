"""The collector: the HTTP door that SDKs send to. Bare ASGI, since each request here costs."""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from obverse.apps.metrics import CONTENT_TYPE, exposition
from obverse.core.records import Callback
from obverse.core.wire import Unreadable
from obverse.flows.absorb import Absorb
from obverse.flows.collect import Answer, Collect, Request
from obverse.ports.runtime import Runtime

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

PATHS: Final[Mapping[str, str | None]] = {
    "/v1/batch": None,
    **{f"/v1/{call}": call for call in ("track", "identify", "page", "screen", "group", "alias")},
}
"""Path -> the type of the call that it names; None for a batch."""

CALLBACKS: Final = "/webhooks/crm/"
"""What follows names a connection."""

REPORT: Final = b"x-obverse-report"
"""A sender that sets this header to `rejected` is told what was rejected, and why."""

_JSON: Final[Header] = (b"content-type", b"application/json")
_CORS: Final[Header] = (b"access-control-allow-origin", b"*")
_SUCCESS: Final = b'{"success":true}'


class _TooMuch(Exception):
    """The body has more bytes than any request may have; `start` is its beginning, longer than what is accepted."""

    def __init__(self, start: bytes) -> None:
        super().__init__(len(start))
        self.start = start


class _Gone(Exception):
    """The sender went away in the midst of its body: what came of it means nothing, and nobody waits for an answer."""


class CollectorApp:
    """The ASGI application."""

    def __init__(
        self,
        collect: Collect,
        absorb: Absorb,
        *,
        runtime: Runtime,
        registry: CollectorRegistry,
        hash_key: Callable[[str], str],
        most_bytes: int,
        public_url: str = "",
    ) -> None:
        """`public_url` is where others reach us, if that is not where they seem to: scheme and host, without a path."""
        self._collect = collect
        self._absorb = absorb
        self._public_url = public_url.rstrip("/")
        self._runtime = runtime
        self._registry = registry
        self._hash_key = hash_key
        self._most = most_bytes
        self._hashes: dict[bytes, tuple[str, ...]] = {}
        self._received = Counter(
            "obverse_events_received",
            "Events that senders were answered for",
            ["source", "outcome"],
            registry=registry,
        )
        self._requests = Counter("obverse_collector_requests", "Answers given", ["status"], registry=registry)
        self._seconds = Histogram(
            "obverse_collector_answer_seconds",
            "From the whole request to its answer",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        Gauge("obverse_log_queue_bytes", "On their way into the log", registry=registry).set_function(
            lambda: collect.waiting_bytes
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path in PATHS:
            if method == "POST":
                await self._take(PATHS[path], scope, receive, send)
            elif method == "OPTIONS":
                await _send(send, HTTPStatus.OK, b"", _PREFLIGHT)
            else:
                message = f"{method} {path}: use POST"
                await _refuse(send, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, _ALLOWED)
            return
        if path.startswith(CALLBACKS):
            if method == "POST":
                await self._hear(path.removeprefix(CALLBACKS), scope, receive, send)
            else:
                message = f"{method} {path}: use POST"
                await _refuse(send, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, _ONLY_POST)
            return
        await self._look(path, send)

    async def _look(self, path: str, send: Send) -> None:
        match path:
            case "/health" | "/livez" | "/healthz":
                await _send(send, HTTPStatus.OK, b'{"status":"ok"}')
            case "/ready" | "/readyz":
                status = HTTPStatus.OK if self._collect.ready else HTTPStatus.SERVICE_UNAVAILABLE
                await _send(send, status, msgspec.json.encode({"log": "ok" if self._collect.ready else "unavailable"}))
            case "/metrics":
                await _send(send, HTTPStatus.OK, exposition(self._registry), (), CONTENT_TYPE.encode())
            case _:
                known = ", ".join(sorted(PATHS))
                await _refuse(send, HTTPStatus.NOT_FOUND, "not_found", f"{path}: send events to one of {known}")

    async def _take(self, call: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        flaw: Unreadable | None = None
        sent = b""
        try:
            sent = await self._body(receive)
            body = _unpacked(sent, headers.get(b"content-encoding", b""), self._most)
        except _TooMuch as error:
            body = error.start  # refused by its size, and its beginning kept
        except _Gone:
            return
        except zlib.error as error:
            body, flaw = sent, _unpackable(error)
        began = self._runtime.elapsed()
        hashes = self._key_hashes(headers.get(b"authorization"))
        query = scope["query_string"]
        if not hashes and b"writeKey" in query:
            # As RudderStack's webhooks send it.
            hashes = tuple(map(self._hash_key, parse_qs(query.decode("latin-1")).get("writeKey", ())))
        request = Request(call=call, body=body, key_hashes=hashes)
        answer = await (self._collect.take(request) if flaw is None else self._collect.refuse(request, flaw))
        self._seconds.observe(self._runtime.elapsed() - began)
        self._requests.labels(int(answer.status)).inc()
        if answer.events:
            self._received.labels(answer.source, "accepted").inc(len(answer.events))
        if answer.rejected:
            self._received.labels(answer.source, "rejected").inc(len(answer.rejected))
        await _send_answer(send, answer, report=headers.get(REPORT) == b"rejected")

    async def _hear(self, connection: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(receive)
        except _TooMuch:
            message = f"a callback has at most {self._most} bytes: have the CRM send fewer edits at once"
            await _refuse(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
            return
        except _Gone:
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        place = self._public_url or f"{scope['scheme']}://{headers.get('host', '')}"
        sent: bytes = scope.get("raw_path") or scope["path"].encode()
        callback = Callback(
            method="POST",
            url=f"{place}{sent.decode('latin-1')}{'?' if query else ''}{query}",
            headers=headers,
            body=body,
            received_at=self._runtime.now(),
        )
        absorbed = await self._absorb.take(connection, callback)
        answer = absorbed.answer
        self._requests.labels(int(answer.status)).inc()
        for outcome, count in (
            ("accepted", len(answer.events)),
            ("rejected", len(answer.rejected)),
            ("echo", absorbed.echoes),
            ("unmapped", absorbed.ignored),
        ):
            if count:
                self._received.labels(answer.source, outcome).inc(count)
        await _send_answer(send, answer, report=False)

    async def _body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            size += len(part)
            parts.append(part)
            if size > self._most:
                raise _TooMuch(b"".join(parts))
            if not message.get("more_body"):
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _key_hashes(self, authorization: bytes | None) -> tuple[str, ...]:
        if authorization is None:
            return ()
        hashes = self._hashes.get(authorization)
        if hashes is None:
            key = _basic_user(authorization)
            hashes = () if key is None else (self._hash_key(key),)
            if len(self._hashes) < 1000:  # noqa: PLR2004 - keys in use are few; what is made up is not remembered
                self._hashes[authorization] = hashes
        return hashes


_ALLOWED: Final = ((b"allow", b"POST, OPTIONS"),)
_ONLY_POST: Final = ((b"allow", b"POST"),)
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization,content-type,x-retry-count,x-obverse-report"),
    (b"access-control-max-age", b"900"),
)


def _basic_user(authorization: bytes) -> str | None:
    """The user of HTTP Basic authentication; old senders leave out the colon. None for other schemes."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _unpacked(body: bytes, encoding: bytes, most: int) -> bytes:
    """
    Unpack gzip or deflate, and stop at `most` bytes: what is small packed may be huge unpacked.

    Raises:
        _TooMuch: there is more.
        zlib.error: it is not packed so, or cut short.
    """
    if encoding.lower() not in {b"gzip", b"deflate", b"x-gzip"}:
        return body
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        unpacked = unpacker.decompress(body, most + 1)
    except zlib.error:
        unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # deflate without its header, as some senders do
        unpacked = unpacker.decompress(body, most + 1)
    if len(unpacked) > most:
        raise _TooMuch(unpacked)
    if not unpacker.eof:
        raise zlib.error("incomplete")
    return unpacked


def _unpackable(error: zlib.error) -> Unreadable:
    return Unreadable(
        "invalid_json",
        f"the body is not packed as Content-Encoding says ({error}); pack it with gzip, or send it plain",
    )


async def _send_answer(send: Send, answer: Answer, *, report: bool) -> None:
    if answer.status is not HTTPStatus.OK:
        extra = ((b"retry-after", b"%d" % answer.retry_after),) if answer.retry_after is not None else ()
        await _refuse(send, answer.status, answer.code, answer.message, extra)
    elif report:
        await _send(send, HTTPStatus.OK, msgspec.json.encode({"success": True, "rejected": answer.report}))
    else:
        await _send(send, HTTPStatus.OK, _SUCCESS)


async def _refuse(send: Send, status: HTTPStatus, code: str, message: str, extra: tuple[Header, ...] = ()) -> None:
    # Old Python SDKs fail without both `code` and `message`.
    await _send(send, status, msgspec.json.encode({"success": False, "code": code, "message": message}), extra)


async def _send(
    send: Send, status: HTTPStatus, body: bytes, extra: tuple[Header, ...] = (), content_type: bytes = _JSON[1]
) -> None:
    headers = [(_JSON[0], content_type), (b"content-length", b"%d" % len(body)), _CORS, *extra]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})

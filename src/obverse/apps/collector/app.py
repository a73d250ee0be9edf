"""The collector: the HTTP door that SDKs send to. Bare ASGI, since each request here costs."""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry, Gauge

from obverse.apps.collector import packing, settings_of_sdks
from obverse.apps.collector.answer_metrics import AnswerMetrics
from obverse.apps.collector.bodies import Crowded, Gone, Receive, body_of
from obverse.apps.collector.endpoints import PIXELS, SENDING, SOURCE_CONFIG, TOLD, WEBHOOK, settings_key
from obverse.apps.collector.packing import TooMuch
from obverse.apps.collector.replies import Replies, Send, put, waiting
from obverse.apps.http_door import ANSWER, WHOLE
from obverse.apps.metrics import CONTENT_TYPE, exposition
from obverse.core.durations import Durations
from obverse.core.records import Callback
from obverse.core.wire import Unreadable
from obverse.flows.absorb import Absorb
from obverse.flows.answers import OVERLOADED, Answer
from obverse.flows.collect import Collect, Request
from obverse.ports.runtime import Runtime

Scope = MutableMapping[str, Any]

CALLBACKS: Final = "/webhooks/crm/"
"""What follows names a connection."""

REPORT: Final = b"x-obverse-report"
"""A sender that sets this header to `rejected` is told what was rejected, and why."""

_PICTURE: Final = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent point, as a GIF."""


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
        public_url: str = "",
        behind_proxy: bool = False,
        patience: float = 30.0,
    ) -> None:
        """
        Make it.

        `public_url` is where others reach us, if that is not where they seem to: scheme and host, without a path.
        `behind_proxy`: a proxy of ours stands before it, and tells in `X-Forwarded-For` who asks.
        `patience`: seconds within which a body has to be here.
        """
        self._collect = collect
        self._absorb = absorb
        self._public_url = public_url.rstrip("/")
        self._behind_proxy = behind_proxy
        self._patience = patience
        self._runtime = runtime
        self._registry = registry
        self._hash_key = hash_key
        self._hashes: dict[bytes, tuple[str, ...]] = {}
        self._received = defaultdict[tuple[str, str], int](int)
        self._replies = Replies()
        self._answering = Durations()
        registry.register(AnswerMetrics(self._replies, self._received, self._answering))
        Gauge("obverse_log_queue_bytes", "On their way into the log", registry=registry).set_function(
            lambda: collect.intake.waiting_bytes + collect.intake.reading_bytes
        )
        Gauge(
            "obverse_log_queue_seconds", "How long the first of them has waited for the log", registry=registry
        ).set_function(lambda: collect.intake.oldest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            await self._ask(scope, receive, send)
        finally:
            self._begun(scope)  # one whose body nobody asked for
            self._collect.intake.measured()
            scope.pop(ANSWER, None)  # it holds what holds the scope, and what was sent with it

    def turn_away(self, size: int, waited: float) -> bytes | None:
        """See `http_door.Gate`: who would be refused for the crowd is, before anything is made of the request."""
        size = min(size, self._collect.most_bytes)
        return self._replies.turned_away() if self._collect.intake.crowded(size, waited) else None

    def whole(self, size: int) -> int:
        """See `http_door.Gate`."""
        return self._collect.intake.whole(min(size, self._collect.most_bytes))

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path in SENDING and method == "POST":  # nearly all are these
            await self._take(SENDING[path], scope, receive, send)
            return
        methods, work = self._way(scope, receive, send)
        if method in methods:
            await work()
        elif not methods:
            await self._look(path, send)
        elif method == "OPTIONS" and not path.startswith(CALLBACKS):
            # A browser asks whether its page may.
            allowed = (b"access-control-allow-methods", ", ".join(methods).encode())
            await self._replies.send(send, HTTPStatus.OK, b"", (allowed, *_PREFLIGHT))
        else:
            message = f"{method} {path}: use {' or '.join(methods)}"
            asked_first = () if path.startswith(CALLBACKS) else ("OPTIONS",)
            allowed = (b"allow", ", ".join((*methods, *asked_first)).encode())
            await self._replies.refuse(send, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, (allowed,))

    def _way(self, scope: Scope, receive: Receive, send: Send) -> tuple[tuple[str, ...], Callable[[], Awaitable[None]]]:
        """How a path may be asked, and what is done then; no way at all, if nobody sends there."""
        path = scope["path"]
        if path in SENDING:
            return ("POST",), partial(self._take, SENDING[path], scope, receive, send)
        if path in PIXELS:
            return ("GET",), partial(self._show, PIXELS[path], scope, send)
        if path == WEBHOOK:
            return ("GET", "POST"), partial(self._hook, scope, receive, send)
        if path.startswith(CALLBACKS):
            return ("POST",), partial(self._hear, path.removeprefix(CALLBACKS), scope, receive, send)
        if path in SOURCE_CONFIG or settings_key(path):
            return ("GET", "HEAD"), partial(self._start, path, scope, send)
        return (), partial(self._look, path, send)

    async def _look(self, path: str, send: Send) -> None:
        match path:
            case "/health" | "/livez" | "/healthz":
                await put(send, HTTPStatus.OK, b'{"status":"ok"}')
            case "/ready" | "/readyz":
                status = HTTPStatus.OK if self._collect.ready else HTTPStatus.SERVICE_UNAVAILABLE
                told = {
                    "log": "ok" if self._collect.ready else "unavailable",
                    # None, while other collectors have all of them: this one stands by.
                    "partitions": list(self._collect.share.partitions),
                }
                await put(send, status, msgspec.json.encode(told))
            case "/metrics":
                await put(send, HTTPStatus.OK, exposition(self._registry), (), CONTENT_TYPE.encode())
            case _:
                await self._replies.refuse(
                    send, HTTPStatus.NOT_FOUND, "not_found", f"{path}: send events to one of {TOLD}"
                )

    async def _take(self, call: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        read = await self._read(scope, headers, receive, send)
        if read is not None:
            asked = self._request(call, read.body, scope, headers)
            answer = await self._answered(asked, read.flaw)
            report, at_once = headers.get(REPORT) == b"rejected", scope.get(ANSWER)
            await self._replies.answer(send, answer, report=report, at_once=at_once)

    async def _hook(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take whatever some outside system tells, as it tells it."""
        headers = dict(scope["headers"])
        read = await self._read(scope, headers, receive, send)
        if read is not None:
            body = read.body
            if read.flaw is None:
                body = packing.webhook_body(scope["query_string"], body, headers.get(b"content-type", b""))
            asked = self._request("track", body, scope, headers)
            answer = await self._answered(asked, read.flaw)
            await self._replies.answer(send, answer, report=headers.get(REPORT) == b"rejected")

    async def _show(self, call: str, scope: Scope, send: Send) -> None:
        """Answer with a picture, whatever was asked: a page or a mail shows it, and nobody reads the answer's words."""
        body = packing.pixel_body(scope["query_string"])
        if self._collect.intake.crowded(len(body)):
            answer = OVERLOADED
        else:
            answer = await self._answered(self._request(call, body, scope, dict(scope["headers"])), None)
        extra = (_UNKEPT, *waiting(answer))
        await self._replies.send(send, answer.status, _PICTURE, extra, b"image/gif")

    async def _read(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> _Read | None:
        """The body, unpacked; None if its sender has gone away, or is too slow and was told so."""
        sent = b""
        try:
            sent = await self._body(scope, headers, receive)
            self._collect.intake.measure(len(sent))
            packed, nameless = headers.get(b"content-encoding", b""), b"authorization" not in headers
            return _Read(packing.unpacked(sent, packed, self._collect.most_bytes, to_its_end=nameless))
        except TooMuch as error:
            return _Read(error.start)  # refused by its size, and its beginning kept
        except Gone:
            return None
        except Crowded:
            await self._replies.answer(send, OVERLOADED)
            return None
        except TimeoutError:
            await self._replies.refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, "too_slow", _TOO_SLOW, _HANG_UP)
            return None
        except zlib.error as error:
            return _Read(sent, _unpackable(error))

    def _request(self, call: str | None, body: bytes, scope: Scope, headers: Mapping[bytes, bytes]) -> Request:
        hashes = self._key_hashes(headers.get(b"authorization"))
        if not hashes:
            hashes = tuple(map(self._hash_key, packing.query_keys(scope["query_string"])))
        origin = headers.get(b"origin", b"").decode("latin-1")
        return Request(
            call=call,
            body=body,
            key_hashes=hashes,
            origin=origin,
            agent=headers.get(b"user-agent", b"").decode("latin-1"),
            address=self._address(scope, headers),
        )

    def _address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Who asks; behind a proxy of ours, whom it says. What others said before it anyone could have written."""
        told = headers.get(b"x-forwarded-for", b"") if self._behind_proxy else b""
        if told:
            return told.rpartition(b",")[2].strip().decode("latin-1")
        client = scope.get("client")
        return client[0] if client else ""

    async def _answered(self, asked: Request, flaw: Unreadable | None) -> Answer:
        began = self._runtime.elapsed()
        answer = await (self._collect.take(asked) if flaw is None else self._collect.refuse(asked, flaw))
        self._answering.note(self._runtime.elapsed() - began)
        if answer.events:
            self._count(answer.source, "accepted", len(answer.events))
        if answer.rejected:
            self._count(answer.source, "rejected", len(answer.rejected))
        return answer

    def _count(self, source: str, outcome: str, events: int) -> None:
        self._received[source, outcome] += events

    async def _start(self, path: str, scope: Scope, send: Send) -> None:
        """Tell an SDK what it starts with."""
        headers = dict(scope["headers"])
        key = settings_key(path)
        if key is None:
            found = _basic_user(headers.get(b"authorization", b""))
            key = found or next(iter(packing.query_keys(scope["query_string"])), "")
        known = self._collect.known(self._hash_key(key))
        if isinstance(known, Answer):
            await self._replies.answer(send, known)
            return
        if path in SOURCE_CONFIG:
            told = settings_of_sdks.for_rudderstack(key, known.name)
        else:
            scheme, _, host = self._place(scope, headers).partition("://")
            told = settings_of_sdks.for_segment(key, scheme=scheme, host=host)
        extra = ((b"cache-control", b"public, max-age=%d" % settings_of_sdks.MAX_AGE),)
        body = b"" if scope["method"] == "HEAD" else msgspec.json.encode(told)
        await self._replies.send(send, HTTPStatus.OK, body, extra)

    def _place(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Scheme and host by which we were reached."""
        return self._public_url or f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}"

    async def _hear(self, connection: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(scope, dict(scope["headers"]), receive)
        except Crowded:
            await self._replies.answer(send, OVERLOADED)
            return
        except TooMuch:
            message = f"a callback has at most {self._collect.most_bytes} bytes: have the CRM send fewer edits at once"
            await self._replies.refuse(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
            return
        except Gone:
            return
        except TimeoutError:
            await self._replies.refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, "too_slow", _TOO_SLOW, _HANG_UP)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        place = self._place(scope, dict(scope["headers"]))
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
        for outcome, count in (
            ("accepted", len(answer.events)),
            ("rejected", len(answer.rejected)),
            ("echo", absorbed.echoes),
            ("unmapped", absorbed.ignored),
        ):
            if count:
                self._count(answer.source, outcome, count)
        await self._replies.answer(send, answer)

    async def _body(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        try:
            patience = None if WHOLE in scope else self._patience
            return await body_of(receive, headers, self._collect, patience=patience)
        finally:
            self._begun(scope)

    def _begun(self, scope: Scope) -> None:
        """Note that a request which its gate let in waits no longer."""
        self._collect.intake.begun(scope.pop(WHOLE, 0))

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


_PREFLIGHT: Final = (
    (b"access-control-allow-headers", b"authorization,content-type,x-retry-count,anonymousid,x-obverse-report"),
    (b"access-control-max-age", b"900"),
)
_TOO_SLOW: Final = (
    "the body did not come in time; nothing of it was accepted, send it again after the time in Retry-After"
)
_HANG_UP: Final = ((b"retry-after", b"1"), (b"connection", b"close"))
_UNKEPT: Final = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class _Read:
    """A body, unpacked; or as it was sent, with what is wrong with its packing."""

    body: bytes
    flaw: Unreadable | None = None


def _basic_user(authorization: bytes) -> str | None:
    """The user of HTTP Basic authentication; old senders leave out the colon. None for other schemes."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _unpackable(error: zlib.error) -> Unreadable:
    return Unreadable(
        "invalid_json",
        f"the body is not packed as Content-Encoding says ({error}); pack it with gzip, or send it plain",
    )

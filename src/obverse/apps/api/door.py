"""What every request passes: the key, the headers of every answer, the metrics, and errors of ours."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import Request, cookie_parser

from obverse.apps import console
from obverse.apps.api.addresses import routed
from obverse.apps.api.errors import Refusal, explain, in_spaces, refuse, respond, unexpected
from obverse.flows.sign_in import SignIn
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN: Final = frozenset(
    {
        "/health", "/livez", "/healthz", "/ready", "/readyz", "/version", "/metrics", "/robots.txt",
        "/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css",
    }
)  # fmt: skip
"""What needs no key: nothing of it tells of a person. Whatever else is mounted needs one, but the console's pages."""

HEAD: Final = "obverse.head"
"""In a request's scope: that nobody will read the body."""
COOKIE: Final = "obverse_session"
BY_KEY: Final = "api key"
"""Who asks with the API's key."""
_SESSION: Final = "/v1/session"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE: Final = frozenset({b"same-origin", b"none"})

_REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")
_UNMATCHED: Final = "unmatched"
_HUNG_UP: Final = 499
"""The client went away before it was answered (nginx's number)."""

_log = structlog.get_logger(__name__)


async def who(sign_in: SignIn, request: Request) -> str:
    """The name of whoever asks."""
    signed_in = await sign_in.who(request.cookies.get(COOKIE, ""))
    return BY_KEY if signed_in is None else signed_in.name


class Door:
    """ASGI middleware around the whole app."""

    def __init__(
        self, app: Asgi, *, runtime: Runtime, registry: CollectorRegistry, api_key: str | None, sign_in: SignIn
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._key = None if api_key is None else api_key.encode()
        self._sign_in = sign_in
        self._requests = Counter("obverse_api_requests", "Requests answered", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "obverse_api_request_duration_seconds",
            "From the request to the end of its answer",
            ["route"],
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # there is nothing to hear on a web socket
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self._runtime.elapsed()
        headers = dict(scope["headers"])
        inner: Scope = {**scope, "path": routed(scope)}
        if scope["method"] == "HEAD":
            inner[HEAD] = True
            inner["method"] = "GET"  # the server leaves out the body
        answer = _Answer(send, scope, self._request_id(headers))
        try:
            page = _is_page(inner)
            answer.private = answer.private and not page
            refusal = None if page else await self._refusal(scope, headers)
            if refusal is None:
                await self._app(inner, receive, answer.send)
            else:
                await respond(refusal, inner)(inner, receive, answer.send)
        except Exception:
            _log.exception("request failed", route=_route(inner), request_id=answer.request_id.decode())
            if answer.status is not None:
                raise  # half an answer is out: the server must cut it off
            await respond(unexpected(), inner)(inner, receive, answer.send)
        finally:
            route = _route(inner)
            self._requests.labels(route, answer.status or _HUNG_UP).inc()
            self._seconds.labels(route).observe(self._runtime.elapsed() - began)

    async def _refusal(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Refusal | None:
        """Why this request may not enter; None if it may."""
        path, method = scope["path"].removeprefix(scope.get("root_path", "")), scope["method"]
        if self._key is None or path in OPEN:
            return None
        if path == _SESSION and method == "POST":
            # By its token; and nobody else's page may sign our visitors in.
            return None if _is_ours(headers) or b"sec-fetch-site" not in headers else _CROSS_SITE
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._key):
            return None
        mirrored = in_spaces(scope)
        if mirrored and scheme.lower() == b"basic" and hmac.compare_digest(_user_name(given), self._key):
            return None
        locked = _LOCKED_SPACE if mirrored else _LOCKED
        secret = cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        if not secret:
            return locked
        try:
            signed_in = await self._sign_in.who(secret)
        except (Unreachable, AccessRefused) as error:
            return explain(error)
        if signed_in is None:
            return locked
        return None if method in _READING or _is_ours(headers) else _CROSS_SITE

    def _request_id(self, headers: Mapping[bytes, bytes]) -> bytes:
        given = headers.get(b"x-request-id", b"")
        if _REQUEST_ID.fullmatch(given):
            return given
        return b"%032x" % self._runtime.random.getrandbits(128)


_LOCKED: Final = refuse(
    HTTPStatus.UNAUTHORIZED,
    "unauthorized",
    "this address needs the api's key, or somebody who is signed in, and the request has neither",
    "send the header `Authorization: Bearer KEY` with the key that is set as api.key (OBVERSE_API__KEY), or stands in "
    "secrets/api-key of the data folder; people sign in with a link that `obverse sign-in` prints",
    headers={"WWW-Authenticate": "Bearer"},
)


_LOCKED_SPACE: Final = refuse(
    HTTPStatus.UNAUTHORIZED,
    "unauthorized",
    "this address needs the access token, and the request has none or another",
    "send it as the user name of HTTP Basic, with a blank password, as `curl -u TOKEN:` does; it is the api's key, set "
    "as api.key (OBVERSE_API__KEY), or in secrets/api-key of the data folder",
    headers={"WWW-Authenticate": 'Basic realm="obverse", charset="UTF-8"'},
)


_CROSS_SITE: Final = refuse(
    HTTPStatus.FORBIDDEN,
    "cross-site",
    "a page of another site asked for this in the name of somebody who is signed in here",
    "ask from the console's own pages, or with the api's key",
)


def _user_name(given: bytes) -> bytes:
    """The user name of HTTP Basic, if the password is blank; a colon may be missing, as clients leave it out."""
    try:
        return b64decode(given.strip(), validate=True).removesuffix(b":")
    except BinasciiError:
        return b""


def _is_page(scope: Scope) -> bool:
    """Whether one of the console's pages is asked for: the same for everybody, so it needs neither key nor session."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["method"] == "GET" and console.is_page(path) and console.serves(scope["app"], scope)


def _is_ours(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser says that one of our own pages asks, or the person themselves."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in _SAME_SITE
    origin = headers.get(b"origin", b"")
    return bool(origin) and origin.partition(b"://")[2] == headers.get(b"host")


class _Answer:
    """Sends an answer on, with the headers that every answer has."""

    def __init__(self, send: Send, scope: Scope, request_id: bytes) -> None:
        self._send = send
        self.private = scope["path"].removeprefix(scope.get("root_path", "")) not in OPEN
        """Whether what is answered tells of somebody, so that nobody on the way may keep it."""
        self._mirrored = in_spaces(scope)
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            sent = list(message.get("headers", ()))
            given = {name for name, _ in sent}
            message["headers"] = [*sent, *(header for header in self._headers() if header[0] not in given)]
        await self._send(message)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"x-request-id", self.request_id),
            *([(b"request-id", self.request_id)] if self._mirrored else []),
            *([(b"cache-control", b"no-store")] if self.private else []),
        ]


def _route(scope: Scope) -> str:
    """The route's path with its parameters unfilled: few different ones, and nothing of a person."""
    return str(getattr(scope.get("route"), "path_format", _UNMATCHED))

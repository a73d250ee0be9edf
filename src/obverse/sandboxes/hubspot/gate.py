"""Stands before the API: the bearer token, the limits and their headers."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from obverse.sandboxes.hubspot.answers import Refusal
from obverse.sandboxes.hubspot.limits import Limits

_UNKNOWN = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details "
    "at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)


class Gate:
    """Lets through what bears the token and keeps within the limits."""

    def __init__(self, app: ASGIApp, *, token: str, limits: Limits, count: Callable[[str], None]) -> None:
        self._app = app
        self._token = f"Bearer {token}".encode()
        self._limits = limits
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._count("requests")
        given = Headers(scope=scope).get("authorization", "")
        if not hmac.compare_digest(given.encode("latin-1"), self._token):
            refusal = Refusal(HTTPStatus.UNAUTHORIZED, "INVALID_AUTHENTICATION", _UNKNOWN)
            await respond(int(refusal.status), refusal.body())(scope, receive, send)
            return
        search = scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/search")
        policy = self._limits.admit(search=search)
        # "These headers are not included in the response of search requests", says the page on usage.
        headers: Mapping[str, str] = {} if search else self._limits.headers()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                told.update(headers)
                told["X-HubSpot-Correlation-Id"] = str(uuid4())
            await send(message)

        if policy is None:
            await self._app(scope, receive, send_with_headers)
            return
        self._count("throttled")
        await respond(int(HTTPStatus.TOO_MANY_REQUESTS), _throttled(policy))(scope, receive, send_with_headers)


def respond(status: int, body: Any) -> Response:
    """A response with that body as JSON; None is no content."""
    if body is None:
        return Response(status_code=status)
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json;charset=utf-8")


def _throttled(policy: str) -> dict[str, str]:
    refusal = Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "RATE_LIMITS",
        f"You have reached your {policy.lower()} limit.",
        more={"errorType": "RATE_LIMIT", "policyName": policy, "requestId": str(uuid4())},
    )
    return refusal.body()

"""Calls to vendors over HTTP: knows the HTTP library, and turns its failures into the ports' errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import isfinite
from typing import Any, Final

import aiohttp
import msgspec

from obverse.ports.outcomes import AccessRefused, Unreachable

PATIENCE: Final = 30.0
"""Seconds that an answer may take, as a rule."""
LATER: Final = 10.0
"""Seconds to wait after a 429 that does not say how long."""
LONGEST: Final = 3600.0
"""Seconds to wait at most, whatever a vendor asks for."""
MOST_BYTES: Final = 32 << 20
"""Of one answer: a vendor is not trusted with our memory."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor answered, if it is neither a failure of its own nor of our access."""

    status: int
    json: Any
    """Decoded; None if the body is empty."""


class VendorHttp:
    """One connection's calls: a session of its own, so that a vendor that hangs holds nobody else's sockets."""

    def __init__(self, *, patience: float = PATIENCE, connections: int = 4) -> None:
        self._timeout = aiohttp.ClientTimeout(total=patience)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def call(self, method: str, url: str, *, headers: Mapping[str, str], json: Any = None, who: str) -> Answer:
        """
        Call a vendor; `who` names it in messages.

        Raises:
            Unreachable: it did not answer, or failed itself (5xx), or had too many calls (429).
            AccessRefused: it does not know us, or does not let us (401, 403).
        """
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        body = None if json is None else msgspec.json.encode(json)
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=body, headers={**headers, **kind}, allow_redirects=False
            ) as answer:
                text = await _read(answer, who)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            told = str(error) or type(error).__name__
            raise Unreachable(f"{who} does not answer ({told}): see that its address is right and it runs") from error
        _check(answer, text, who)
        try:
            return Answer(answer.status, msgspec.json.decode(text) if text else None)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unreachable(f"{who} answered {answer.status} with what is no JSON: {text[:200]!r}") from error

    async def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            await self._session.close()


async def _read(answer: aiohttp.ClientResponse, who: str) -> bytes:
    text = await answer.content.read(MOST_BYTES)
    if not answer.content.at_eof():
        raise aiohttp.ClientPayloadError(f"{who} answers with more than {MOST_BYTES} bytes")
    return text


def _check(answer: aiohttp.ClientResponse, text: bytes, who: str) -> None:
    status, told = answer.status, text[:500].decode(errors="replace")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise AccessRefused(f"{who} lets us not in ({status}): correct the connection's credentials; it says {told}")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Unreachable(f"{who} has had too many calls: {told}", after=_after(answer, LATER))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise Unreachable(f"{who} failed with {status}: {told}", after=_after(answer, 1.0))


def _after(answer: aiohttp.ClientResponse, usual: float) -> float:
    """Seconds of `Retry-After`; a date in it is taken for the usual time."""
    try:
        asked = float(answer.headers.get("Retry-After", usual))
    except ValueError:
        return usual
    return min(max(asked, 0.1), LONGEST) if isfinite(asked) else usual

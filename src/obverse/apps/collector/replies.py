"""How the collector's answers are put on the wire, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from obverse.flows.answers import OVERLOADED, Answer

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
_CORS: Final[Header] = (b"access-control-allow-origin", b"*")
_SUCCESS: Final = b'{"success":true}'


class Replies:
    """Answers to senders, each counted by its status."""

    def __init__(self) -> None:
        self._accepted = 0
        self._others: Counter[int] = Counter()

    @property
    def counts(self) -> Mapping[int, int]:
        """How many there were of each status."""
        return {**({int(HTTPStatus.OK): self._accepted} if self._accepted else {}), **self._others}

    async def answer(
        self, send: Send, answer: Answer, *, report: bool = False, at_once: Callable[[bytes], bool] | None = None
    ) -> None:
        """Tell what came of it; `report`: with what was rejected, and why. `at_once` takes an answer whole."""
        plain = answer.status is HTTPStatus.OK and not report  # nearly all are these
        if plain and at_once is not None and at_once(_ACCEPTED):
            self._accepted += 1
        elif answer.status is not HTTPStatus.OK:
            await self.refuse(send, answer.status, answer.code, answer.message, waiting(answer))
        elif report:
            await self.send(send, HTTPStatus.OK, msgspec.json.encode({"success": True, "rejected": answer.report}))
        else:
            await self.send(send, HTTPStatus.OK, _SUCCESS)

    def _count(self, status: int) -> None:
        if status == HTTPStatus.OK:
            self._accepted += 1
        else:
            self._others[int(status)] += 1

    def turned_away(self) -> bytes:
        """The answer to somebody who is not let in, whole as it goes over the wire."""
        self._count(OVERLOADED.status)
        return _TURNED_AWAY

    async def refuse(
        self, send: Send, status: HTTPStatus, code: str, message: str, extra: tuple[Header, ...] = ()
    ) -> None:
        """Say no, with a word for programs and what to do."""
        # Old Python SDKs fail without both `code` and `message`.
        await self.send(send, status, _told(code, message), extra)

    async def send(
        self, send: Send, status: HTTPStatus, body: bytes, extra: tuple[Header, ...] = (), content_type: bytes = JSON
    ) -> None:
        """Any other answer."""
        self._count(status)
        await put(send, status, body, extra, content_type)


async def put(
    send: Send, status: HTTPStatus, body: bytes, extra: tuple[Header, ...] = (), content_type: bytes = JSON
) -> None:
    """Put an answer on the wire that is no sender's, and not counted."""
    headers = _headers(body, extra, content_type)
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def waiting(answer: Answer) -> tuple[Header, ...]:
    """When to come again; a browser's page may read it only if it is told so."""
    if answer.retry_after is None:
        return ()
    seconds = b"%d" % answer.retry_after
    readable = (b"access-control-expose-headers", b"retry-after,x-ratelimit-reset")
    return ((b"retry-after", seconds), (b"x-ratelimit-reset", seconds), readable)


def _told(code: str, message: str) -> bytes:
    return msgspec.json.encode({"success": False, "code": code, "message": message})


def _headers(body: bytes, extra: tuple[Header, ...], content_type: bytes) -> list[Header]:
    return [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), _CORS, *extra]


def _whole(status: HTTPStatus, body: bytes, extra: tuple[Header, ...] = ()) -> bytes:
    """An answer as it goes over the wire."""
    lines = [b"%b: %b\r\n" % header for header in _headers(body, extra, JSON)]
    return b"".join((b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()), *lines, b"\r\n", body))


_ACCEPTED: Final = _whole(HTTPStatus.OK, _SUCCESS)
_TURNED_AWAY: Final = _whole(OVERLOADED.status, _told(OVERLOADED.code, OVERLOADED.message), waiting(OVERLOADED))

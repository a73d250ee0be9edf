"""The generator's HTTP: few instructions a request, for its CPU is taken from those whom it measures."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, cast

import httptools

FAILED = 0
"""The status of a request that got no answer."""
_FOR_NOW: Final = frozenset({int(HTTPStatus.TOO_MANY_REQUESTS), int(HTTPStatus.SERVICE_UNAVAILABLE)})
"""Statuses that are to say when to come again."""
_REMEMBERED: Final = 256
"""Answers that are known again without being read."""

Then = Callable[[int], None]
"""What is done with the status of an answer."""


class Sender:
    """
    Sends requests to one server over connections that are kept open, and tells their statuses.

    A request waits while every connection waits for an answer; a connection that breaks is made anew.
    """

    def __init__(self, host: str, port: int, *, connections: int) -> None:
        self._host = host
        self._port = port
        self._connections = connections
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[bytes, Then]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self.known: dict[bytes, int] = {}
        """Whole answers as they came, and their statuses: nearly all are the same to the letter."""
        self.unexplained = 0
        """Answers 429 and 503 that did not say when to come again."""

    async def open(self) -> None:
        """
        Open all connections.

        Raises:
            OSError: nobody listens.
        """
        for _ in range(self._connections):
            await self._connect()

    def head(self, method: str, path: str, headers: bytes = b"") -> bytes:
        """The beginning of a request, for `send`; `headers` are whole lines."""
        return f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\n".encode() + headers

    def send(self, head: bytes, body: bytes, then: Then) -> None:
        """Send, and have the status told at once when it comes; FAILED if the connection broke."""
        self._send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body), then)

    def post(self, path: str, headers: bytes, body: bytes) -> asyncio.Future[int]:
        """As `send`, for those who wait for the status."""
        answer = asyncio.get_running_loop().create_future()
        self.send(self.head("POST", path, headers), body, partial(_settle, answer))
        return answer

    def get(self, path: str, headers: bytes = b"") -> asyncio.Future[int]:
        """As `post`."""
        answer = asyncio.get_running_loop().create_future()
        self._send(self.head("GET", path, headers) + b"\r\n", partial(_settle, answer))
        return answer

    def close(self) -> None:
        """Close the connections that wait for nothing; the others close as they are answered."""
        self._closed = True
        for connection in self._idle:
            connection.close()

    def _send(self, request: bytes, then: Then) -> None:
        if self._idle:
            self._idle.pop().send(request, then)
        else:
            self._waiting.append((request, then))

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: _Connection(self), self._host, self._port)

    def free(self, connection: _Connection) -> None:
        """A connection has nothing to wait for."""
        if self._closed:
            connection.close()
        elif self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """A connection broke."""
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._closed:
            task = asyncio.get_running_loop().create_task(self._connect_again())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect_again(self) -> None:
        while not self._closed:
            try:
                await self._connect()
            except OSError:
                await asyncio.sleep(0.05)
            else:
                break


def _settle(answer: asyncio.Future[int], status: int) -> None:
    if not answer.done():  # who waits may have been cancelled
        answer.set_result(status)


class _Connection(asyncio.Protocol):
    """One connection with one request on its way at most."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._then: Then | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        """Set while the answer has come in part."""
        self._whole = False
        self._says_when = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._sender.free(self)

    def send(self, request: bytes, then: Then) -> None:
        self._then = then
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        known = self._sender.known
        if self._parser is None and data in known:
            self._answered(known[data])
            return
        first = self._parser is None
        parser = self._parser = self._parser or httptools.HttpResponseParser(self)
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()
            return
        if self._whole:
            status = parser.get_status_code()
            explained = self._says_when or status not in _FOR_NOW
            self._parser, self._whole, self._says_when = None, False, False
            if not explained:
                self._sender.unexplained += 1
            elif first and len(known) < _REMEMBERED:
                known[data] = status
            self._answered(status)

    def on_header(self, name: bytes, _: bytes) -> None:
        self._says_when = self._says_when or name.lower() == b"retry-after"

    def on_message_complete(self) -> None:
        self._whole = True

    def connection_lost(self, _: Exception | None) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(FAILED)
        self._sender.lost(self)

    def _answered(self, status: int) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(status)
        self._sender.free(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

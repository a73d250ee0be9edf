"""The generator's HTTP: few instructions a request, for its CPU is taken from those whom it measures."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import cast

import httptools

FAILED = 0
"""The status of a request that got no answer."""


@dataclass(slots=True)
class _Call:
    request: bytes
    answer: asyncio.Future[int]


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
        self._waiting: deque[_Call] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """
        Open all connections.

        Raises:
            OSError: nobody listens.
        """
        for _ in range(self._connections):
            await self._connect()

    def post(self, path: str, headers: bytes, body: bytes) -> asyncio.Future[int]:
        """Send, and tell the status; `headers` are whole lines. FAILED if the connection broke."""
        head = f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-length: {len(body)}\r\n".encode()
        return self._send(b"".join((head, headers, b"\r\n", body)))

    def get(self, path: str, headers: bytes = b"") -> asyncio.Future[int]:
        """As `post`."""
        return self._send(b"".join((f"GET {path} HTTP/1.1\r\nhost: {self._host}\r\n".encode(), headers, b"\r\n")))

    def close(self) -> None:
        """Close the connections that wait for nothing; the others close as they are answered."""
        self._closed = True
        for connection in self._idle:
            connection.close()

    def _send(self, request: bytes) -> asyncio.Future[int]:
        call = _Call(request, asyncio.get_running_loop().create_future())
        if self._idle:
            self._idle.pop().send(call)
        else:
            self._waiting.append(call)
        return call.answer

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: _Connection(self), self._host, self._port)

    def free(self, connection: _Connection) -> None:
        """A connection has nothing to wait for."""
        if self._closed:
            connection.close()
        elif self._waiting:
            connection.send(self._waiting.popleft())
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


class _Connection(asyncio.Protocol):
    """One connection with one request on its way at most."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._call: _Call | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._sender.free(self)

    def send(self, call: _Call) -> None:
        self._call = call
        if self._transport is not None:
            self._transport.write(call.request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_message_complete(self) -> None:
        call, self._call = self._call, None
        if call is not None and not call.answer.done():
            call.answer.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)
        self._sender.free(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self._call is not None and not self._call.answer.done():
            self._call.answer.set_result(FAILED)
        self._sender.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

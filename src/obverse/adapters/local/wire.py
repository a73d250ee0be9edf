"""
What a worker and its readers say to each other on a Unix socket.

Request: 4 bytes of length, then 1 byte of format, 2 bytes of length and the workspace, the identifier.
Answer, in the order of the requests: 4 bytes of length, then 1 byte that says whether there is a profile, and the
packed profile.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

LONGEST_REQUEST: Final = 64 * 1024
LONGEST_ANSWER: Final = 64 * 1024 * 1024
UNKNOWN: Final = b"\0"
KNOWN: Final = b"\1"

_FORMAT: Final = 1
_LENGTH: Final = struct.Struct(">I")
_ASKS: Final = struct.Struct(">BH")


class BadFrame(ValueError):
    """Bytes that are none of ours."""


def encode_request(workspace: bytes, identifier: str) -> bytes:
    """The request for one profile, without its frame."""
    return _ASKS.pack(_FORMAT, len(workspace)) + workspace + identifier.encode("utf-8", "surrogatepass")


def decode_request(request: bytes) -> tuple[bytes, str]:
    """
    The workspace and the identifier of a request.

    Raises:
        BadFrame: it is no request, or of a format that this release does not know.
    """
    if len(request) < _ASKS.size:
        raise BadFrame(f"{len(request)} bytes are no request")
    form, length = _ASKS.unpack_from(request)
    start = _ASKS.size + length
    if form != _FORMAT or len(request) < start:
        raise BadFrame(f"format {form} is not known, or the request is cut short")
    try:
        return request[_ASKS.size : start], request[start:].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise BadFrame(f"the identifier is no text: {error}") from error


def framed(body: bytes) -> bytes:
    """The body with its length before it."""
    return _LENGTH.pack(len(body)) + body


def frames(received: bytearray, longest: int) -> Iterator[bytes]:
    """
    Cut whole frames off what was received, as long as there are any.

    Raises:
        BadFrame: one announces more bytes than are taken, or none.
    """
    while len(received) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(received)
        if not 0 < length <= longest:
            raise BadFrame(f"a frame of {length} bytes; from 1 to {longest} are taken")
        end = _LENGTH.size + length
        if len(received) < end:
            return
        body = bytes(memoryview(received)[_LENGTH.size : end])
        del received[:end]
        yield body


class _Connection(asyncio.Protocol):
    """Either end of a connection."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        """Set when the connection is gone."""
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    @property
    def transport(self) -> asyncio.Transport:
        """Of a connection that was made."""
        return cast("asyncio.Transport", self._transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """See `asyncio.Protocol`."""
        self.ended.set()

    def close(self) -> None:
        """Hang up, whatever was still to be said."""
        self.transport.abort()


class Desk(_Connection):
    """A worker's end of one connection: answers each request at once."""

    def __init__(self, answer: Callable[[bytes], bytes], desks: set[Desk], held: Callable[[], bool]) -> None:
        super().__init__()
        self._held = held
        self._answer = answer
        self._desks = desks
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._desks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(error)
        self._desks.discard(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        self._serve()

    def go_on(self) -> None:
        """Answer what came in while answers were held."""
        if not self._full and not self.transport.is_closing():
            self._serve()

    def _serve(self) -> None:
        if self._held():
            return
        try:
            for request in frames(self._received, LONGEST_REQUEST):
                self.transport.write(framed(self._answer(request)))
                if self._full:
                    return
        except BadFrame:
            self.close()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`. Who does not take the answers is heard no further."""
        self._full = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._full = False
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._serve()


class Link(_Connection):
    """A reader's end: many may ask at once; answers come in the order of the questions."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[asyncio.Future[bytes | None]] = deque()

    def ask(self, requests: Sequence[bytes]) -> list[asyncio.Future[bytes | None]]:
        """
        Of each, the packed profile, or None, when the answer is here.

        Raises:
            ConnectionError: from a future; the connection was lost before the answer came.
        """
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[bytes | None]] = [loop.create_future() for _ in requests]
        self._waiting += answers
        self.transport.write(b"".join(map(framed, requests)))
        return answers

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        try:
            for body in frames(self._received, LONGEST_ANSWER):
                self._answered(body)
        except BadFrame:
            self.close()

    def _answered(self, body: bytes) -> None:
        if not self._waiting:
            raise BadFrame("an answer that nobody asked for")
        waiting = self._waiting.popleft()
        if not waiting.done():  # else whoever asked has gone
            waiting.set_result(body[1:] if body[:1] == KNOWN else None)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(error)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the connection was lost"))

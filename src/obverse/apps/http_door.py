"""A door for HTTP: who is let in, how it is answered, and that nobody holds it open for ever."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

Asgi = Callable[..., Coroutine[Any, Any, None]]


class PortTaken(RuntimeError):
    """Somebody else listens where we should; the message says what to do."""


def listen(host: str, port: int, table: str, setting: str = "port") -> socket.socket:
    """
    Open the door of a role; port 0 takes any free one.

    Raises:
        PortTaken: with what to do about it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, since asyncio sends without delay only where it sees that this is TCP.
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(2048)
    except OSError as error:
        door.close()
        raise PortTaken(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what runs there, or set {table}.{setting} "
            f"(OBVERSE_{table.upper()}__{setting.upper()}) to a free one"
        ) from error
    return door


HEADERS_IN: Final = 20.0
"""Seconds within which a connection's request has to be told as far as its body."""
WHOLE: Final = "obverse.whole"
"""In the scope of a request that its gate let in: what `Gate.whole` said of it, once it is here whole."""


class Gate(Protocol):
    """Says which requests with a body are let in, before anything is made of them."""

    def turn_away(self, size: int, waited: float) -> bytes | None:
        """
        The whole answer to a request that is not let in; else None.

        Its body has `size` bytes (0: not told), and nobody may have looked at it for `waited` seconds.
        """
        ...

    def whole(self, size: int) -> int:
        """Note that a request of `size` bytes is here whole, and waits."""
        ...


class Rounds:
    """
    How long the loop takes to come round, while requests come.

    So long what it reads has lain with the system, where nobody sees it. One round that was long is no crowd: a process
    may lose its core for a moment. So it is the shorter of the last two.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], clock: Callable[[], float]) -> None:
        """`call_soon` is the loop's."""
        self._call_soon = call_soon
        self._clock = clock
        self._goes = self._came = False
        self._began = self._before = 0.0
        self.waited = 0.0
        """Seconds."""

    def note(self) -> None:
        """Note that something has come."""
        self._came = True
        if not self._goes:
            self._goes, self._began = True, self._clock()
            self._call_soon(self._turn)

    def _turn(self) -> None:
        now = self._clock()
        took, self._began = now - self._began, now
        if self._came:
            self.waited, self._before = min(took, self._before), took
            self._came = False
            self._call_soon(self._turn)
        else:
            self._goes = False
            self.waited = self._before = 0.0


ANSWER: Final = "obverse.answer"
"""In the scope of a request: a function that answers with bytes as they go over the wire, in place of `send`."""
_HEAD: Final = 16 << 10
"""Bytes of what is read in which headers are looked for."""
_UPGRADE: Final = re.compile(rb"(\r\n)upgrade:", re.IGNORECASE)
_LAST: Final = b"\r\nconnection: close\r\n\r\n"


class Joined:
    """
    A connection to which the head of an answer goes with what follows it: each write is a call of the system.

    So much of a transport as an answer needs. A head that nothing follows goes out in the loop's next turn.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Hold it, or send it after what is held."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        elif data:
            self._held = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport.is_closing`."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close it, once all has been sent."""
        self.flush()
        self._transport.close()


class _Impatient(HttpToolsProtocol):
    """uvicorn's protocol, which lets nobody hold a connection by telling their request a letter at a time."""

    patience = HEADERS_IN
    gate: Gate | None = None
    rounds: Rounds | None = None
    """Where there is a gate."""
    _slow: asyncio.TimerHandle | None = None
    _away = False
    """Whether the request that is being told was turned away, so that its body is of no interest."""
    _told = False
    """Whether the headers are here, so that what follows is a body."""
    _asked = False
    """Whether the gate was asked for the request that is being told."""
    _size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self._joined = Joined(transport, self.loop)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; an offer to go on in another protocol is passed over, as a server may: its request is meant now."""
        if self.rounds is not None:
            self.rounds.note()
        if not self._told and b"pgrade" in data[:_HEAD].lower():
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(rb"\1x-other:", head) + end + rest
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest, for each request of a connection."""
        super().on_message_begin()
        self._away = False
        self._wait()

    def on_headers_complete(self) -> None:
        """Have it begun."""
        self._told = True
        self._let_in()

    def _let_in(self) -> None:
        """Turn it away at the cost of a few bytes, or let it in and wait no longer."""
        self._asked = False
        if self.gate is not None and self.rounds is not None and self.parser.get_method() == b"POST":
            # One that comes before an earlier answer has gone out may wait long: the gate is not asked.
            self._asked = self.cycle is None or self.cycle.response_complete
            self._size = self._declared()
            if self._asked and not self.expect_100_continue:
                answer = self.gate.turn_away(self._size, self.rounds.waited)
                if answer is not None:
                    self._away = True
                    self._put(answer, keep_alive=self.parser.should_keep_alive())
                    return
        self._wait_no_longer()
        super().on_headers_complete()
        self.cycle.transport = self._joined  # type: ignore[assignment]  # so much of one as it needs
        self.scope[ANSWER] = partial(self._answer, self.cycle)  # type: ignore[typeddict-unknown-key]  # a key of ours

    def _answer(self, cycle: RequestResponseCycle, whole: bytes) -> bool:
        """
        Answer at once: uvicorn's own way takes two calls, and looks at each header.

        Returns False, and has answered nothing, if the sender has to be waited for.
        """
        if cycle.disconnected or cycle.response_started or self.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        self._put(whole, keep_alive=cycle.keep_alive)
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _put(self, whole: bytes, *, keep_alive: bool) -> None:
        if self.flow.write_paused:
            self.transport.abort()  # it asks on and on, and takes no answers
        elif not self.transport.is_closing():
            self._joined.flush()
            self.transport.write(whole if keep_alive else whole.replace(b"\r\n\r\n", _LAST, 1))

    def on_body(self, body: bytes) -> None:
        """Take it, unless its request was turned away."""
        if not self._away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that it is here whole."""
        self._told = False
        if self._away:
            self._wait_no_longer()
            if self.parser.should_keep_alive():
                self._unset_keepalive_if_required()
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
            else:
                self.transport.close()
            return
        # What was answered before it was here whole, nobody will begin to read.
        if self.gate is not None and self._asked and not self.cycle.response_complete:
            self.scope[WHOLE] = self.gate.whole(self._size)  # type: ignore[typeddict-unknown-key]  # a key of ours
        super().on_message_complete()

    def _declared(self) -> int:
        for name, value in self.headers:
            if name == b"content-length":
                return int(value)  # the parser has seen to it that it is a number
        return 0

    def _wait(self) -> None:
        self._wait_no_longer()
        self._slow = self.loop.call_later(self.patience, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Asgi, door: socket.socket, stop: asyncio.Event, *, headers_in: float = HEADERS_IN, gate: Gate | None = None
) -> None:
    """Answer at the door until `stop` is set, then finish what was begun; the app sees only whom the gate lets in."""
    rounds = None if gate is None else Rounds(asyncio.get_running_loop().call_soon, perf_counter)
    config = uvicorn.Config(
        app,
        loop="none",
        http=type("_Patience", (_Impatient,), {"patience": headers_in, "gate": gate, "rounds": rounds}),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    ending = asyncio.create_task(end())
    try:
        await server.serve(sockets=[door])
    finally:
        ending.cancel()

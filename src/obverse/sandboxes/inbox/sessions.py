"""One SMTP connection: aiosmtpd's protocol, with a reading of mails and of addresses of our own."""

# ruff: noqa: N802 - aiosmtpd's names

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import re
import sys
import termios
from collections import defaultdict
from typing import Any, Final, NoReturn, cast

from aiosmtpd.smtp import SMTP

from obverse.sandboxes.inbox.letters import Letter

NOBODY: Final = "<>"
"""The sender of a mail that is not to be answered, as aiosmtpd writes it."""
_GOODBYE: Final = b"421 4.3.2 the inbox is shutting down: connect again later\r\n"
_PATIENCE: Final = 2.0
"""Seconds for a client to take our last words, and for the disk to take its last mail."""
_ALL: Final = 1 << 30

_LOCAL: Final = r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^\s"(),:;<>@\[\]\\\x00-\x1f\x7f]+)'
_DOMAIN: Final = r"(?:\[[^\s\[\]\\<>\x00-\x1f\x7f]+\]|\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)*)"
_ADDRESS: Final = rf"({_LOCAL}@{_DOMAIN}|(?i:postmaster))"
# With a route in front, as it was in use once; without the angle brackets, as some clients send it.
_PATH: Final = re.compile(rf"\s*(?:<(?:(?:@{_DOMAIN},?)+:)?{_ADDRESS}>|{_ADDRESS})(?=\s|$)")


class Session(SMTP):
    """
    Speaks SMTP with one client.

    aiosmtpd reads a mail line by line, none longer than a thousand bytes. A mail has to be taken whatever its lines
    are, and it must be known whether a client has sent its last dot, so DATA is ours.
    """

    command_size_limit = 2_000
    # Bytes that may wait to be read. It is no limit to lines of mails.
    line_length_limit = 1 << 16

    def __init__(self, handler: Any, *, most_bytes: int) -> None:
        # aiosmtpd lets all connections share one such table, and empties it for each.
        self.command_size_limits = defaultdict(lambda: Session.command_size_limit)
        super().__init__(
            handler,
            data_size_limit=most_bytes,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="Obverse inbox: takes every mail, delivers none",
            loop=asyncio.get_running_loop(),
        )
        self._most_bytes = most_bytes
        self._lost = asyncio.Event()
        self.reading = False
        """Whether a mail is coming, and its last dot was not seen."""
        self._caught_up = False
        self._answered = asyncio.Event()
        self._answered.set()
        self._line: asyncio.Transport
        self._talk: asyncio.Task[None]

    @property
    def may_hold_a_mail(self) -> bool:
        """Whether the last dot may have been sent, and was not seen: bytes of a mail wait to be looked at."""
        return self.reading and (not self._caught_up or self._unread() > 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. See `asyncio.Protocol`."""
        super().connection_made(transport)
        # Those of uvloop are no subclasses; and aiosmtpd has begun to talk.
        self._line = cast("asyncio.Transport", transport)
        self._talk = cast("asyncio.Task[None]", self._handler_coroutine)
        # A client that is gone is no error of ours.
        self._talk.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.event_handler.came(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End. See `asyncio.Protocol`."""
        super().connection_lost(error)
        self._lost.set()
        self.event_handler.went(self)

    def data_received(self, data: bytes) -> None:
        """Take what came. See `asyncio.Protocol`."""
        self._caught_up = False
        super().data_received(data)

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a mail, and answer when it is kept."""
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 no recipient was accepted: send RCPT TO first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no words")
            return
        self.reading, self._caught_up = True, False
        try:
            await self.push("354 end the mail with a line that is a dot")
            letter = await self._read_letter()
        finally:
            self.reading = False
        # Nothing is waited for between the last dot and the handing over, so no question falls between them.
        self.envelope = self._create_envelope()
        self._answered.clear()
        try:
            raw = None if letter.too_large else letter.content()
            del letter
            if raw is None:
                await self.push(f"552 5.3.4 the mail is larger than the {self._most_bytes} bytes that are taken")
            else:
                await self.push(await self.event_handler.take(self, envelope, raw))
        finally:
            self._answered.set()

    async def hang(self) -> NoReturn:
        """Say nothing more."""
        self._answered.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable: it waits until it is cancelled")

    async def hang_up(self) -> NoReturn:
        """Cut the connection."""
        self._line.abort()
        await self.hang()

    async def end(self) -> None:
        """Close in good order: a mail that was handed over is answered first, then there is a goodbye."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), _PATIENCE)
        if not self._line.is_closing():
            self._writer.write(_GOODBYE)
            self._line.close()
        self._talk.cancel()
        try:
            await asyncio.wait_for(self._lost.wait(), _PATIENCE)
        except TimeoutError:
            self._line.abort()
        await asyncio.wait([self._talk], timeout=_PATIENCE)

    async def _read_letter(self) -> Letter:
        letter = Letter(self._most_bytes)
        while True:
            self._caught_up = True
            piece = await self._reader.read(_ALL)
            if not piece:
                raise ConnectionResetError("the client went away amid a mail")
            self._reset_timeout()
            rest = letter.feed(piece)
            if rest is not None:
                # All that came was read, so this goes back to where it was.
                if rest:
                    self._reader.feed_data(rest)
                return letter

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # aiosmtpd's own takes much that is no address, and fails on some.
        if not arg:
            return "", ""
        if arg.lstrip().startswith(NOBODY):
            return NOBODY, arg.lstrip().removeprefix(NOBODY)
        found = _PATH.match(arg)
        return (found[1] or found[2], arg[found.end() :]) if found else (None, None)

    def _unread(self) -> int:
        """Bytes that the system holds for us."""
        if self._line.is_closing():
            return 0
        with contextlib.suppress(OSError, ValueError):
            held = fcntl.ioctl(self._line.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
            return int.from_bytes(held, sys.byteorder)
        return 0

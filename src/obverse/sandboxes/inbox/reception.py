"""What SMTP sessions ask of the inbox: whom it takes mail for, and what becomes of a mail."""

# ruff: noqa: ARG002, N802 - aiosmtpd's names and signatures

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiosmtpd.smtp import Envelope

from obverse.sandboxes.inbox.commits import Commits
from obverse.sandboxes.inbox.manners import Manner, manner_of
from obverse.sandboxes.inbox.sessions import NOBODY, Session
from obverse.sandboxes.inbox.store import Arrival

_MOST_RECIPIENTS: Final = 10_000
_GLANCE: Final = 0.002
"""Seconds between two looks at what a connection has not read yet."""
_log = structlog.get_logger(__name__)


class Unsettled(Exception):
    """A connection sent so much for so long that nobody can say yet what it sent."""


class Reception:
    """
    aiosmtpd's handler, for all sessions.

    It misbehaves for the addresses that `manners` tells of.
    """

    def __init__(
        self, commits: Commits, *, most_bytes: int, clock: Callable[[], float] = time.time, patience: float = 10.0
    ) -> None:
        self._commits = commits
        self._most_bytes = most_bytes
        self._clock = clock
        self._patience = patience
        self._sessions: set[Session] = set()

    async def serve(self, door: socket.socket) -> None:
        """Take connections until cancelled; then end each in good order."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Session(self, most_bytes=self._most_bytes), sock=door)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            # Who was let in at the last moment is told goodbye too.
            while self._sessions:
                await asyncio.gather(*(session.end() for session in self._sessions))
            await server.wait_closed()

    async def settle(self) -> None:
        """
        Wait until every mail is kept or refused whose last dot was sent before.

        Raises:
            Unsettled: a client sends without a pause, and it cannot be told what it sent.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        reading = {session for session in self._sessions if session.reading}
        # Twice: what a client has handed to its system may be on its way to ours for a moment.
        for _ in range(2 if reading else 0):
            busy = reading
            while busy := {session for session in busy if session.may_hold_a_mail}:
                if loop.time() > deadline:
                    raise Unsettled("a mail has been coming without a pause for so long that it cannot be waited for")
                await asyncio.sleep(_GLANCE)
            await asyncio.sleep(_GLANCE)
        await self._commits.settle()

    async def take(self, session: Session, envelope: Envelope, raw: bytes) -> str:
        """Keep a mail, and return how that is answered."""
        manner = manner_of(envelope.rcpt_tos)
        if manner is Manner.REFUSE_DATA:
            return "554 5.6.0 this recipient's mails are refused after their last dot, as the address asks for"
        if manner is Manner.LOSE:
            await session.hang_up()
        sender = "" if envelope.mail_from in {None, NOBODY} else str(envelope.mail_from)
        arrival = Arrival(raw, sender, tuple(envelope.rcpt_tos), int(self._clock() * 1000))
        try:
            number = await asyncio.shield(self._commits.keep(arrival))
        except sqlite3.Error as error:
            _log.error("a mail is not kept", error=str(error))
            return f"451 4.3.1 not kept ({error}): make room on the inbox's disk or empty the inbox, and send again"
        match manner:
            case Manner.DROP:
                await session.hang_up()
            case Manner.HANG:
                await session.hang()
        return f"250 2.0.0 kept as {number}"

    def came(self, session: Session) -> None:
        """Note a connection."""
        self._sessions.add(session)

    def went(self, session: Session) -> None:
        """Note that it is gone."""
        self._sessions.discard(session)

    async def handle_EHLO(
        self, session: Session, state: Any, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """What we can do. Commands are answered in their order, however many come at once."""
        state.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_MAIL(
        self, session: Session, state: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Any sender will do, if it is an address."""
        flaw = _flaw(envelope, address)
        if flaw:
            return flaw
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, session: Session, state: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Any recipient will do, if it is an address, but for those that ask for something else."""
        flaw = "553 5.1.3 nobody is no recipient" if address == NOBODY else _flaw(envelope, address)
        if flaw:
            return flaw
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return f"452 4.5.3 a mail has at most {_MOST_RECIPIENTS} recipients: send to the others in another one"
        match manner_of([address]):
            case Manner.DEFER:
                return "451 4.2.0 this recipient is always deferred, as the address asks for"
            case Manner.REFUSE:
                return "550 5.1.1 this recipient is always refused, as the address asks for"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Nothing is kept of what failed."""
        _log.error("an SMTP session met an error of ours", exc_info=error)
        return "451 4.3.0 the inbox met an error of its own: its log tells which"


def _flaw(envelope: Envelope, address: str) -> str | None:
    try:
        address.encode()
    except UnicodeEncodeError:
        return "553 5.1.3 the address is not in UTF-8"
    if not address.isascii() and not envelope.smtp_utf8:
        return "553 5.6.7 an address that is not ASCII takes SMTPUTF8 in MAIL FROM"
    return None

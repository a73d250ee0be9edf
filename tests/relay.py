"""An SMTP relay on loopback that is not ours: what it makes of a mail hangs on the name of whom it is for."""

# ruff: noqa: ARG002, N802 - aiosmtpd's names and signatures

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

OKAY = "250 OK"


@dataclass
class Relay:
    """aiosmtpd's handler."""

    login: tuple[str, str] | None = None
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sessions: int = 0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.sessions += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.login and not session.authenticated:
            return "530 5.7.0 sign in first"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return OKAY

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str | bytes:
        match address.partition("@")[0]:
            case "latin":
                return "550 Empf\u00e4nger unbekannt\0".encode("latin-1")
            case "refused":
                return "550 5.1.1 nobody of that name"
            case "deferred":
                return "451 4.3.0 come back later"
            case "closing":
                return "421 4.3.2 going down"
        envelope.rcpt_tos.append(address)
        return OKAY

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str | bytes:
        name = envelope.rcpt_tos[0].partition("@")[0]
        if name == "content":
            return "554 5.6.0 we do not like it"
        if name != "lost":
            content = envelope.content
            assert isinstance(content, bytes)
            self.raw.append(content)
            mail = message_from_bytes(content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients += envelope.rcpt_tos
        if name in {"doubted", "lost"}:
            hang_up(server)
        if name == "hung":
            await asyncio.Event().wait()
        return "250 angekommen, sch\u00f6n".encode("latin-1") if name == "thanks" else OKAY

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        name, password = data.login.decode(), data.password.decode()
        known = (name, password) == self.login
        return AuthResult(success=known, handled=known)  # what is not handled, aiosmtpd answers with 535


def hang_up(session: SMTP) -> None:
    if isinstance(session.transport, asyncio.Transport):
        session.transport.abort()


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[Relay]:
    """Serve on a free port."""
    authenticator = relay.authenticate if relay.login else None
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(
            SMTP(
                relay,
                enable_SMTPUTF8=True,
                authenticator=authenticator,
                auth_require_tls=False,
            )
        )
        return sessions[-1]

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for one in sessions:
            hang_up(one)
            if one._handler_coroutine is not None:
                one._handler_coroutine.cancel()
        await asyncio.sleep(0)

"""Mail to any SMTP relay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import aiosmtplib

from obverse.adapters.smtp.letters import to_bytes, wire_address
from obverse.core.mails import Mail
from obverse.ports.email_service import EmailService, EmailServiceLimits, Outcome
from obverse.ports.outcomes import AccessRefused, Deferred, Done, Refused, Unknown, Unreachable
from obverse.ports.runtime import Runtime

PERMANENT: Final = 500
"""Replies from here on are final; those below may be another another time."""
CLOSING: Final = 421
"""The relay hangs up."""
UNSIGNED: Final = 530
"""The relay wants us to sign in, or to encrypt, before it takes any mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """The `[email_service.smtp]` table of the settings file."""

    host: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 30.0
    """Seconds that each answer may take."""


async def open_smtp(settings: SmtpSettings, runtime: Runtime) -> EmailService:
    """
    Entry point `obverse.email_service:smtp`.

    Raises:
        ValueError: there is a password, and no encryption to send it by.
    """
    if settings.password and settings.tls == "none" and settings.host not in {"127.0.0.1", "::1", "localhost"}:
        raise ValueError(
            f"email_service.smtp: the password would go to {settings.host} in clear: set tls to starttls or tls"
        )
    return SmtpService(settings, runtime)


class SmtpService:
    """See `EmailService`. A relay cannot be asked: what it did not answer stays in doubt."""

    limits = EmailServiceLimits(batch_size=100, can_be_asked=False)

    def __init__(self, settings: SmtpSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime

    async def send(self, mails: Sequence[Mail]) -> Sequence[Outcome]:
        """See `EmailService.send`. One connection for all, and another one when it breaks."""
        if len(mails) > self.limits.batch_size:
            raise ValueError(f"{len(mails)} mails in one call; at most {self.limits.batch_size} are taken")
        outcomes: list[Outcome] = []
        while len(outcomes) < len(mails):
            try:
                async with self._connected() as relay:
                    while len(outcomes) < len(mails) and relay.is_connected:
                        outcomes.append(await self._send(relay, mails[len(outcomes)]))
            except (Unreachable, AccessRefused) as error:
                if not outcomes:
                    raise
                outcomes += [Deferred(str(error))] * (len(mails) - len(outcomes))
        return outcomes

    async def sent(self, message_ids: Sequence[str]) -> Sequence[bool]:
        """See `EmailService.sent`."""
        raise NotImplementedError("an SMTP relay cannot be asked what became of a mail")

    async def close(self) -> None:
        """See `EmailService.close`. No connection outlives a call."""

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        settings = self._settings
        relay = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            timeout=settings.timeout,
        )
        place = f"{settings.host}:{settings.port}"
        try:
            await relay.connect()
            if settings.username:
                await relay.login(settings.username, settings.password)
            await relay.ehlo()
        except aiosmtplib.SMTPAuthenticationError as error:
            relay.close()
            raise AccessRefused(f"{place} does not know this login ({_whole(error.message)}): correct it") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            relay.close()
            raise Unreachable(
                f"{place} cannot be sent to ({_whole(error)}): see that it runs and lets us in"
            ) from error
        try:
            yield relay
        finally:
            try:
                await relay.quit()
            except (aiosmtplib.SMTPException, OSError):
                relay.close()  # it went first

    async def _send(self, relay: aiosmtplib.SMTP, mail: Mail) -> Outcome:
        try:
            sender, recipient = wire_address(mail.sender), wire_address(mail.to)
            letter = to_bytes(mail, self._runtime.now())
        except ValueError as error:
            return Refused(str(error))
        handed_over = False
        try:
            await relay.mail(sender)
            await relay.rcpt(recipient)
            handed_over = True
            answer = await relay.data(letter)
        except aiosmtplib.SMTPServerDisconnected as error:
            return _broken(error, in_doubt=handed_over)
        except aiosmtplib.SMTPResponseException as error:
            await _begin_anew(relay, error.code)
            told = f"{error.code} {_whole(error.message)}"
            if error.code == UNSIGNED:
                place = f"{self._settings.host}:{self._settings.port}"
                raise AccessRefused(f"{place} lets us not in ({told}): set username and password, and tls") from error
            return Refused(told) if error.code >= PERMANENT else Deferred(told)
        except (aiosmtplib.SMTPException, OSError) as error:
            relay.close()
            return _broken(error, in_doubt=handed_over)
        return Done(_whole(answer.message))


def _whole(said: object) -> str:
    """What a relay said, as whole text: of Latin-1, which some write, aiosmtplib makes halves of characters."""
    return (
        str(said)
        .encode("utf-8", "surrogateescape")
        .decode("utf-8", "replace")
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
    )


def _broken(error: Exception, *, in_doubt: bool) -> Outcome:
    if in_doubt:
        return Unknown(f"the relay had the mail and did not say what became of it ({_whole(error)})")
    return Deferred(f"the connection broke before the mail was handed over ({_whole(error)})")


async def _begin_anew(relay: aiosmtplib.SMTP, code: int) -> None:
    if code == CLOSING:
        relay.close()
        return
    try:
        await relay.rset()
    except (aiosmtplib.SMTPException, OSError):
        relay.close()

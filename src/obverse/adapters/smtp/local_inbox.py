"""Mail to the local inbox: an SMTP server of ours that keeps what it gets, and can be asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
import msgspec

from obverse.adapters.smtp.relay import SmtpService, SmtpSettings
from obverse.ports.email_service import EmailService, EmailServiceLimits
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalInboxSettings:
    """The `[email_service.local_inbox]` table of the settings file."""

    inbox_host: str = "127.0.0.1"
    inbox_port: int = 8025
    """Where it takes mail."""
    inbox_url: str = "http://127.0.0.1:8060/inbox"
    """Where it is asked."""
    timeout: float = 10.0
    """Seconds that each answer may take."""


async def open_local_inbox(settings: LocalInboxSettings, runtime: Runtime) -> EmailService:
    """Entry point `obverse.email_service:local_inbox`."""
    return LocalInbox(settings, runtime)


class _Found(msgspec.Struct):
    count: int


class LocalInbox(SmtpService):
    """
    See `EmailService`. It is asked by Message-ID, so a doubt never stays one.

    It knows the mails that it keeps: one that a person deleted from it is told as never sent.
    """

    limits = EmailServiceLimits(batch_size=SmtpService.limits.batch_size, can_be_asked=True)

    def __init__(self, settings: LocalInboxSettings, runtime: Runtime) -> None:
        relay = SmtpSettings(host=settings.inbox_host, port=settings.inbox_port, tls="none", timeout=settings.timeout)
        super().__init__(relay, runtime)
        self._url = settings.inbox_url.rstrip("/")
        self._patience = aiohttp.ClientTimeout(total=settings.timeout)

    async def sent(self, message_ids: Sequence[str]) -> Sequence[bool]:
        """See `EmailService.sent`. The inbox waits for mails whose last dot was sent, so no answer is too early."""
        try:
            async with aiohttp.ClientSession(timeout=self._patience) as http:
                return [await self._has(http, message_id) for message_id in message_ids]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            told = str(error) or type(error).__name__
            raise Unreachable(f"the inbox at {self._url} does not answer ({told}): see that it runs") from error

    async def _has(self, http: aiohttp.ClientSession, message_id: str) -> bool:
        url = f"{self._url}/by-message-id/{quote(message_id, safe='')}"
        async with http.get(url, allow_redirects=False) as answer:
            told = await answer.read()
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"the inbox at {self._url} failed with {answer.status}: {told[:500]!r}")
        try:
            if answer.status == HTTPStatus.OK:
                return msgspec.json.decode(told, type=_Found).count > 0
        except msgspec.MsgspecError:
            pass
        raise AccessRefused(
            f"what answers at {self._url} is no local inbox ({answer.status}): "
            "set email_service.local_inbox.inbox_url to where the inbox is asked"
        )

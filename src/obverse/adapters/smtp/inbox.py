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
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalInboxSettings:
    """The `[email_service.local_inbox]` table of the settings file."""

    host: str = "127.0.0.1"
    port: int = 8025
    """Where it takes mail."""
    url: str = "http://127.0.0.1:8060/inbox"
    """Where it is asked."""
    timeout: float = 10.0
    """Seconds that each answer may take."""


async def open_local_inbox(settings: LocalInboxSettings, runtime: Runtime) -> EmailService:
    """Entry point `obverse.email_service:local_inbox`."""
    return LocalInbox(settings, runtime)


class _Found(msgspec.Struct):
    count: int


class LocalInbox(SmtpService):
    """See `EmailService`. It is asked by Message-ID, so a doubt never stays one."""

    limits = EmailServiceLimits(batch_size=SmtpService.limits.batch_size, can_be_asked=True)

    def __init__(self, settings: LocalInboxSettings, runtime: Runtime) -> None:
        super().__init__(
            SmtpSettings(host=settings.host, port=settings.port, tls="none", timeout=settings.timeout), runtime
        )
        self._url = settings.url
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout)

    async def sent(self, message_ids: Sequence[str]) -> Sequence[bool]:
        """See `EmailService.sent`."""
        try:
            async with aiohttp.ClientSession(timeout=self._timeout) as http:
                return [await self._has(http, message_id) for message_id in message_ids]
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError) as error:
            raise Unreachable(f"the inbox at {self._url} does not answer ({error}): is it running?") from error

    async def _has(self, http: aiohttp.ClientSession, message_id: str) -> bool:
        async with http.get(f"{self._url}/by-message-id/{quote(message_id, safe='')}") as answer:
            if answer.status != HTTPStatus.OK:
                raise Unreachable(f"the inbox at {self._url} answered {answer.status}: see its log")
            return msgspec.json.decode(await answer.read(), type=_Found).count > 0

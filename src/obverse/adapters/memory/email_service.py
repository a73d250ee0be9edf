"""A mail service in memory: for tests, for trying things out, and for runs that repeat from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from obverse.core.mails import Mail
from obverse.ports.email_service import EmailService, EmailServiceLimits, Outcome
from obverse.ports.outcomes import Deferred, Done, Refused
from obverse.ports.runtime import Runtime


@dataclass(slots=True)
class MemoryPost:
    """The service itself, which outlives its connections."""

    mails: list[Mail] = field(default_factory=list)
    """What went out, in order; what went out twice, twice."""
    fate: Callable[[Mail], Outcome | None] = lambda _: None
    """What is answered instead of `Done`; with `Unknown`, `loses` says whether the mail goes out."""
    loses: Callable[[Mail], bool] = lambda _: False
    trouble: Exception | None = None
    """Raised by every call, for as long as it is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryServiceSettings:
    """The `[email_service.memory]` table of the settings file."""

    can_be_asked: bool = True
    post: MemoryPost = field(default_factory=MemoryPost, repr=False)


async def open_email_service(settings: MemoryServiceSettings, runtime: Runtime) -> EmailService:
    """Entry point `obverse.email_service:memory`."""
    return MemoryEmailService(settings, runtime)


class MemoryEmailService:
    """See `EmailService`."""

    def __init__(self, settings: MemoryServiceSettings, runtime: Runtime) -> None:
        self.limits = EmailServiceLimits(batch_size=50, can_be_asked=settings.can_be_asked)
        self._post = settings.post
        self._runtime = runtime

    async def send(self, mails: Sequence[Mail]) -> Sequence[Outcome]:
        """See `EmailService.send`."""
        if len(mails) > self.limits.batch_size:
            raise ValueError(f"{len(mails)} mails in one call; at most {self.limits.batch_size} are taken")
        outcomes: list[Outcome] = []
        for mail in mails:
            await self._answers()
            outcome = self._post.fate(mail)
            if not isinstance(outcome, Refused | Deferred) and not self._post.loses(mail):
                self._post.mails.append(mail)
            await self._runtime.sleep(0)  # whoever is killed here has sent it, and does not know
            outcomes.append(outcome or Done(mail.message_id))
        return outcomes

    async def sent(self, message_ids: Sequence[str]) -> Sequence[bool]:
        """See `EmailService.sent`."""
        if not self.limits.can_be_asked:
            raise NotImplementedError("this service cannot be asked what became of a mail")
        await self._answers()
        there = {mail.message_id for mail in self._post.mails}
        return [message_id in there for message_id in message_ids]

    async def close(self) -> None:
        """See `EmailService.close`."""

    async def _answers(self) -> None:
        await self._runtime.sleep(0)
        if self._post.trouble is not None:
            raise self._post.trouble

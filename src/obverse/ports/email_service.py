"""Port: who carries our mail, such as an SMTP relay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from obverse.core.mails import Mail
from obverse.ports.outcomes import Deferred, Done, Refused, Unknown

Outcome = Done | Refused | Deferred | Unknown
"""What became of one mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailServiceLimits:
    """What one mail service allows and can do."""

    batch_size: int
    """Most mails in one call of `send`."""
    can_be_asked: bool
    """Whether `sent` can say what became of a mail. Where it cannot, a doubt stays one."""


class EmailService(Protocol):
    """
    Carries mails.

    Promises, proved for every adapter by `obverse.contracts.email_service`:

    * one outcome a mail, in the order given; the refusal of one never hides the fate of another;
    * a mail goes out at most once a call, and `Deferred` and `Unreachable` say that it did not;
    * what was handed over and not answered is `Unknown`, never `Deferred`;
    * what arrives is what was given, in any script, under its own Message-ID.
    """

    @property
    def limits(self) -> EmailServiceLimits:
        """What this service allows; constant for the life of the connection."""
        ...

    async def send(self, mails: Sequence[Mail]) -> Sequence[Outcome]:
        """
        Send each mail.

        Raises:
            Unreachable: none was sent; send all of them again, not before its `after`.
            AccessRefused: none was sent; a person must mend the connection.
            ValueError: there are more mails than `limits.batch_size`.
        """
        ...

    async def sent(self, message_ids: Sequence[str]) -> Sequence[bool]:
        """
        Return, in the order given, whether the service has each of these mails or will have it without us.

        Raises:
            Unreachable, AccessRefused: nothing is known.
            NotImplementedError: `limits.can_be_asked` is false.
        """
        ...

    async def close(self) -> None:
        """Close what this service opened."""
        ...

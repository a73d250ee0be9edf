"""What can become of a call to the outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """It was done, durably, as far as the other side says."""

    reference: str
    """What the other side calls it: a record's id, a message's id."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It was refused for what it is: asking again changes nothing."""

    reason: str
    """What was wrong, in the other side's words, and what to do."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """It was not done, for now; asking again may help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been done or not, and asking again could do it twice."""

    reason: str


class Unreachable(Exception):
    """
    The other side did not answer, so nothing is known of what was asked.

    Asking again is safe wherever a port says so.
    """

    def __init__(self, message: str, *, after: float = 1.0) -> None:
        super().__init__(message)
        self.after = after
        """Seconds to wait before asking again."""


class AccessRefused(Exception):
    """The other side knows us and says no: a person must mend the connection."""

"""What can become of a call to the outside."""

from __future__ import annotations


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

"""What all parts of a replay have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

Tell = Callable[[int], Awaitable[None]]
"""Notes how many people and changes were gone through by now; raises `Cancelled` once nobody wants it any more."""

AT_ONCE: Final = 200
"""People who are looked at beside each other."""


class Cancelled(Exception):
    """Somebody has cancelled the replay."""


class CannotReplay(Exception):
    """It cannot be done; the message says why, and what to do."""

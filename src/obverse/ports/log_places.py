"""Port: which log is in force, so that all roles use the same one, also while it is moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

HOLD_SECONDS: Final = 30.0
"""How long others let go of the log after a mover has asked them last."""
RENEW_SECONDS: Final = 10.0
"""Within so many seconds a mover must ask again: an answer that comes later finds that others may have gone on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """Where the log is."""

    adapter: str
    """Of the log that is in force."""
    moving_to: str | None = None
    """The adapter of the log that its records are copied to."""
    held: bool = False
    """Whether all but the mover let go of it now."""


class TooLate(Exception):
    """A mover did not renew its hold in time, so others may have appended meanwhile."""


class LogMover(Protocol):
    """
    The one that moves a workspace's log, until it is closed or its process ends.

    Every method raises `Unreachable` or `AccessRefused` where nothing can be written now.
    """

    async def begin(self, to: str) -> None:
        """Note that the log is copied to this adapter's; the hold, if there is one, is over."""
        ...

    async def hold(self) -> None:
        """Ask all others to let go of the log."""
        ...

    async def renew(self) -> None:
        """
        Ask again, within `RENEW_SECONDS`.

        Raises:
            TooLate: it was not within them.
        """
        ...

    async def finish(self) -> None:
        """
        Put the other log in force.

        Raises:
            TooLate: the hold was not renewed in time.
        """
        ...

    async def give_up(self, *, forget: bool) -> None:
        """Have others use the log as before; with `forget` it is copied to no other any more."""
        ...

    async def close(self) -> None:
        """Let the next mover in."""
        ...


class LogPlaces(Protocol):
    """
    Where one workspace's log is.

    Promises, proved for every adapter by `obverse.contracts.log_places`:

    * the first adapter that was settled is in force until a mover has put another one in its place;
    * one mover at a time;
    * a hold lasts `HOLD_SECONDS` from the last time that it was asked for, whatever becomes of the mover; whoever
      finishes has held it without a gap;
    * nothing of it is of another workspace.

    Every method raises `Unreachable` or `AccessRefused` where nothing can be read or written now.
    """

    async def settle(self, adapter: str) -> LogPlace:
        """Return where the log is; if that was never noted, note that it is this adapter's."""
        ...

    async def open_mover(self) -> LogMover:
        """Become the mover, waiting for the former one to go."""
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...

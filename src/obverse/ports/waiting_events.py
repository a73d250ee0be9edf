"""Port: events that are asked for where nobody can append to the log, and wait for the collector, who can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from obverse.core.events import Event


class WaitingEvents(Protocol):
    """
    The part of a `ProfileStore` in which events wait to be appended.

    Whoever appends one settles it afterwards. A crash in between has it appended twice, with one message id.
    """

    async def ask_event(self, event: Event) -> bool:
        """
        Have an event wait; False, and nothing done, if one of this message id was ever asked for.

        When it is appended, it arrives.

        Raises:
            Unreachable: the store cannot be written now; nothing is known of the event.
        """
        ...

    async def ask_events(self, events: Sequence[Event]) -> None:
        """
        Have many events wait, in this order, all of them or none; those that were ever asked for are passed over.

        Raises:
            Unreachable: as `ask_event`.
        """
        ...

    async def waiting_events(self, *, limit: int) -> Sequence[Event]:
        """
        Return those that wait, as they were given, in the order in which they were asked for.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def settle_event(self, message_id: str, *, at: int) -> None:
        """
        Note that one that waits was appended at this time, in microseconds since 1970.

        Raises:
            Unreachable: nothing is known; settling it again does no harm.
        """
        ...

    async def forget_events(self, source: str, *, before: int) -> None:
        """
        Forget those of a source that were appended before this time: their message ids can be asked for again.

        Raises:
            Unreachable: nothing is known; asking again does no harm.
        """
        ...

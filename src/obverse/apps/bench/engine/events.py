"""The events that are folded: as a collector appends them, a few of them from devices that nobody has seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Final

from msgspec import structs

from obverse.apps.bench.bodies import bodies, introductions
from obverse.apps.bench.engine.asked import BATCH, Asked
from obverse.core import wire
from obverse.core.events import Event

_BEGAN: Final = 1_767_225_600.0
"""When the first event arrives, in seconds since 1970."""
_AWAY: Final = 1000
"""Events after which a device signs in."""
_SOURCE: Final = "bench"


def known(asked: Asked) -> Iterator[Event]:
    """Everybody's identify, with three identifiers and eight attributes."""
    for first in range(0, asked.people, BATCH):
        yield from _read(introductions(range(first, min(first + BATCH, asked.people))), _BEGAN)


def happening(asked: Asked) -> Iterator[Event]:
    """What people do from then on, for ever, as fast as the load's rate says; the same each time."""
    number = 0

    def clock() -> float:
        return _BEGAN + number / asked.rate

    devices = _Devices(asked.new / 100)
    for body in bodies(asked.load, b"engine", clock):
        yield from map(devices.shown, _read(body, clock()))
        number += BATCH


def batches(events: Iterator[Event], size: int) -> Iterator[list[Event]]:
    """Cut into lists of this size; the last may be shorter."""
    while some := list(islice(events, size)):
        yield some


def _read(body: bytes, at: float) -> list[Event]:
    limits = wire.Limits()
    message = wire.open_body(body, batch=True, limits=limits)
    reading = wire.read_events(
        message, call=None, source=_SOURCE, received_at=int(at * 1_000_000), new_id=str, limits=limits
    )
    return reading.events


class _Devices:
    """
    Has a share of the events come from a device that nobody has seen, each of which signs in soon after.

    So both need a decision of identity: the first makes a profile, which another one absorbs then.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._dice = Random(2)  # noqa: S311 - a load that can be repeated
        self._number = 0
        self._away: deque[tuple[int, str | None, str]] = deque()
        """When each signs in, who that is, and the device."""

    def shown(self, event: Event) -> Event:
        """The event, or the same of somebody else."""
        self._number += 1
        if self._away and self._away[0][0] <= self._number:
            _, person, device = self._away.popleft()
            return structs.replace(event, user_id=person, anonymous_id=device)
        if self._dice.random() < self._share:
            device = f"device-{self._number}"
            self._away.append((self._number + _AWAY, event.user_id, device))
            return structs.replace(event, user_id=None, anonymous_id=device)
        return event

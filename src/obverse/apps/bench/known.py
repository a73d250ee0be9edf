"""The people of a load, made known before it: sent through the road, as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from obverse.apps.bench.bodies import introductions
from obverse.apps.bench.doors import OK, Doors
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.sender import FAILED

_SIZE: Final = 500
"""People in one batch."""
_UNDER_WAY: Final = 8
"""Batches at once."""
_PAUSE: Final = 0.02
"""Seconds before a batch that was refused is sent again, at first; each is twice as long."""
_LONGEST: Final = 1.0
_TRIES: Final = 100
_AGAIN: Final = frozenset({FAILED, int(HTTPStatus.TOO_MANY_REQUESTS), int(HTTPStatus.SERVICE_UNAVAILABLE)})
"""Statuses after which the same batch is sent again; what came twice by it is known by its message ids."""


async def make_known(doors: Doors, load: Load) -> int:
    """
    Send an identify of everybody; returns how many events that were.

    Raises:
        BenchFailed: some were not accepted.
    """
    batches = (range(first, min(first + _SIZE, load.people)) for first in range(0, load.people, _SIZE))
    await asyncio.gather(*(_introduce(doors, batches) for _ in range(_UNDER_WAY)))
    return load.people


async def _introduce(doors: Doors, batches: Iterator[range]) -> None:
    for people in batches:
        body, pause = introductions(people), _PAUSE
        for _ in range(_TRIES):
            status = await doors.send(body)
            if status not in _AGAIN:
                break
            # The collector asks for a second; it is rarely as long until there is room.
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)
        if status != OK:
            raise BenchFailed(f"the people's first events were answered {status}")

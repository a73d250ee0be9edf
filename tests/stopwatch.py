"""How long something takes at its best: a busy machine holds up one go or two, code that waits holds up all of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

GOES = 5


async def quickest(act: Callable[[], Awaitable[object]], *, enough: float, goes: int = GOES) -> float:
    """Seconds of the quickest go; none is made after one that took `enough` at most."""
    best = float("inf")
    for _ in range(goes):
        began = time.monotonic()
        await act()
        best = min(best, time.monotonic() - began)
        if best <= enough:
            break
    return best

"""How an engine's loops fail together, and what is asked of it while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from obverse.ports.outcomes import Unreachable

Answer = TypeVar("Answer")


async def until_failure(loop: Coroutine[Any, Any, None], failed: asyncio.Future[None]) -> None:
    """Run a loop; what it fails with is what all have failed with."""
    try:
        await loop
    except Exception as error:  # noqa: BLE001 - handed on, whatever it is
        if not failed.done():
            failed.set_exception(error)


async def unless_ended(asked: Coroutine[Any, Any, Answer], ended: asyncio.Event) -> Answer:
    """
    Wait for what was asked of an engine that runs.

    Raises:
        Unreachable: it has ended before; ask again.
    """
    work, ending = asyncio.ensure_future(asked), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait([work, ending], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise Unreachable("the engine has stopped, and begins again from its last checkpoint")
    finally:
        for one in (work, ending):
            one.cancel()

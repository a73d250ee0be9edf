"""How loops that run beside each other fail together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_failure(loop: Coroutine[Any, Any, None], failed: asyncio.Future[None]) -> None:
    """Run a loop; what it fails with is what all have failed with."""
    try:
        await loop
    except Exception as error:  # noqa: BLE001 - handed on, whatever it is
        if not failed.done():
            failed.set_exception(error)

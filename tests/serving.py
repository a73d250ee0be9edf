"""ASGI applications as real servers on free ports of the loopback address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from obverse.apps import http_door


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[str]:
    """Serve while the block runs; gives the server's address."""
    door = http_door.listen("127.0.0.1", 0, "test")
    stop = asyncio.Event()
    work = asyncio.create_task(http_door.serve(app, door, stop, **options))
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        stop.set()
        await work
        door.close()

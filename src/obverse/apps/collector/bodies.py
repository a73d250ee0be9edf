"""How the collector reads a body: while there is room for it, while its sender is there, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from obverse.apps.collector.packing import FURTHER, TAIL, TooMuch
from obverse.flows.collect import Collect

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Crowded(Exception):
    """There is no room for the body beside all those that are on their way into the log."""


class Gone(Exception):
    """The sender went away in the midst of its body: what came of it means nothing, and nobody waits for an answer."""


async def body_of(
    receive: Receive, headers: Mapping[bytes, bytes], collect: Collect, *, patience: float | None
) -> bytes:
    """
    The body, as it was sent; `patience` is the seconds that it may take to come, None if it is here whole.

    Raises:
        TooMuch: it has more bytes than any request may have.
        Crowded: there is no room for it now.
        Gone: its sender has gone away.
        TimeoutError: it did not come in time.
    """
    most = collect.most_bytes
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and min(int(declared), most) > collect.intake.room:
        raise Crowded  # before any of it takes memory
    # Only its own words say whose it is: where it is too large they may stand at its end.
    to_its_end = b"authorization" not in headers
    if patience is None:
        return await _read(receive, collect, most, to_its_end=to_its_end)
    async with asyncio.timeout(patience):
        return await _read(receive, collect, most, to_its_end=to_its_end)


async def _tail(receive: Receive, most: int) -> bytes:
    tail, size = b"", 0
    while size < most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        tail, size = (tail + part)[-TAIL:], size + len(part)
        if not message.get("more_body"):
            break
    return tail


async def _read(receive: Receive, collect: Collect, most: int, *, to_its_end: bool) -> bytes:
    parts: list[bytes] = []
    size, intake = 0, collect.intake
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            if len(part) > intake.room:
                raise Crowded
            size += len(part)
            intake.reading_bytes += len(part)
            parts.append(part)
            if size > most:
                start = b"".join(parts)
                more = to_its_end and message.get("more_body", False)
                raise TooMuch(start + await _tail(receive, FURTHER * most) if more else start)
            if not message.get("more_body"):
                break
    finally:
        intake.reading_bytes -= size
    return parts[0] if len(parts) == 1 else b"".join(parts)

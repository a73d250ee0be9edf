"""Steps of the tests of the wire format: bodies, and what they are read into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from obverse.core import wire
from obverse.core.events import Event, RejectedEvent
from obverse.core.wire import Limits, Reading

NOW = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, when all of it arrives."""
LIMITS = Limits()

GOOD: dict[str, Any] = {"type": "track", "event": "Bought", "userId": "ada", "messageId": "m1"}


def numbered() -> Iterator[str]:
    place = 0
    while True:
        yield f"made-{place}"
        place += 1


def read(body: bytes, *, call: str | None = None, limits: Limits = LIMITS) -> Reading:
    """Read a body; `call` is None for a batch."""
    message = wire.open_body(body, batch=call is None, limits=limits)
    ids = numbered()
    return wire.read_events(message, call=call, source="web", received_at=NOW, new_id=lambda: next(ids), limits=limits)


def batch(*items: Any, **envelope: Any) -> bytes:
    """Return a batch of these items, each JSON text or something to be encoded."""
    texts = [item if isinstance(item, bytes) else msgspec.json.encode(item) for item in items]
    head = msgspec.json.encode(envelope)[1:-1]
    return b'{"batch":[' + b",".join(texts) + b"]" + (b"," + head if head else b"") + b"}"


def event_of(call: str | None = None, **fields: Any) -> Event:
    """Return the one event that a good call with these fields becomes."""
    item = {**GOOD, **fields}
    reading = read(msgspec.json.encode(item), call=call) if call else read(batch(item))
    assert reading.rejected == []
    (event,) = reading.events
    return event


def refused(item: Any, call: str | None = None) -> RejectedEvent:
    """Return the one rejected event that an item becomes, alone in a batch or as a call of its own."""
    text = item if isinstance(item, bytes) else msgspec.json.encode(item)
    reading = read(text if call else batch(text), call=call)
    assert reading.events == []
    (rejected,) = reading.rejected
    return rejected

"""The demo shop's six weeks, as the log has them."""

from __future__ import annotations

import msgspec

from obverse.apps.demo.shop import open_shop
from obverse.core import wire
from obverse.core.events import Event

AT_ONCE = 500


def shop_story() -> list[Event]:
    """Return what the collector makes of the shop's events."""
    events = list(open_shop().events())
    encoder = msgspec.json.Encoder(decimal_format="number")
    read: list[Event] = []
    for at in range(0, len(events), AT_ONCE):
        body = encoder.encode({"batch": events[at : at + AT_ONCE]})
        reading = wire.read_events(
            wire.open_body(body, batch=True, limits=wire.Limits()),
            call=None,
            source="shop",
            received_at=1_790_000_000_000_000 + at,
            new_id=str,
            limits=wire.Limits(),
        )
        assert not reading.rejected
        read += reading.events
    return read

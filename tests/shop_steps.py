"""The demo shop's six weeks, as the log has them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from random import Random

import msgspec

from obverse.adapters.definition_files import read_files
from obverse.apps.demo.shop import open_shop
from obverse.core import wire
from obverse.core.documents import portable
from obverse.core.documents.written import document
from obverse.core.events import Event
from obverse.wiring.finding import trait_kind_places

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


def shop_documents() -> bytes:
    """The demo's traits and audiences, on their way to buckets."""
    folder = Path(str(files("obverse.apps.demo") / "definitions"))
    written = [one for one in read_files([folder], folder).documents if one.tree["kind"] in {"trait", "audience"}]
    return portable.write([document(one.tree) for one in written], trait_kind_places())


def turned_over(story: Sequence[Event], *, seed: int) -> list[Event]:
    """The same events in another order, and one in ten of them again, somewhere behind."""
    dice = Random(seed)
    order = dice.sample(story, len(story))
    return [*order, *dice.sample(order, len(order) // 10)]

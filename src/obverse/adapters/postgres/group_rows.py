"""Groups as columns of rows: no I/O here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from obverse.adapters.postgres import jsonb_text
from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.event_log_rows import from_micros
from obverse.core import times
from obverse.ports.groups import GroupRow


def columns_of(rows: Sequence[GroupRow], *, careful: bool) -> Sequence[Sequence[Any]]:
    """Return ids, attributes, what is packed, and both times. `careful` takes any bytes for JSON."""
    return (
        [tidy(row.id) for row in rows],
        [_sound(row.attributes, careful=careful).decode() for row in rows],
        [row.packed for row in rows],
        [from_micros(times.clamp(row.first_seen)) for row in rows],
        [from_micros(times.clamp(row.changed_at)) for row in rows],
    )


def _sound(sent: bytes, *, careful: bool) -> bytes:
    """The text as jsonb can hold it."""
    if careful:
        return jsonb_text.force(sent)
    return jsonb_text.clean(sent) if len(sent) > jsonb_text.LONG or jsonb_text.suspicious(sent) else sent

"""Events as columns, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from obverse.core import codec
from obverse.core.archives import Archived
from obverse.core.events import Event

_TIME: Final = pa.timestamp("us", tz="UTC")
_TEXTS: Final = ("properties", "context", "integrations", "extra")
"""Fields that hold JSON text."""
_TIMES: Final = ("received_at", "timestamp", "original_timestamp", "sent_at")

SCHEMA: Final = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("appended_at", _TIME, nullable=False),
        *(
            pa.field(name, _TIME if name in _TIMES else pa.string())
            for name in (*msgspec.structs.asdict(Event(type="", message_id="", source="", received_at=0, timestamp=0)),)
        ),
        # What no text can show, such as a property of bytes that are no UTF-8: the event as the log holds it.
        pa.field("record", pa.binary()),
    ]
)
_event = codec.Decoder(Event)


def to_table(partition: int, rows: Sequence[Archived]) -> pa.Table:
    """Rows as a table of `SCHEMA`."""
    events = [row.event for row in rows]
    shown = [_shown(event) for event in events]
    columns: dict[str, Any] = {
        "partition": [partition] * len(rows),
        "offset": [row.offset for row in rows],
        "appended_at": [row.appended_at for row in rows],
        "record": [codec.encode([event]) if lossy else None for event, (_, lossy) in zip(events, shown, strict=True)],
    }
    for name in Event.__struct_fields__:
        columns[name] = [texts.get(name, getattr(event, name)) for event, (texts, _) in zip(events, shown, strict=True)]
    arrays = [pa.array(columns[field.name], type=field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _shown(event: Event) -> tuple[dict[str, str], bool]:
    """The JSON of an event as text, and whether that loses something."""
    try:
        return {name: getattr(event, name).decode() for name in _TEXTS}, False
    except UnicodeDecodeError:
        return {name: getattr(event, name).decode(errors="replace") for name in _TEXTS}, True


def from_batch(batch: pa.RecordBatch) -> list[Archived]:
    """
    Rows of a batch of `SCHEMA`.

    Raises:
        UnreadableRecord: a record is none.
    """
    fields = Event.__struct_fields__
    columns = [_column(batch, name) for name in fields]
    offsets, appended, records = (_column(batch, name) for name in ("offset", "appended_at", "record"))
    rows = []
    for offset, at, record, values in zip(offsets, appended, records, zip(*columns, strict=True), strict=True):
        if record is not None:
            (event,) = _event.decode(1, record)
        else:
            event = Event(
                **{
                    name: value.encode() if name in _TEXTS else value
                    for name, value in zip(fields, values, strict=True)
                }
            )
        rows.append(Archived(offset, at, event))
    return rows


def _column(batch: pa.RecordBatch, name: str) -> list[Any]:
    column = batch.column(name)
    return list((column.cast(pa.int64()) if column.type == _TIME else column).to_pylist())

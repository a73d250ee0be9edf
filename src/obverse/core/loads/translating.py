"""Rows into events, as an SDK would send them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from obverse.core import times
from obverse.core.loads.mapping import (
    ANONYMOUS_ID,
    EMAIL,
    EVENT,
    MESSAGE_ID,
    TIMESTAMP,
    USER_ID,
    Mapping,
    as_text,
    digest_of,
    to_tree,
)
from obverse.core.loads.rows import Cell, Refusal, Row
from obverse.core.loads.values import Converter, converter

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_IDS: Final = {USER_ID: "userId", ANONYMOUS_ID: "anonymousId", EVENT: "event"}
_NOT_OURS: Final = ("sentAt", "writeKey", "receivedAt")
"""Of a whole event: without `sentAt` its time stands as it is; the key is the loader's; the arrival is now."""


class Translator:
    """
    Makes an event of each row, always the same one of the same row: its message id is made of file, mapping and line.

    The id of an identify hangs on the whole mapping, so that a file that is loaded again with a corrected one writes
    the attributes anew; that of a track on what happened alone, so that it is never counted twice.
    """

    def __init__(self, mapping: Mapping, *, file: str) -> None:
        """`file`: the digest of its bytes."""
        self._mapping = mapping
        track = mapping.type == "track"
        what = mapping.event or "" if track else _encode(to_tree(mapping)).decode()
        self._name = f"load-{digest_of(file, mapping.type, what)}"
        self._what = (mapping.type, mapping.event)
        self._zone = mapping.tzinfo
        self._targets: list[tuple[str, str, Converter | None]] = []
        self._values: list[tuple[str, str, Converter | None]] = []
        self._time: tuple[str, Converter] | None = None
        self._id = mapping.column_of(MESSAGE_ID)
        for name, column in mapping.columns.items():
            reads = converter(column.type, self._zone)
            if column.to in _IDS:
                self._targets.append((name, _IDS[column.to], None))
            elif column.to == TIMESTAMP:
                self._time = (name, reads or _as_it_stands)
            elif column.to is not None and column.to != MESSAGE_ID:
                self._values.append((name, column.to, reads))
        self._email = mapping.column_of(EMAIL)

    def __call__(self, row: Row) -> bytes:
        """
        Return the event as JSON text.

        Raises:
            Refusal: it cannot be one.
        """
        if row.flaw is not None:
            raise row.flaw
        if self._mapping.type == "events":
            return self._whole(row)
        cells, event = row.cells, {"type": self._mapping.type, "messageId": self._message_id(row)}
        for name, field, _ in self._targets:
            text = _id(name, cells.get(name, ""))
            if text:
                event[field] = text
        if "userId" not in event and "anonymousId" not in event:
            event["anonymousId"] = self._by_email(cells.get(self._email or "", ""))
        if self._mapping.type == "track" and not event.setdefault("event", self._mapping.event):
            raise Refusal(self._mapping.column_of(EVENT) or "", "is empty: it names what happened")
        self._put_time(row, event)
        properties: dict[str, Any] = {}
        for name, to, reads in self._values:
            cell = cells.get(name, "")
            if cell != "" and (value := _value(name, cell, reads)) is not None:
                properties[to] = value
        event["traits" if self._mapping.type == "identify" else "properties"] = properties  # type: ignore[assignment]
        return _encode(event)

    def _put_time(self, row: Row, event: dict[str, str]) -> None:
        if self._time is not None:
            name, reads = self._time
            text = as_text(row.cells.get(name, ""))
            if not text.strip():
                raise Refusal(name, "is empty: it says when it happened")
            event["timestamp"] = _read(name, text, reads)
        elif self._mapping.at:
            event["timestamp"] = self._mapping.at

    def _message_id(self, row: Row) -> str:
        if self._id is None:
            return f"{self._name}-{row.line}"
        text = _id(self._id, row.cells.get(self._id, ""))
        if not text:
            raise Refusal(self._id, "is empty: it tells rows apart")
        # Orders and refunds may have ids of one kind, and another sender's message ids are their own.
        return f"load-{digest_of(*self._what)}-{digest_of(text)}"

    def _by_email(self, cell: Cell) -> str:
        """The anonymous id of somebody of whom only the address is known: the wire wants one of two ids."""
        text = as_text(cell).strip().casefold()
        if not text:
            columns = [self._mapping.column_of(one) for one in (USER_ID, ANONYMOUS_ID, EMAIL)]
            named = [name for name in columns if name]
            raise Refusal(named[0], f"nothing says whose this is: {' and '.join(map(repr, named))} empty")
        return f"email-{digest_of(text)}"

    def _whole(self, row: Row) -> bytes:
        fields: dict[str, Any] = dict(row.cells)
        for name in _NOT_OURS:
            fields.pop(name, None)
        if "timestamp" in fields:
            fields.pop("originalTimestamp", None)  # what it was made of
        if "messageId" not in fields or bytes(fields["messageId"]) in {b"null", b'""'}:
            fields["messageId"] = f"{self._name}-{row.line}"
        return _encode(fields)


def _id(name: str, cell: Cell) -> str:
    if isinstance(cell, str):
        return cell.strip()
    text = as_text(cell)
    if not text and bytes(cell) not in {b"null", b'""'}:
        raise Refusal(name, f"an id is text or a number, not {bytes(cell)[:40].decode(errors='replace')}")
    return text.strip()


def _value(name: str, cell: Cell, reads: Converter | None) -> Any:
    if reads is None:
        return cell
    if isinstance(cell, str):
        return _read(name, cell, reads) if cell.strip() else None
    # A value that had a type in the file keeps it; only its texts are read.
    return _read(name, as_text(cell), reads) if bytes(cell)[:1] == b'"' and bytes(cell) != b'""' else cell


def _as_it_stands(text: str) -> str:
    """A time as the collector reads it; it takes what is none for now."""
    if times.parse(text) is None:
        raise ValueError(f"{text[:_SHOWN]!r} is no time such as 2024-05-31T18:30:00Z")
    return text


_SHOWN: Final = 40


def _read(name: str, text: str, reads: Callable[[str], Any]) -> Any:
    try:
        return reads(text)
    except ValueError as error:
        raise Refusal(name, str(error)) from error

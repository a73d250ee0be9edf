"""Decisions of identity and events that wait as rows, and rows as what they were: no I/O here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from obverse.adapters.postgres.binary_rows import array, bigint, blob, moment, row_head, text
from obverse.adapters.postgres.event_log_rows import to_micros
from obverse.core import codec
from obverse.core.events import Event
from obverse.core.identity import Decision
from obverse.ports.identity_requests import IdentityRequest, Outcome
from obverse.ports.profile_history import KeptDecision

DECISION_COLUMNS: Final = (
    *("workspace_id", "log_offset", "profile_id", "absorbed", "beside", "kind", "event", "received_at", "packed"),
)
_UUID: Final = 2950
"""The type of an array's elements."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Decision).decode
_events: Final = codec.Decoder(Event)


def pack_decisions(workspace: str, decisions: Sequence[KeptDecision]) -> bytes:
    """Return the rows of decisions, one after another."""
    head = row_head(len(DECISION_COLUMNS)) + text(workspace)
    return b"".join(
        b"".join(
            (
                head,
                bigint(kept.offset),
                blob(kept.decision.profile),
                _uuids(kept.decision.related),
                _uuids(kept.decision.beside),
                text(kept.decision.kind),
                text(kept.decision.event),
                moment(kept.decision.received_at),
                blob(_encode(kept.decision)),
            )
        )
        for kept in decisions
    )


def _uuids(ids: Sequence[bytes]) -> bytes:
    """Return a field of an array of ids."""
    return array(_UUID, list(map(blob, ids)))


def unpack_decision(row: Mapping[str, Any]) -> KeptDecision:
    """Return the decision of a row of `identity_decisions`."""
    return KeptDecision(row["log_offset"], _decode(row["packed"]))


def unpack_request(row: Mapping[str, Any]) -> IdentityRequest:
    """Return the request of a row of `identity_requests`."""
    return IdentityRequest(
        id=row["request_id"],
        kind=row["kind"],
        one=row["one"],
        other=row["other"],
        by=row["asked_by"],
        why=row["why"],
        asked_at=to_micros(row["asked_at"]),
        outcome=None if row["done"] is None else Outcome(row["done"], row["detail"]),
    )


def pack_waiting(event: Event) -> bytes:
    """Return an event as the log holds it."""
    return codec.encode([event])


def unpack_waiting(packed: bytes) -> Event:
    """Return the event that was packed."""
    (event,) = _events.decode(1, packed)
    return event

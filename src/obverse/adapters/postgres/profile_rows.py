"""What a checkpoint holds as rows of binary COPY, and rows as what they were: no I/O here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Final

from obverse.adapters.postgres import jsonb_text
from obverse.adapters.postgres.binary_rows import (
    NULL,
    Known,
    blob,
    from_bigint,
    integer,
    jsonb,
    moment,
    row_head,
    since_2000,
    text,
    texts,
    unpack_row,
)
from obverse.core.events import Event, RejectedEvent
from obverse.core.wire import Legible, legible
from obverse.ports.profile_store import KeptRejected, ProfileRow, ReplayState, StoredEvent

EVENT_COLUMNS: Final = (
    *("workspace_id", "profile_id", "event_type", "type", "name", "source", "message_id", "user_id", "anonymous_id"),
    *("ingested_at", "timestamp", "log_partition", "log_offset", "original_timestamp", "sent_at"),
    *("properties", "context", "integrations", "extra", "group_id", "previous_id"),
    *("properties_as_sent", "context_as_sent", "integrations_as_sent", "extra_as_sent"),
)
REJECTED_COLUMNS: Final = (
    *("workspace_id", "source", "received_at", "code", "reason", "field", "message_id", "type", "body"),
)
LEGIBLE_COLUMNS: Final = (
    *("event_type", "name", "user_id", "anonymous_id", "group_id", "previous_id"),
    *("timestamp", "original_timestamp", "sent_at"),
    *("properties", "context", "integrations", "extra"),
    *("properties_as_sent", "context_as_sent", "integrations_as_sent", "extra_as_sent"),
)
"""What `rejected_events` has beside, as far as it can be read."""

PROFILE_COLUMNS: Final = (
    *(
        "id",
        "changed_at",
        "due_at",
        "moved",
        "computed_traits",
        "state",
        "identity_graph",
        "attributes",
        "known",
        "groups",
        "consents",
    ),
)
CLAIM_COLUMNS: Final = ("identifier", "profile_id")
MEMBER_COLUMNS: Final = ("audience", "profile_id", "number", "since")

LONGEST_TYPE: Final = 255
"""Characters of the column `event_type`."""

_NULLS: Final = NULL * 6
_NO: Final = b"\0\0\0\1\0"
_YES: Final = b"\0\0\0\1\1"
_pack_place: Final = Struct(">iqiqiiiq").pack
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows of `event_stream`, one after another."""

    rows: bytes
    count: int

    def __len__(self) -> int:
        return self.count


class EventRows:
    """Packs the events of one workspace. `careful` takes any bytes for JSON, and looks at each text by itself."""

    def __init__(self, workspace: str, *, careful: bool = False) -> None:
        self._head = row_head(len(EVENT_COLUMNS)) + text(workspace) + len(bytes(16)).to_bytes(4)
        self._careful = careful
        self._make_sound = jsonb_text.force if careful else jsonb_text.clean
        self._texts = Known(text)
        self._objects = Known(jsonb)

    def pack(self, events: Sequence[StoredEvent]) -> bytes:
        """Return the rows of the events, one after another."""
        self._texts.bound()
        self._objects.bound()
        fields: list[bytes] = []
        add_objects = self._objects_as_sent if self._all_sound(events) else self._objects_cleaned
        texts, head = self._texts, self._head
        for stored in events:
            event = stored.event
            name, kind, user, anonymous = event.name, event.type, event.user_id, event.anonymous_id
            original, sent = event.original_timestamp, event.sent_at
            shown = name or kind if kind == "track" else kind
            fields += (
                head,
                stored.profile,
                texts[shown] if len(shown) <= LONGEST_TYPE else text(shown[:LONGEST_TYPE]),
                texts[kind],
                NULL if name is None else texts[name],
                texts[event.source],
                text(event.message_id),
                NULL if user is None else text(user),
                NULL if anonymous is None else text(anonymous),
                _pack_place(
                    8,
                    since_2000(event.received_at),
                    8,
                    since_2000(event.timestamp),
                    4,
                    stored.partition,
                    8,
                    stored.offset,
                ),
                NULL if original is None else moment(original),
                NULL if sent is None else moment(sent),
            )
            add_objects(fields, event)
        return b"".join(fields)

    def _all_sound(self, events: Sequence[StoredEvent]) -> bool:
        """Whether jsonb holds all of them as they are, as one look at all of them tells."""
        if self._careful:
            return False
        objects: list[bytes] = []
        for stored in events:
            event = stored.event
            objects += (event.properties, event.context, event.integrations, event.extra)
        return max(map(len, objects), default=0) <= jsonb_text.LONG and not jsonb_text.suspicious(b"".join(objects))

    def _objects_as_sent(self, fields: list[bytes], event: Event) -> None:
        known, group, previous = self._objects, event.group_id, event.previous_id
        fields += (jsonb(event.properties), jsonb(event.context), known[event.integrations], known[event.extra])
        if group is None and previous is None:
            fields.append(_NULLS)
        else:
            fields += (_text_or_null(group), _text_or_null(previous), NULL * 4)

    def _objects_cleaned(self, fields: list[bytes], event: Event) -> None:
        sent = (event.properties, event.context, event.integrations, event.extra)
        sound = [self._sound(one) for one in sent]
        fields += [jsonb(one) for one in sound]
        fields += (_text_or_null(event.group_id), _text_or_null(event.previous_id))
        fields += [NULL if one == other else blob(other) for one, other in zip(sound, sent, strict=True)]

    def _sound(self, sent: bytes) -> bytes:
        if self._careful or len(sent) > jsonb_text.LONG or jsonb_text.suspicious(sent):
            return self._make_sound(sent)
        return sent


def unpack_events(rows: bytes) -> list[StoredEvent]:
    """Return what `EventRows` has packed."""
    found, at = [], 0
    while at < len(rows):
        fields, at = unpack_row(rows, at)
        row: dict[str, Any] = dict(zip(EVENT_COLUMNS, fields, strict=True))
        for column in ("type", "name", "source", "message_id", "user_id", "anonymous_id", "group_id", "previous_id"):
            row[column] = None if row[column] is None else row[column].decode()
        for column in ("ingested_at", "timestamp", "original_timestamp", "sent_at"):
            row[column] = None if row[column] is None else from_bigint(row[column])
        for column in ("properties", "context", "integrations", "extra"):
            as_sent = row.pop(f"{column}_as_sent")
            row[column] = row[column][1:] if as_sent is None else as_sent  # after the version of jsonb
        place = int.from_bytes(row["log_partition"]), int.from_bytes(row["log_offset"])
        event = Event(received_at=row["ingested_at"], **{name: row[name] for name in _AS_THEY_ARE})
        found.append(StoredEvent(row["profile_id"], *place, event))
    return found


_AS_THEY_ARE: Final = tuple(name for name in Event.__struct_fields__ if name != "received_at")


def pack_profiles(rows: Sequence[ProfileRow], *, careful: bool) -> bytes:
    """Return the rows of profiles, one after another. `careful` as in `EventRows`."""
    objects = [row.computed_traits for row in rows]
    objects += [
        one for row in rows if row.known for one in (row.known.identity_graph, row.known.attributes, row.known.consents)
    ]
    if careful or max(map(len, objects), default=0) > jsonb_text.LONG or jsonb_text.suspicious(b"".join(objects)):
        make_sound = jsonb_text.force if careful else jsonb_text.clean
        objects = [make_sound(one) for one in objects]
    traits, others = iter(objects[: len(rows)]), iter(objects[len(rows) :])
    head = row_head(len(PROFILE_COLUMNS)) + len(bytes(16)).to_bytes(4)
    fields: list[bytes] = []
    for row in rows:
        moved = _NO if row.audiences is None else _YES
        due = NULL if row.due_at is None else moment(row.due_at)
        fields += (head, row.id, moment(row.changed_at), due, moved, jsonb(next(traits)), blob(row.state))
        if row.known is None:
            fields.append(NULL * 5)
        else:
            graph, attributes, consents = next(others), next(others), next(others)
            fields += (
                jsonb(graph),
                jsonb(attributes),
                blob(row.known.packed),
                texts(row.known.groups),
                jsonb(consents),
            )
    return b"".join(fields)


def pack_claims(claims: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the rows of identifiers with the profiles that claim them."""
    head = row_head(len(CLAIM_COLUMNS))
    return b"".join([part for identifier, owner in claims for part in (head, text(identifier), blob(owner))])


def pack_members(rows: Sequence[ProfileRow]) -> bytes:
    """Return the rows of all memberships of these profiles, if they have moved."""
    head = row_head(len(MEMBER_COLUMNS))
    return b"".join(
        [
            part
            for row in rows
            if row.audiences
            for audience, (number, since) in row.audiences.items()
            for part in (head, text(audience), blob(row.id), integer(number), moment(since))
        ]
    )


def _text_or_null(value: str | None) -> bytes:
    return NULL if value is None else text(value)


def pack_rejected(workspace: str, rejected: Sequence[RejectedEvent], *, careful: bool = False) -> bytes:
    """Return the rows of rejected events, one after another. `careful` as in `EventRows`."""
    head = row_head(len(REJECTED_COLUMNS) + len(LEGIBLE_COLUMNS)) + text(workspace)
    return b"".join(
        b"".join(
            (
                head,
                text(one.source),
                moment(one.received_at),
                text(one.code),
                text(one.reason),
                _text_or_null(one.field),
                _text_or_null(one.message_id),
                _text_or_null(one.type),
                blob(one.body),
                _pack_legible(legible(one), careful=careful),
            )
        )
        for one in rejected
    )


def _pack_legible(said: Legible, *, careful: bool) -> bytes:
    kind = None if said.event_type is None else said.event_type[:LONGEST_TYPE]
    words = (kind, said.name, said.user_id, said.anonymous_id, said.group_id, said.previous_id)
    moments = (said.timestamp, said.original_timestamp, said.sent_at)
    sent = (said.properties, said.context, said.integrations, said.extra)
    make_sound = jsonb_text.force if careful else jsonb_text.clean
    sound = [None if one is None else make_sound(one) for one in sent]
    return b"".join(
        [
            *[_text_or_null(one) for one in words],
            *[NULL if one is None else moment(one) for one in moments],
            *[NULL if one is None else jsonb(one) for one in sound],
            *[NULL if other is None or one == other else blob(other) for one, other in zip(sound, sent, strict=True)],
        ]
    )


def unpack_event(row: Mapping[str, Any]) -> Event:
    """Return the event of a row of `event_stream`; objects that jsonb could not hold come as they were sent."""

    def sent(column: str) -> bytes:
        as_sent: bytes | None = row[f"{column}_as_sent"]
        return row[column].encode() if as_sent is None else as_sent

    return Event(
        type=row["type"],
        message_id=row["message_id"],
        source=row["source"],
        received_at=to_micros(row["ingested_at"]),
        timestamp=to_micros(row["timestamp"]),
        user_id=row["user_id"],
        anonymous_id=row["anonymous_id"],
        name=row["name"],
        properties=sent("properties"),
        context=sent("context"),
        integrations=sent("integrations"),
        original_timestamp=_to_micros_or_none(row["original_timestamp"]),
        sent_at=_to_micros_or_none(row["sent_at"]),
        group_id=row["group_id"],
        previous_id=row["previous_id"],
        extra=sent("extra"),
    )


def unpack_rejected(row: Mapping[str, Any]) -> KeptRejected:
    """Return the rejected event of a row of `rejected_events`."""
    fields = {name: row[name] for name in REJECTED_COLUMNS[1:]}
    return KeptRejected(
        row["rejected_id"],
        RejectedEvent(**{**fields, "received_at": to_micros(row["received_at"])}),
        ReplayState(row["state"]),
        _to_micros_or_none(row["settled_at"]),
        row["correction"],
    )


def to_micros(when: datetime) -> int:
    """Microseconds since 1970."""
    return (when - _EPOCH) // _MICROSECOND


def _to_micros_or_none(when: datetime | None) -> int | None:
    return None if when is None else to_micros(when)

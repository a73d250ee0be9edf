"""Records: a CRM's contacts, as we write them and as their edits come back. All values are text, as CRMs keep them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

EMAIL: Final = "email"
"""The field of a contact's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPatch:
    """What a contact should say. Fields that are not named stay as they are."""

    email: str
    """Whose it is: a contact of this address is changed, and made if there is none."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The CRM's own names; an empty text clears the field."""
    record_id: str | None = None
    """The CRM's id of the contact, once it is known; then the address may be a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact as the CRM holds it."""

    record_id: str
    email: str | None
    fields: Mapping[str, str]
    """Those that were asked for and are not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A call of a CRM at our door, as it came."""

    method: str
    url: str
    """Whole, as the CRM called it."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    received_at: int
    """Microseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One field of one contact that somebody changed in the CRM."""

    id: str
    """The same for each time that the CRM tells of this edit."""
    record_id: str
    field: str
    value: str
    """Empty if the field was cleared."""
    at: int
    """The CRM's own time of the change, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class FieldState:
    """What a field of a record holds, and since when, as far as we know."""

    value: str
    at: int
    """Microseconds since 1970: the CRM's time of an edit, our time of the answer to what we wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecord:
    """What we know of one profile's record in a CRM."""

    profile: bytes
    email: str
    """Whose it is in the CRM."""
    record_id: str | None = None
    """None until the CRM has answered for the first time."""
    known: Mapping[str, FieldState] = field(default_factory=dict)
    sending: Mapping[str, str] = field(default_factory=dict)
    """What was given to the CRM, and not answered."""
    earlier: Mapping[str, Sequence[FieldState]] = field(default_factory=dict)
    """What stood there before we wrote over it, the latest first: a CRM may tell of that long afterwards."""
    synced_at: int = 0


def later(one: Mapping[str, FieldState], other: Mapping[str, FieldState]) -> dict[str, FieldState]:
    """
    Of each field the state that is known last; of two at the same time, the first one's.

    >>> later({"city": FieldState("Rome", 2)}, {"city": FieldState("Oslo", 1), "plan": FieldState("pro", 1)})
    {'city': FieldState(value='Rome', at=2), 'plan': FieldState(value='pro', at=1)}
    """
    return {
        name: state if name not in one or state.at > one[name].at else one[name]
        for name, state in {**one, **other}.items()
    }


MOST_EARLIER: Final = 8
"""States of a field that are kept after they were written over."""


def written_over(states: Sequence[FieldState], earlier: Sequence[FieldState]) -> tuple[FieldState, ...]:
    """
    What stood in a field before, now that these states were written over; of each value the latest.

    >>> written_over([FieldState("Ada", 3)], [FieldState("Eve", 2), FieldState("Ada", 1)])
    (FieldState(value='Ada', at=3), FieldState(value='Eve', at=2))
    """
    latest = {one.value: one for one in sorted((*states, *earlier), key=lambda one: one.at)}
    return tuple(sorted(latest.values(), key=lambda one: one.at, reverse=True)[:MOST_EARLIER])


def earlier(
    record: SyncRecord, patch: ContactPatch, fields: Collection[str], now: int
) -> Mapping[str, Sequence[FieldState]]:
    """
    What stood in these fields of a record before this was written.

    What was given to the CRM and never answered may have stood there until now.
    """
    found = dict(record.earlier)
    stood = [(name, FieldState(value, now)) for name, value in {**record.sending, EMAIL: record.email}.items()]
    written = {**patch.fields, EMAIL: patch.email}
    for name, state in (*record.known.items(), *stood):
        if name in fields and state.value != written.get(name, state.value):
            found[name] = written_over([state], found.get(name, ()))
    return found


ECHO_SECONDS: Final = 5
"""How much later than our own note of it, by the CRM's clock, what we wrote may be told to us."""


def is_echo(edit: Edit, record: SyncRecord) -> bool:
    """Whether an edit only tells what we wrote there ourselves, or what it told before."""
    if record.sending.get(edit.field) == edit.value:
        return True
    known = record.known.get(edit.field)
    states = (*record.earlier.get(edit.field, ()), *([] if known is None else [known]))
    return any(one.value == edit.value and edit.at <= one.at + ECHO_SECONDS * 1_000_000 for one in states)


class BadCallback(Exception):
    """A callback that is not believed or not understood; the message says why, and what to do."""


class Forged(BadCallback):
    """The callback has no signature of the CRM, another's, or one that is too old."""

"""Records: a CRM's contacts, as we write them and as their edits come back. All values are text, as CRMs keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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


class BadCallback(Exception):
    """A callback that is not believed or not understood; the message says why, and what to do."""


class Forged(BadCallback):
    """The callback has no signature of the CRM, another's, or one that is too old."""

"""Mapping: what a profile says in a CRM's words, and what a CRM's edit says in ours."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final

from obverse.core import json_values, profiles
from obverse.core.definitions import Definitions
from obverse.core.outgoing import Connection, MappedField
from obverse.core.profiles import Profile
from obverse.core.records import Edit, FieldState

LONGEST: Final = 65_536
"""Characters of the longest value that is written into a field: HubSpot's limit, and more than others have."""


def address(profile: Profile) -> str | None:
    """Where mail for this person goes: the address told last, if it identifies them; else the one shown first."""
    told = profiles.value_of(profile, "attribute", "email", _NOTHING)
    if isinstance(told, str):
        lowered = told.strip().lower()
        if f"email:{lowered}" in profile.identifiers:
            return lowered
    shown = [
        (sighting.at, identifier)
        for identifier, sighting in profile.sightings.items()
        if identifier.startswith("email:")
    ]
    return min(shown)[1].removeprefix("email:") if shown else None


_NOTHING: Final = Definitions()


def said(profile: Profile, connection: Connection, definitions: Definitions) -> dict[str, str]:
    """What the connection's fields should say of this person; empty where we know nothing."""
    return {one.field: as_text(_value(profile, one, definitions)) for one in connection.fields if one.direction != "in"}


def message_id(edit: Edit) -> str:
    """The message id of an edit's event: the same each time that the CRM tells of it."""
    return f"{edit.record_id}:{edit.field}:{edit.id}"


def told_by(profile: Profile, connection: Connection, record_id: str | None) -> dict[str, FieldState]:
    """
    The fields whose value stands because this very record told it, and when.

    The CRM has it already, unless something is known to have been written there later.
    """
    told = {}
    for one in connection.fields:
        if one.subject == "attribute" and one.direction != "out":
            written = profile.attributes.get(one.name)
            if written is None or written[0].stamp.source != connection.name:
                continue
            if record_id is None or written[0].stamp.message_id.startswith(f"{record_id}:{one.field}:"):
                told[one.field] = FieldState(as_text(json_values.lenient(written[0].value)), written[0].stamp.time)
    return told


def news(wanted: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """
    What must be written so that a record which says `known` says `wanted`.

    A field that we know nothing of and never wrote is left as it is.

    >>> news({"firstname": "Ada", "city": "", "plan": "pro"}, {"plan": "pro"})
    {'firstname': 'Ada'}
    """
    return {field: value for field, value in wanted.items() if value != known.get(field, "")}


def as_text(value: Any) -> str:
    """
    A value as CRMs keep it: text.

    >>> [as_text(value) for value in (None, True, Decimal("12.50"), "Ada", ["a", 1])]
    ['', 'true', '12.50', 'Ada', '["a",1]']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # 1e99999999999, which anybody may send, would fill the memory with its digits.
        within_reach = json_values.number(value)
        return str(value)[:LONGEST] if within_reach is None else f"{within_reach:f}"
    text = value if isinstance(value, str) else json_values.encode(value).decode()
    # Half a character, which JSON may spell, is none that anybody could be sent.
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST]


def _value(profile: Profile, one: MappedField, definitions: Definitions) -> Any:
    if one.subject == "audience":
        standing = profile.audiences.get(one.name)
        return standing is not None and standing.member
    return profiles.value_of(profile, one.subject, one.name, definitions)


def attribute_of(edit: Edit, connection: Connection) -> str | None:
    """The attribute that an edit changes; None if the field is not one that we take from this CRM."""
    return next((one.name for one in connection.fields if one.field == edit.field and one.direction != "out"), None)


def read_fields(connection: Connection) -> Collection[str]:
    """The fields that we take from this CRM, or compare with ours."""
    return {one.field for one in connection.fields}

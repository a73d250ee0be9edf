"""Views of the past: what became of a profile between two times, and what a restoration writes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from obverse.core.definitions import Definitions
from obverse.core.history import alike
from obverse.core.identity import id_text
from obverse.core.profiles import Profile
from obverse.flows.views import AudienceView, IdentifierView, Time, WriteView, view_profile, view_write

ProfileId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


class IdentifierChanges(msgspec.Struct, frozen=True):
    """Identifiers that came and went."""

    added: list[IdentifierView]
    removed: list[IdentifierView]


class AttributeChange(msgspec.Struct, frozen=True):
    """An attribute whose value is another; each value with the event that told it."""

    name: str
    before: Annotated[WriteView | None, Meta(description="Null if nothing had been told.")]
    after: Annotated[WriteView | None, Meta(description="Null if nothing had been told.")]


class TraitChange(msgspec.Struct, frozen=True):
    """A trait whose value is another."""

    name: str
    before: Any
    after: Any


class AudienceChanges(msgspec.Struct, frozen=True):
    """Audiences that it is in now and was not, and the other way round."""

    entered: list[AudienceView]
    left: list[AudienceView]


class ComparisonView(msgspec.Struct, frozen=True):
    """What is different of a profile at two times."""

    id: Annotated[ProfileId, Meta(description="Of the profile at the later time.")]
    began: Annotated[str, msgspec.Meta(description="The earlier time.")] = msgspec.field(name="from")
    to: Annotated[str, Meta(description="The later time.")]
    existed: Annotated[bool, Meta(description="Whether there was anybody at the earlier time.")]
    events: Annotated[int, Meta(description="How many events more it has at the later time.")]
    identifiers: IdentifierChanges
    attributes: list[AttributeChange]
    traits: list[TraitChange]
    audiences: AudienceChanges
    merged: Annotated[list[ProfileId], Meta(description="Profiles that were apart before, and are one with it after.")]
    complete: Annotated[bool, Meta(description="See `past` of a profile.")]
    kept_from: Annotated[str | None, Meta(description="Arrival of the first event that is kept, if not all are.")]


class RestoredAttribute(msgspec.Struct, frozen=True):
    """An attribute whose value of then is written anew."""

    name: str
    value: Annotated[Raw, Meta(description="What is written; null for what had not been told then.")]
    replaces: Annotated[WriteView | None, Meta(description="What it says now.")]


class LeftOut(msgspec.Struct, frozen=True):
    """An attribute that is not restored."""

    name: str
    reason: str


class RestorationView(msgspec.Struct, frozen=True):
    """What is written so that attributes say what they said at a time."""

    profile: ProfileId
    as_of: Time
    attributes: Annotated[list[RestoredAttribute], Meta(description="Empty if all say what they said then.")]
    left_out: list[LeftOut]
    event: Annotated[
        str | None, Meta(description="Message id of the identify that writes them; null if nothing is to be written.")
    ]
    asked: Annotated[
        bool, Meta(description="Whether the event is on its way, about a second; false if nothing is written.")
    ]


def compared(before: Profile | None, after: Profile, definitions: Definitions) -> dict[str, Any]:
    """The parts of a comparison that speak of the two profiles."""
    late, early = view_profile(after, definitions), before and view_profile(before, definitions)
    had, was_in = (early.identifiers, early.audiences) if early else ([], [])
    was, has = (_named(had), _named(late.identifiers))
    outside, inside = {one.name for one in was_in}, {one.name for one in late.audiences}
    traits = early.traits if early else {}
    return {
        "id": id_text(after.id),
        "existed": before is not None,
        "events": after.events - (before.events if before else 0),
        "identifiers": IdentifierChanges(
            [has[one] for one in has if one not in was], [was[one] for one in was if one not in has]
        ),
        "attributes": _attributes(before, after),
        "traits": [
            TraitChange(name, traits.get(name), late.traits.get(name))
            for name in sorted({*traits, *late.traits})
            if traits.get(name) != late.traits.get(name)
        ],
        "audiences": AudienceChanges(
            entered=[one for one in late.audiences if one.name not in outside],
            left=[one for one in was_in if one.name not in inside],
        ),
    }


def _named(identifiers: list[IdentifierView]) -> dict[tuple[str, str], IdentifierView]:
    return {(one.kind, one.value): one for one in identifiers}


def _attributes(before: Profile | None, after: Profile) -> list[AttributeChange]:
    early, late = before.attributes if before else {}, after.attributes
    changes = []
    for name in sorted({*early, *late}):
        one, other = early.get(name, (None,))[0], late.get(name, (None,))[0]
        if one is None or other is None or not alike(one.value, other.value):
            changes.append(AttributeChange(name, one and view_write(one), other and view_write(other)))
    return changes

"""A profile as a store keeps it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from obverse.core import json_values, profiles
from obverse.core.definitions import Definitions
from obverse.core.profiles import Profile


class Known(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a person: who they are, and what systems told. It moves seldom."""

    packed: bytes
    """`Profile.packed_known`."""
    identity_graph: bytes
    """JSON."""
    attributes: bytes
    """The winning values, as one JSON object."""
    groups: Collection[str] = ()
    """Ids of those that the person is a member of."""
    consents: bytes = b"{}"
    """By purpose, true or false, as one JSON object."""


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A profile as it is kept. The JSON is for people and SQL; what is packed is what an engine reads back."""

    id: bytes
    """16 bytes of a UUID."""
    state: bytes
    """`Profile.packed_state`."""
    known: Known | None
    """None: as it is kept. A profile that is new has it."""
    identifiers: Collection[str]
    """`kind:value` each; each belongs to this profile from now on, whoever had it before. Those it has stay its own."""
    computed_traits: bytes
    """JSON."""
    audiences: Mapping[str, tuple[int, int]] | None
    """
    Audiences it is in: {name: (number of this entry, since, in microseconds since 1970)}. None: as they are kept.
    """
    changed_at: int
    """Microseconds since 1970."""
    due_at: int | None = None
    """The next instant at which time alone may change it, in microseconds since 1970; None if there is none."""

    @staticmethod
    def of(profile: Profile, definitions: Definitions, *, packed: bytes | None = None) -> ProfileRow:
        """
        The row of a profile as it is now; what moves seldom is told only if it has moved since the last row.

        `packed` is the whole profile as bytes, if they are at hand.
        """
        known, state = profiles.parts(packed) if packed is not None else (b"", profile.packed_state(definitions))
        row = ProfileRow(
            id=profile.id,
            state=state,
            known=Known(
                packed=known or profile.packed_known(),
                identity_graph=json_values.encode(profiles.identity_graph(profile)),
                attributes=profiles.attributes_text(profile),
                groups=tuple(profile.groups),
                consents=profiles.consents_text(profile),
            )
            if profile.known_moved
            else None,
            identifiers=profile.claims,
            computed_traits=json_values.encode(profiles.computed_traits(profile, definitions)),
            audiences={
                name: (standing.number, standing.since)
                for name, standing in profile.audiences.items()
                if standing.member
            }
            if profile.standing_moved
            else None,
            changed_at=profile.changed_at,
            due_at=None if profile.due == profiles.NEVER else profile.due,
        )
        profile.kept(None if row.known is None else row.known.packed)
        return row

"""Whether a profile belongs in an audience."""

from __future__ import annotations

from obverse.core import changes
from obverse.core.audiences import Audience
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.profiles.parts import OUTSIDE, Membership
from obverse.core.profiles.profile import Profile


def watch(audiences: tuple[Audience, ...], watching: dict[str, Audience]) -> None:
    """Have these judged, each once."""
    for audience in audiences:
        watching[audience.name] = audience


def judge(profile: Profile, audience: Audience, stamp: Stamp, definitions: Definitions, now: int) -> Change | None:
    """Let the profile enter or leave an audience, if its condition says so now (microseconds since 1970)."""
    standing = profile.audiences.get(audience.name, OUTSIDE)
    member = definitions.holds[audience.name](profile, now)
    if member == standing.member:
        return None
    number = standing.number + member
    profile.standing_moved = True
    profile.audiences[audience.name] = Membership(member, number, stamp.time)
    return Change(profile.id, changes.ENTERED if member else changes.LEFT, audience.name, stamp.message_id, number)

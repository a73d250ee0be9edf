"""Traits that are defined later than their events happened: computed from history, and joined with what came since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from obverse.core import times
from obverse.core.changes import LEFT, TRAIT, Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.profiles.fold import apply
from obverse.core.profiles.judging import judge
from obverse.core.profiles.parts import Membership
from obverse.core.profiles.profile import Profile
from obverse.core.profiles.reading import value_of
from obverse.core.profiles.turning import due_of

DEFINITIONS: Final = "definitions"
"""Who wrote what changed definitions have changed: the source of its stamps, and the beginning of its message ids."""


class Told(Protocol):
    """An event of the past, and its place in the log."""

    @property
    def partition(self) -> int: ...  # noqa: D102 - as the class says
    @property
    def offset(self) -> int: ...  # noqa: D102 - as above
    @property
    def event(self) -> Event: ...  # noqa: D102 - as above


def history_of(
    profile: Profile, told: Iterable[Told], until: Mapping[int, int], definitions: Definitions
) -> Mapping[str, object]:
    """
    The states of traits, as a profile's history makes them; `definitions` are of these traits alone.

    What counts is what came before they were folded as it comes: before `until`, an offset by partition; of a profile
    that has become one with another since, before `Profile.since`.
    """
    bounds = until if profile.since is None else profile.since
    past = Profile(profile.id)
    for one in told:
        if one.offset < bounds.get(one.partition, 0):
            apply(past, one.event, one.event.stamp, (one.partition, one.offset), definitions)
    return past.traits


def fill(profile: Profile, history: Mapping[str, object], definitions: Definitions, version: int) -> None:
    """Join history with what came since; the profile then lacks nothing of this version of the definitions."""
    for trait in definitions.trait_of_key.values():
        before, since = history.get(trait.key), profile.traits.get(trait.key)
        if before is not None:
            profile.traits[trait.key] = before if since is None else trait.kind.merge(before, since)
    profile.filled, profile.since = version, None


def go_live(profile: Profile, before: Definitions, after: Definitions, now: int) -> list[Change]:
    """
    Have a profile follow definitions that have become live, and say what that changed; it lacks nothing of them.

    Whoever was in an audience that is no more leaves it. `now` is in microseconds since 1970.
    """
    now = max(now, profile.now)
    # First, for what leaves a window by now is told as well: nobody looks at that instant again.
    names = dict.fromkeys(one.name for one in (*before.traits, *after.traits))
    values = {name: value_of(profile, TRAIT, name, before) for name in names}
    for trait, kind in after.windowed:
        if trait.key in profile.traits:
            kind.advance(profile.traits[trait.key], now)
    stamp = Stamp(now, DEFINITIONS, f"{DEFINITIONS}:{times.to_text(now)}")
    done = [
        Change(profile.id, TRAIT, name, stamp.message_id)
        for name, value in values.items()
        if value != value_of(profile, TRAIT, name, after)
    ]
    # A trait that is gone may be defined again one day, and is computed anew then.
    profile.traits = {key: state for key, state in profile.traits.items() if key in after.trait_of_key}
    judged = [judge(profile, audience, stamp, after, now) for audience in after.audiences]
    done += [one for one in judged if one is not None]
    for name, standing in profile.audiences.items():
        if standing.member and name not in after.audience_of_name:
            profile.audiences[name] = Membership(member=False, number=standing.number, since=now)
            profile.standing_moved = True
            done.append(Change(profile.id, LEFT, name, stamp.message_id, standing.number))
    profile.turned_at = max(profile.turned_at, now)
    profile.due = due_of(profile, after, now)
    return done

"""Folded anew: a person from nothing, out of their history, to take the place of the profile that is live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from obverse.core import profiles
from obverse.core.changes import ATTRIBUTE, CONSENT, ENTERED, GROUP, LEFT, TRAIT, Change
from obverse.core.crdt import clock
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Register
from obverse.core.definitions import Definitions, arriving
from obverse.core.history import alike
from obverse.core.profiles import Profile, value_of, window
from obverse.core.profiles.filling import Told

REPLAY: Final = "replay"
"""Who wrote what a replay has changed: the source of its stamps, and the beginning of its message ids."""


def for_refold(definitions: Definitions) -> Definitions:
    """What people are folded anew with: every trait, and no audience, so that nobody enters one on the way."""
    return arriving.only((replace(one, hidden=True) for one in definitions.trait_of_key.values()), definitions)


def refold(fresh: Profile, told: Told, alone: Definitions) -> None:
    """
    Fold one more event of a person's history; called in the order in which they were folded.

    `fresh` begins as an empty profile; `alone` is what `for_refold` gives.
    """
    # What is kept counted when it was folded, so it counts here, however long its message id is remembered.
    fresh.seen.forget(window.message_key(told.event))
    profiles.apply(fresh, told.event, told.event.stamp, (told.partition, told.offset), alone)


class Difference(msgspec.Struct, frozen=True):
    """What is otherwise on a profile than its history says."""

    traits: tuple[str, ...] = ()
    """Names of those whose value is."""
    attributes: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()
    """Purposes."""
    groups: tuple[str, ...] = ()
    """Ids of those that history makes the person a member of."""
    unseen: bool = False
    """Whether something is that nobody reads: what a value is made of, or how many events there were."""
    entered: tuple[str, ...] = ()
    """Audiences that the person enters once they are mended."""
    left: tuple[str, ...] = ()

    def __or__(self, other: Difference) -> Difference:
        """All that was otherwise, if somebody was mended twice."""
        names = {
            name: tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name))))
            for name in ("traits", "attributes", "consents", "groups", "entered", "left")
        }
        return Difference(**names, unseen=self.unseen or other.unseen)

    @property
    def is_any(self) -> bool:
        """Whether there is one."""
        return self != _NONE


_NONE: Final = Difference()


def with_moves(found: Difference, done: Iterable[Change]) -> Difference:
    """The same, with the audiences that were entered and left when it was mended."""
    moved = [(one.kind, one.name) for one in done]
    return msgspec.structs.replace(
        found,
        entered=tuple(name for kind, name in moved if kind == ENTERED),
        left=tuple(name for kind, name in moved if kind == LEFT),
    )


def difference(profile: Profile, fresh: Profile, definitions: Definitions) -> Difference:
    """
    Compare a profile with what its whole history makes of it, once `fresh` was told all of it.

    Time goes on for both to what it is for the profile. Identity is not compared: it was decided once.
    """
    now = profile.now
    profiles.advance(profile, now, definitions)
    for trait, kind in definitions.windowed:
        if trait.key in fresh.traits:
            kind.advance(fresh.traits[trait.key], now)
    attributes = tuple(_otherwise(profile.attributes, fresh.attributes))
    consents = tuple(_otherwise(profile.consents, fresh.consents))
    unseen = (
        any(not _same_state(definitions, key, profile, fresh) for key in definitions.trait_of_key)
        or any(not _same(profile.attributes.get(one), two) for one, two in fresh.attributes.items())
        or profile.consents != fresh.consents
        or profile.groups != fresh.groups
        or (profile.events, profile.first) != (fresh.events, fresh.first)
        or not fresh.seen.recent().keys() <= profile.seen.seconds().keys()
    )
    return Difference(
        traits=tuple(
            one.name
            for one in definitions.traits
            if value_of(profile, TRAIT, one.name, definitions) != value_of(fresh, TRAIT, one.name, definitions)
        ),
        attributes=attributes,
        consents=consents,
        groups=tuple(sorted(fresh.groups.keys() - profile.groups.keys())),
        unseen=unseen,
    )


def swap_in(
    profile: Profile, fresh: Profile, found: Difference, definitions: Definitions, *, stamp: Stamp, filled: int
) -> list[Change]:
    """
    Have a profile be what its history makes of it, and say what that changed.

    `found` is their `difference`; `fresh` is used up. Who owns which identifier stays; so does where the person stands
    to audiences, which are judged once, afterwards: who is in one, and belongs there, has not entered it.
    """
    done = [
        Change(profile.id, kind, name, stamp.message_id)
        for kind, names in (
            *((TRAIT, found.traits), (ATTRIBUTE, found.attributes)),
            *((CONSENT, found.consents), (GROUP, found.groups)),
        )
        for name in names
    ]
    for name, written in fresh.attributes.items():
        # What says the same keeps the text in which it was sent: the store may spell it otherwise.
        if _same(known := profile.attributes.get(name), written) and known is not None:
            fresh.attributes[name] = known
    for mine, theirs in (
        *((profile.attributes, fresh.attributes), (profile.consents, fresh.consents)),
        (profile.groups, fresh.groups),
    ):
        kept: dict[str, Any] = mine
        kept.clear()
        kept.update(theirs)
    profile.traits = fresh.traits
    profile.seen.take(fresh.seen)
    profile.seen.trim()
    profile.version = clock.merge_versions(profile.version, fresh.version)
    profile.first, profile.events = fresh.first or profile.first, fresh.events
    profile.changed_at = max(profile.changed_at, fresh.changed_at)
    profile.filled, profile.since = filled, None
    profile.known_moved = True
    judged = [profiles.judge(profile, audience, stamp, definitions, profile.now) for audience in definitions.audiences]
    profile.due = profiles.due_of(profile, definitions, profile.now)
    return [*done, *(one for one in judged if one is not None)]


def _same_state(definitions: Definitions, key: str, one: Profile, other: Profile) -> bool:
    mine, theirs = one.traits.get(key), other.traits.get(key)
    if mine is None or theirs is None:
        return mine is theirs
    pack = definitions.trait_of_key[key].kind.pack
    return bool(mine == theirs) or bool(pack(mine) == pack(theirs))


def _otherwise(mine: Mapping[str, Register], theirs: Mapping[str, Register]) -> Iterator[str]:
    """The names of values that do not say the same."""
    for name in sorted({*mine, *theirs}):
        one, other = mine.get(name), theirs.get(name)
        if not alike(None if one is None else one[0].value, None if other is None else other[0].value):
            yield name


def _same(one: Register | None, other: Register) -> bool:
    """Whether two registers say the same, though their values may be spelt otherwise."""
    if one is None or len(one) != len(other):
        return False
    return all(x.stamp == y.stamp and alike(x.value, y.value) for x, y in zip(one, other, strict=True))

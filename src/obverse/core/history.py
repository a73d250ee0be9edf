"""History: who people were at an earlier time, out of what was decided and what had come by then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from obverse.core import json_values, profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import Decision, id_named, identifiers
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.profiles.window import message_key


class PastEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that was folded once."""

    id: int
    """Grows in the order in which events were folded."""
    profile: bytes
    """Whom it was folded into then."""
    partition: int
    offset: int
    event: Event


class PastPlace(msgspec.Struct, frozen=True, gc=False):
    """Where the log had an event that was folded once."""

    id: int
    """As of `PastEvent`."""
    profile: bytes
    partition: int
    offset: int
    event: Event | None = None
    """The event, if a tracking plan may have changed it before it was folded; else it is as the log had it."""


class PastPeople(People):
    """
    People as they were at a time: what had been decided by then is carried out first, then the events are folded.

    By arrival: what had not come by then does not count, whenever it happened. Nothing is decided here.
    """

    def __init__(self, at: int, decisions: Iterable[Decision], definitions: Definitions) -> None:
        """`at` is in microseconds since 1970; the decisions come in the order in which they were taken."""
        super().__init__("", definitions)
        self.at = at
        self._parted: set[bytes] = set()
        """Whoever was parted later: of their events some were another's then."""
        self._left: set[str] = set()
        """Identifiers that were taken from somebody, or left to nobody: what they told before stayed."""
        for decision in decisions:
            if decision.received_at <= at:
                self._left.update(one for one in decision.identifiers if one in self.owners)
                self._left.update(one.identifier for one in decision.set_aside)
                self._left.update(one for part in decision.parts if not part.profile for one in part.identifiers)
                self.carry_out(decision)
            elif decision.kind == "unmerge":
                self._parted |= {decision.profile, *(part.profile for part in decision.parts if part.profile)}

    def decide(self, event: Event, stamp: Stamp, shown: tuple[str, ...]) -> Decision | None:  # noqa: ARG002 - as in `People`
        """Decide nothing: what was to be decided is."""
        return None

    def tell(self, one: PastEvent) -> None:
        """
        Fold an event into whom it belonged to, if it had come by then. Called in the order of their ids.

        That is who holds by then whom it is kept with; before there was such a profile, who had one of the identifiers.
        Of whom it is kept with since an unmerge that came later nothing is said: who had the strongest one.
        """
        event = one.event
        if event.received_at > self.at:
            return
        shown = self.shown(event) or ("",)
        owners = [self.owners[name] for name in shown if name in self.owners]
        had = self.profiles[owners[0]] if owners else None
        keeper = (had if self._may_be_anothers(one) else None) or self._find(one.profile) or had
        if keeper is None:
            return  # of somebody who was nobody yet
        # It counted when it was folded, so it counts here, however long its message id is remembered.
        keeper.seen.forget(message_key(event))
        owner = self.owners.get(shown[0])
        self.owners[shown[0]] = keeper.id
        self.fold(event, (one.partition, one.offset), shown)
        if owner is None:
            del self.owners[shown[0]]
        else:
            self.owners[shown[0]] = owner

    def _may_be_anothers(self, one: PastEvent) -> bool:
        """Whether it went to another one since; its strongest identifier tells whose it was, unless that went too."""
        if one.profile not in self._parted:
            return False
        strongest, *_ = identifiers(one.event, self.definitions.identity) or ("",)
        return strongest in self.owners and strongest not in self._left

    def settle(self) -> None:
        """Have time go on to the end; called when all events are told."""
        for profile in self.profiles.values():
            profiles.advance(profile, self.at, self.definitions)

    def find(self, name: str) -> Profile | None:
        """Return who had an identifier, or the profile of an id (`id:…`); None if there was none."""
        one = id_named(name) or self.owners.get(name)
        return None if one is None else self._find(one)


def related(profile: bytes, decisions: Iterable[Decision]) -> set[bytes]:
    """Return a profile and all that were ever one with it, or with one of these, and so on."""
    found, groups, before = {profile}, [{one.profile, *one.related} for one in decisions], 0
    while len(found) > before:
        before = len(found)
        for group in groups:
            if not group.isdisjoint(found):
                found |= group
    return found


def apart(past: People, now: People, one: Profile) -> Sequence[bytes]:
    """Return who were people beside this one in the past, and are one with it now, in order of their ids."""
    keeper = now.keeper(one.id)
    return sorted(other for other in past.profiles if other != one.id and now.keeper(other) == keeper)


def alike(one: bytes | None, other: bytes | None) -> bool:
    """
    Whether two values of an attribute, as they were sent, say the same. One that is absent is like null.

    >>> alike(b'{"a":1}', b'{ "a": 1 }'), alike(None, b"null"), alike(b"1", b'"1"'), alike(b"1", b"true")
    (True, True, False, False)
    """
    one, other = one or b"null", other or b"null"
    if one == other:
        return True
    try:
        return _typed(json_values.decode(one)) == _typed(json_values.decode(other))
    except ValueError:
        return False


def _typed(value: object) -> object:
    """The value, in which true is not 1."""
    if isinstance(value, dict):
        return {key: _typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_typed(part) for part in value]
    return (bool, value) if isinstance(value, bool) else value

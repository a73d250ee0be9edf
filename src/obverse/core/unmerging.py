"""Unmerging: an edge is taken back, and what it alone tied goes its own way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from obverse.core import changes, profiles
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.history import PastEvent
from obverse.core.identity import REFUSED, Decision, Edge, Part, edge_key, profile_id
from obverse.core.identity.evidence import SHARED, TAKEN, UNDONE
from obverse.core.people import People
from obverse.core.profiles import Membership, Profile, Sighting
from obverse.core.profiles.parts import OUTSIDE

_ONCE_TIED: Final = frozenset({REFUSED + SHARED, REFUSED + TAKEN})
"""An edge to an identifier that is another's by now: it ties nothing more, and has tied what it tied."""


class NothingToUndo(ValueError):
    """There is no such edge; the message says what is there."""


def undo(
    people: People, ends: tuple[str, str], stamp: Stamp, decisions: Sequence[Decision], events: Sequence[PastEvent]
) -> Decision:
    """
    Decide what becomes of a profile without one of its edges; changes nothing.

    `stamp` says when and by whom, and names the request; `decisions` and `events` are all that concern the profile.

    Raises:
        NothingToUndo: nothing ties these two.
    """
    ends = edge_key(*ends)
    profile = people.profiles.get(people.owners.get(ends[0], b""))
    edge = None if profile is None else profile.edges.get(ends)
    if profile is None or edge is None or edge.refused or people.owners.get(ends[1]) != profile.id:
        raise NothingToUndo(f"no edge ties {ends[0]} and {ends[1]}; look at the profile's edges, and name both ends")
    left = _piece(profile, ends[0], without=ends)
    part: tuple[Part, ...] = ()
    if ends[1] not in left:
        other = _piece(profile, ends[1], without=ends)
        # The profile stays with what made it.
        made = {one for one in profile.identifiers if profile_id(people.workspace, one) == profile.id}
        gone = left if made & other else other
        lives = any(_owner_among(people, profile, one) in gone for one in events)
        part = (_part(people, profile, gone, decisions, stamp) if lives else Part(None, tuple(sorted(gone))),)
    return Decision(
        kind="unmerge",
        profile=profile.id,
        absorbed=(),
        identifiers=(),
        edges=(Edge(*ends, stamp.message_id, REFUSED + UNDONE, stamp.time),),
        event=stamp.message_id,
        stamp=stamp,
        received_at=stamp.time,
        parts=part,
    )


def _piece(profile: Profile, start: str, *, without: tuple[str, str]) -> set[str]:
    """What hangs together with an identifier by the edges of a profile, but for one."""
    tied: dict[str, list[str]] = {}
    for ends, edge in profile.edges.items():
        if ends != without and (not edge.refused or edge.rule in _ONCE_TIED):
            tied.setdefault(ends[0], []).append(ends[1])
            tied.setdefault(ends[1], []).append(ends[0])
    found, ahead = {start}, [start]
    while ahead:
        for one in tied.get(ahead.pop(), ()):
            if one not in found:
                found.add(one)
                ahead.append(one)
    return found & profile.identifiers.keys()


def _part(people: People, profile: Profile, gone: set[str], decisions: Sequence[Decision], stamp: Stamp) -> Part:
    absorbed = {one for decision in decisions for one in decision.absorbed} - {profile.id}
    made = [one for one in decisions if one.profile in absorbed and not gone.isdisjoint(one.identifiers)]
    ids = list(dict.fromkeys(one.profile for one in made))
    # Whoever was merged away comes back as who they were.
    strongest = sorted(gone, key=lambda one: (people.definitions.identity.rank(one), one))
    fresh = (profile_id(people.workspace, one) for one in (*strongest, f"{strongest[0]}\0{stamp.message_id}"))
    one = next(iter(ids), None) or next(one for one in fresh if one not in people.profiles)
    return Part(one, tuple(sorted(gone)), tuple(other for other in ids if other != one))


def _owner_among(people: People, profile: Profile, past: PastEvent) -> str | None:
    """The strongest of a profile's identifiers that an event shows; None if it shows none of them."""
    return next((one for one in people.shown(past.event) if one in profile.identifiers), None)


def tell_anew(
    people: People, decision: Decision, events: Iterable[PastEvent], *, complete: bool
) -> tuple[list[Change], Mapping[int, bytes]]:
    """
    Make the states of what was unmerged out of the events of both, in their order, after it was carried out.

    Returns what changed, and whose the events are, by their ids, that were folded into somebody else. If not all events are kept (`complete`),
    what stays is as it was, and what goes is made of those that are.
    """
    keeper = people.profiles[decision.profile]
    gone = {part.profile: people.profiles[part.profile] for part in decision.parts if part.profile is not None}
    was = {id_: part.profile for part in decision.parts for id_ in (part.profile, *part.absorbed)}
    before = dict(keeper.audiences)
    anew = {one.id: _Anew(people, one) for one in ([*gone.values(), keeper] if complete else gone.values())}
    of: dict[int, bytes] = {}
    for past in events:
        owners = (people.owners.get(one) for one in people.shown(past.event))
        # One that shows nothing which identifies anybody by now stays with whom it was folded into.
        known = was.get(past.profile) or keeper.id
        owner = next((one for one in owners if one is not None and (one == keeper.id or one in gone)), known)
        if owner != known:
            of[past.id] = owner
        if owner in anew:
            anew[owner].fold(past)
    moved = [
        Change(one.id, changes.UNMERGED, two.id.hex(), decision.event)
        for other in gone.values()
        for one, two in ((keeper, other), (other, keeper))
    ]
    for one in anew.values():
        one.finish()
        moved += _stand(people, one.profile, before, decision.stamp)
    return moved, of


class _Anew:
    """A profile that is made of its events, of which it has forgotten all."""

    def __init__(self, people: People, profile: Profile) -> None:
        self.profile = profile
        self._people = people
        self._last, self._first = dict(profile.identifiers), dict(profile.sightings)
        for told in (profile.identifiers, profile.sightings, profile.traits, profile.attributes, profile.audiences):
            told.clear()
        profile.seen.clear()
        profile.first, profile.events = None, 0
        profile.known_moved = profile.standing_moved = True

    def fold(self, past: PastEvent) -> None:
        """Fold an event of this profile."""
        stamp = past.event.stamp
        for one in self._people.shown(past.event):
            if one in self._last:
                profiles.sight(self.profile, one, Sighting(stamp.time, past.event.message_id), stamp.time)
        place = past.partition, past.offset
        profiles.apply(self.profile, past.event, stamp, place, self._people.definitions)

    def finish(self) -> None:
        """Keep what no event shows that is kept."""
        for one, last in self._last.items():
            if one not in self.profile.sightings:
                profiles.sight(self.profile, one, self._first[one], last)


def _stand(people: People, profile: Profile, before: Mapping[str, Membership], stamp: Stamp) -> Iterable[Change]:
    """
    Count the entries of a profile on from those before, and tell what is otherwise than it was then.

    Who was in an audience before, and is in it, has not entered it: no mail goes out for it again.
    """
    told = []
    for audience in people.definitions.audiences:
        profiles.judge(profile, audience, stamp, people.definitions)
        was, now = before.get(audience.name, OUTSIDE), profile.audiences.get(audience.name, OUTSIDE)
        if was == OUTSIDE and now == OUTSIDE:
            continue
        if was.member and now.member:
            profile.audiences[audience.name] = was
        else:
            number = was.number + now.member
            profile.audiences[audience.name] = now._replace(number=number)
            if was.member != now.member:
                kind = changes.ENTERED if now.member else changes.LEFT
                told.append(Change(profile.id, kind, audience.name, stamp.message_id, number))
    return told


def accept(people: People, ends: tuple[str, str], stamp: Stamp, rule: str) -> Decision:
    """
    Decide that two identifiers are of one person, since somebody said so; limits do not count. Changes nothing.

    Raises:
        NothingToTie: one of them is nobody's.
    """
    ends = edge_key(*ends)
    for end in ends:
        if end not in people.owners:
            raise NothingToTie(f"nobody has {end}; check its kind and value")
    owned = {people.owners[end]: people.profiles[people.owners[end]] for end in ends}
    survivor, *rest = sorted(owned.values(), key=lambda one: ((one.first or stamp).time, one.id))
    return Decision(
        kind="merge" if rest else "link",
        profile=survivor.id,
        absorbed=tuple(one.id for one in rest),
        identifiers=(),
        edges=(Edge(*ends, stamp.message_id, rule, stamp.time),),
        event=stamp.message_id,
        stamp=stamp,
        received_at=stamp.time,
    )


class NothingToTie(ValueError):
    """One of two identifiers is nobody's."""

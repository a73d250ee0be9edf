"""Unmerging: an edge is taken back, and everything is as in a run in which it never was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from obverse.core import changes, profiles
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.identity import REFUSED, Decision, Edge, IdentityRules, Part, edge_key, id_named, profile_id
from obverse.core.identity.evidence import SHARED, TAKEN, UNDONE
from obverse.core.people import People
from obverse.core.profiles import Membership, Profile
from obverse.core.profiles.parts import OUTSIDE

_ONCE_TIED: Final = frozenset({REFUSED + SHARED, REFUSED + TAKEN})
"""An edge to an identifier that is another's by now: it ties nothing more, and has tied what it tied."""
_NO_LIMIT: Final = 1 << 60


class NothingToUndo(ValueError):
    """There is no such edge; the message says so."""


class NothingToTie(ValueError):
    """One of two identifiers is nobody's."""


def undo(
    people: People, ends: tuple[str, str], stamp: Stamp, decisions: Sequence[Decision], events: Sequence[PastEvent]
) -> Decision:
    """
    Decide what becomes of a profile without one of its edges; changes nothing.

    `stamp` says when and by whom, and names the request; `decisions` and `events` are all that concern the profile,
    in their order.

    Raises:
        NothingToUndo: nothing ties these two.
    """
    ends = edge_key(*ends)
    profile = people.profiles.get(people.owners.get(ends[0], b""))
    edge = None if profile is None else profile.edges.get(ends)
    if profile is None or edge is None or edge.refused or people.owners.get(ends[1]) != profile.id:
        raise NothingToUndo(f"no edge ties {ends[0]} and {ends[1]}; look at the profile's edges, and name both ends")
    without = _Without.run(people, profile, ends, events)
    pieces = {id_: one.identifiers.keys() & profile.identifiers.keys() for id_, one in without.people.profiles.items()}
    # The profile stays with what made it: of some pieces, with the one that the same identifier has made again.
    made = sorted(pieces, key=lambda one: (one != profile.id, profile_id(people.workspace, ends[0]) != one, one))
    stays = next((one for one in made if pieces[one]), None)
    parts = [
        _part(people, profile, (id_, names), decisions, stamp)
        for id_, names in sorted(pieces.items())
        if names and id_ != stays
    ]
    left = profile.identifiers.keys() - set().union(*pieces.values())
    if left:  # never shown but with what it is not tied to any more
        parts.append(Part(None, tuple(sorted(left))))
    return Decision(
        kind="unmerge",
        profile=profile.id,
        absorbed=(),
        identifiers=(),
        edges=(Edge(*ends, stamp.message_id, REFUSED + UNDONE, stamp.time),),
        event=stamp.message_id,
        stamp=stamp,
        received_at=stamp.time,
        parts=tuple(parts),
    )


def _part(
    people: People, profile: Profile, piece: tuple[bytes, Iterable[str]], decisions: Sequence[Decision], stamp: Stamp
) -> Part:
    """What goes: under the id of who was merged away, if it was anybody."""
    one, names = piece[0], set(piece[1])
    absorbed = {lost for decision in decisions for lost in decision.absorbed} - {profile.id}
    made = [decision for decision in decisions if decision.profile in absorbed]
    ids = list(dict.fromkeys(decision.profile for decision in made if not names.isdisjoint(decision.identifiers)))
    if one not in ids and (one == profile.id or one in people.profiles):
        one = next(iter(ids), None) or profile_id(people.workspace, f"{one.hex()}\0{stamp.message_id}")
    return Part(one, tuple(sorted(names)), tuple(other for other in ids if other != one))


def tell_anew(
    people: People, decision: Decision, events: Sequence[PastEvent], *, complete: bool
) -> tuple[list[Change], Mapping[int, bytes]]:
    """
    Make the states of what was unmerged out of the events of all, in their order, after it was carried out.

    Returns what changed, and whose the events are, by their ids, that were folded into somebody else. If not all
    events are kept (`complete`), what stays is as it was, and what goes is made of those that are.
    """
    keeper = people.profiles[decision.profile]
    gone = {part.profile: people.profiles[part.profile] for part in decision.parts if part.profile is not None}
    was = {one: part.profile for part in decision.parts for one in (part.profile, *part.absorbed) if one is not None}
    before = dict(keeper.audiences)
    whole = _together(keeper, gone.values())
    without = _Without.run(people, whole, (decision.edges[0].a, decision.edges[0].b), events)
    whose = {
        one: next((people.owners[name] for name in profile.identifiers if name in people.owners), keeper.id)
        for one, profile in without.people.profiles.items()
    }
    of: dict[int, bytes] = {}
    for past, one in without.folded:
        # One that shows nothing which identifies anybody by now stays with whom it was folded into.
        known = was.get(past.profile) or keeper.id
        owner = known if one is None else whose[without.people.keeper(one)]
        if owner != known:
            of[past.id] = owner
    anew = [
        (people.profiles[whose[one]], profile)
        for one, profile in without.people.profiles.items()
        if whose[one] in gone or complete
    ]
    moved = [
        Change(one.id, changes.UNMERGED, two.id.hex(), decision.event)
        for other in gone.values()
        for one, two in ((keeper, other), (other, keeper))
    ]
    for profile, fresh in anew:
        _become(profile, fresh)
        moved += _stand(people, profile, before, decision.stamp)
    return moved, of


def _together(keeper: Profile, gone: Iterable[Profile]) -> Profile:
    """Who they were together, as far as identity is concerned."""
    whole = Profile(keeper.id)
    for one in (keeper, *gone):
        whole.identifiers.update(one.identifiers)
        whole.sightings.update(one.sightings)
        whole.edges.update(one.edges)
    return whole


@dataclass(slots=True)
class _Without:
    """The run of one profile's events in which an edge never was."""

    people: People
    folded: list[tuple[PastEvent, bytes | None]] = field(default_factory=list)
    """Each event, and into which profile of this run it was folded."""

    @staticmethod
    def run(people: People, profile: Profile, ends: tuple[str, str], events: Sequence[PastEvent]) -> _Without:
        """Fold these events, in their order; what else the profile was refused stays refused."""
        refused = {pair for pair, edge in profile.edges.items() if edge.refused and edge.rule not in _ONCE_TIED}
        rules = IdentityRules(
            limits={}, merges=_NO_LIMIT, identifiers=_NO_LIMIT, shared=None, apart=frozenset({*refused, ends})
        )
        run = _Without(People(people.workspace, replace(people.definitions, identity=rules)))
        ties = {
            pair: edge
            for pair, edge in profile.edges.items()
            if pair != ends and (not edge.refused or edge.rule in _ONCE_TIED)
        }
        theirs = profile.identifiers.keys() | {end for pair in ties for end in pair}
        shown = [tuple(one for one in people.shown(past.event) if one in theirs) for past in events]
        by_event = {past.event.message_id: names for past, names in zip(events, shown, strict=True)}
        for pair, edge in sorted(ties.items()):
            # What no event that is kept would tie again: somebody said so, or the event is gone.
            if not set(pair) <= set(by_event.get(edge.event, ())):
                run._tie(people.definitions.identity, profile, edge)
        for past, names in zip(events, shown, strict=True):
            folded = run.people.fold(past.event, (past.partition, past.offset), names)
            run.folded.append((past, None if folded.profile is None else folded.profile.id))
        return run

    def _tie(self, rules: IdentityRules, profile: Profile, edge: Edge) -> None:
        first = [profile.sightings[end].at for end in (edge.a, edge.b) if end in profile.sightings]
        at = min([edge.at, *first])
        event = Event(type="track", message_id=edge.event, source="", received_at=at, timestamp=at)
        shown = sorted((edge.a, edge.b), key=lambda one: (rules.rank(one), one))
        decision = self.people.decide(event, event.stamp, tuple(shown))
        if decision is not None:
            self.people.carry_out(decision)
            tied = self.people.profiles[self.people.owners[shown[0]]]
            tied.edges[edge_key(edge.a, edge.b)] = edge


def _become(profile: Profile, fresh: Profile) -> None:
    """Take over all that events told of another one, but for whose the identifiers are by now."""
    kept = profile.identifiers.keys()
    refused = {ends: edge for ends, edge in profile.edges.items() if edge.refused}
    edges = {ends: edge for ends, edge in fresh.edges.items() if not edge.refused and kept >= set(ends)}
    profile.edges.clear()
    profile.edges.update(edges | refused)
    for name in kept & fresh.identifiers.keys():
        profile.identifiers[name], profile.sightings[name] = fresh.identifiers[name], fresh.sightings[name]
    profile.attributes.clear()
    profile.attributes.update(fresh.attributes)
    profile.groups.clear()
    profile.groups.update(fresh.groups)
    profile.traits, profile.audiences, profile.seen = fresh.traits, fresh.audiences, fresh.seen
    profile.first, profile.events = fresh.first, fresh.events
    profile.version = profile.version or fresh.version
    profile.changed_at = max(profile.changed_at, fresh.changed_at)
    profile.known_moved = profile.standing_moved = True


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
            continue
        number = was.number + now.member
        profile.audiences[audience.name] = now._replace(number=number)
        if was.member != now.member:
            kind = changes.ENTERED if now.member else changes.LEFT
            told.append(Change(profile.id, kind, audience.name, stamp.message_id, number))
    return told


def _end(people: People, name: str) -> str:
    """The identifier of somebody that a name means: itself; of a profile's own id, its strongest one."""
    one = id_named(name)
    profile = people.profiles.get(people.owners.get(name, b"") if one is None else people.keeper(one))
    if profile is None or not profile.identifiers:
        raise NothingToTie(f"nobody has {name}; check its kind and value")
    rank = people.definitions.identity.rank
    return name if one is None else min(profile.identifiers, key=lambda identifier: (rank(identifier), identifier))


def accept(people: People, ends: tuple[str, str], stamp: Stamp, rule: str) -> Decision:
    """
    Decide that two are one person, since somebody said so; limits do not count. Changes nothing.

    `ends` are identifiers, or ids of profiles (`id_name`).

    Raises:
        NothingToTie: one of them is nobody's.
    """
    ends = edge_key(_end(people, ends[0]), _end(people, ends[1]))
    if ends[0] == ends[1]:
        raise NothingToTie(f"both are {ends[0]}")
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

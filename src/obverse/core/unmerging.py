"""Unmerging: an edge is taken back, and everything is as in a run in which it never was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from obverse.core import changes, profiles
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.identity import (
    REFUSED,
    Decision,
    Edge,
    IdentityRules,
    Part,
    edge_key,
    id_named,
    identifiers,
    profile_id,
)
from obverse.core.identity.evidence import SHARED, TAKEN, UNDONE
from obverse.core.people import People, forward, keeper_of
from obverse.core.profiles import Membership, Profile, Sighting
from obverse.core.profiles.parts import OUTSIDE

ONCE_TIED: Final = frozenset({REFUSED + SHARED, REFUSED + TAKEN})
"""An edge to an identifier that is another's by now: it ties nothing more, and has tied what it tied."""
_NO_LIMIT: Final = 1 << 60


class NothingToUndo(ValueError):
    """There is no such edge; the message says so."""


class NothingToTie(ValueError):
    """One of two identifiers is nobody's."""


def tied(people: People, ends: tuple[str, str]) -> Profile:
    """
    Return whose edge ties two identifiers, or has tied them before one of them was set aside or taken.

    Raises:
        NothingToUndo: there is none.
    """
    ends = edge_key(*ends)
    for end, other in (ends, ends[::-1]):
        profile = people.profiles.get(people.owners.get(end, b""))
        edge = None if profile is None else profile.edges.get(ends)
        if profile is None or edge is None:
            continue
        if edge.rule in ONCE_TIED or (not edge.refused and people.owners.get(other) == profile.id):
            return profile
    raise NothingToUndo(f"no edge ties {ends[0]} and {ends[1]}; look at the profile's edges, and name both ends")


def undo(
    people: People, ends: tuple[str, str], stamp: Stamp, decisions: Sequence[Decision], without: Rerun
) -> Decision:
    """
    Decide what becomes of a profile without one of its edges; changes nothing.

    `stamp` says when and by whom, and names the request; `decisions` are all that concern the profile, in their
    order; `without` is the run of its events without the edge.

    Raises:
        NothingToUndo: nothing ties these two.
    """
    ends = edge_key(*ends)
    profile = tied(people, ends)
    ever = {profile.id, *(lost for decision in decisions for lost in decision.absorbed)}
    pieces, nobodys = _pieces(profile, without) if without.complete else (_components(profile, ends), set[str]())
    # The profile stays with what made it.
    made = {one for one in profile.identifiers if profile_id(people.workspace, one) in ever}
    mine = {one for one in made if profile_id(people.workspace, one) == profile.id}
    stays = min(pieces, key=lambda one: (one.isdisjoint(mine), sorted(one)), default=set[str]())
    absorbed = _absorbed(profile.id, decisions)
    parts = [
        _part(people, piece, [one for one in decisions if one.profile in absorbed], stamp)
        for piece in sorted(pieces, key=sorted)
        if piece is not stays
    ]
    # Of what is nobody's no profile may have the id, or who shows it first would be taken for that one.
    if nobodys - made:
        parts.append(Part(None, tuple(sorted(nobodys - made))))
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


def _absorbed(profile: bytes, decisions: Iterable[Decision]) -> set[bytes]:
    """Who is part of a profile by now: whoever was parted from it is somebody, and nobody else may have their id."""
    absorbed: dict[bytes, bytes] = {}
    for decision in decisions:
        absorbed.update(dict.fromkeys(decision.absorbed, decision.profile))
        for part in decision.parts:
            forward(absorbed, decision.profile, part)
    return {one for one in absorbed if keeper_of(absorbed, one) == profile}


def _pieces(profile: Profile, without: Rerun) -> tuple[list[set[str]], set[str]]:
    """What hangs together in the run without the edge; and what is nobody's there."""
    theirs = profile.identifiers.keys()
    pieces = [set(one.identifiers.keys() & theirs) for one in without.people.profiles.values()]
    return [one for one in pieces if one], set(theirs - set().union(*pieces))


def _components(profile: Profile, without: tuple[str, str]) -> list[set[str]]:
    """What hangs together by the edges of a profile, but for one: two pieces at most, and nothing is nobody's."""
    tied_to: dict[str, list[str]] = {}
    for ends, edge in profile.edges.items():
        if ends != without and (not edge.refused or edge.rule in ONCE_TIED):
            tied_to.setdefault(ends[0], []).append(ends[1])
            tied_to.setdefault(ends[1], []).append(ends[0])
    found, ahead = {without[1]}, [without[1]]
    while ahead:
        for one in tied_to.get(ahead.pop(), ()):
            if one not in found:
                found.add(one)
                ahead.append(one)
    theirs = set(profile.identifiers)
    pieces = [theirs] if without[0] in found else [theirs - found, theirs & found]
    return [one for one in pieces if one]


def _part(people: People, piece: set[str], made: Sequence[Decision], stamp: Stamp) -> Part:
    """What goes: under the id of who was merged away, if it was anybody; else under one that nobody ever had."""
    ids = list(dict.fromkeys(decision.profile for decision in made if not piece.isdisjoint(decision.identifiers)))
    fresh = profile_id(people.workspace, f"{min(piece)}\0{stamp.message_id}")
    return Part(ids[0] if ids else fresh, tuple(sorted(piece)), tuple(ids[1:]))


def tell_anew(people: People, decision: Decision, without: Rerun) -> tuple[list[Change], Mapping[int, bytes]]:
    """
    Have the states of what was unmerged be those of the run without the edge, after it was carried out.

    Returns what changed, and whose the events are, by their ids, that were folded into somebody else. If not all
    events are kept, what stays is as it was, and what goes is made of those that are.
    """
    keeper = people.profiles[decision.profile]
    gone = {part.profile: people.profiles[part.profile] for part in decision.parts if part.profile is not None}
    was = {one: part.profile for part in decision.parts for one in (part.profile, *part.absorbed) if one is not None}
    before = dict(keeper.audiences)
    whose = {
        one: next((owner for name in profile.identifiers if (owner := people.owners.get(name)) in gone), keeper.id)
        for one, profile in without.people.profiles.items()
    }
    anew: dict[bytes, Profile] = {}
    for one, profile in without.people.profiles.items():
        owner = whose[one] or keeper.id
        # What is nobody's by now stays with the one that had it.
        anew[owner] = profiles.merge(anew[owner], profile, people.definitions) if owner in anew else profile
    of: dict[int, bytes] = {}
    for past, folded_into in without.folded:
        known = was.get(past.profile) or keeper.id
        owner = known if folded_into is None else whose[without.people.keeper(folded_into)] or keeper.id
        if owner != known:
            of[past.id] = owner
        if folded_into is None:  # it shows nothing of theirs any more, and counts all the same
            place = past.partition, past.offset
            theirs = anew.setdefault(owner, Profile(owner, filled=people.filled))
            profiles.apply(theirs, past.event, past.event.stamp, place, people.definitions)
    for fresh in anew.values():
        # What time has changed in that run is no news; what is otherwise than it was is told below.
        profiles.advance(fresh, max(keeper.now, decision.stamp.time), people.definitions)
    moved = [
        Change(one.id, changes.UNMERGED, two.id.hex(), decision.event)
        for other in gone.values()
        for one, two in ((keeper, other), (other, keeper))
    ]
    for profile in [*gone.values(), *([keeper] if without.complete else [])]:
        if profile.id in anew:
            _become(profile, anew[profile.id])
        moved += _stand(people, profile, before, decision.stamp)
    return moved, of


class _Shown(NamedTuple):
    """When an identifier was shown."""

    first: Sighting
    last: int


@dataclass(slots=True)
class Rerun:
    """The run of one profile's events in which an edge never was."""

    people: People
    complete: bool
    """Whether all of its events are kept."""
    folded: list[tuple[PastEvent, bytes | None]] = field(default_factory=list)
    """Each event, and into which profile of this run it was folded; None if it shows nothing that is theirs."""


def rerun(people: People, ends: tuple[str, str], events: Sequence[PastEvent]) -> Rerun:
    """
    Fold the events of the profile that two identifiers tie, in their order, without this edge; changes nothing.

    What else the profile was refused stays refused here: it is asked about again afterwards, in the order in which it
    was refused (`asking_again`). What is set aside or blocked by now counted then.

    Raises:
        NothingToUndo: nothing ties these two.
    """
    ends, profile = edge_key(*ends), tied(people, ends)
    refused = {pair for pair, edge in profile.edges.items() if edge.refused and edge.rule not in ONCE_TIED}
    today = people.definitions.identity
    ties = {
        pair: edge
        for pair, edge in profile.edges.items()
        if pair != ends and (not edge.refused or edge.rule in ONCE_TIED)
    }
    theirs = profile.identifiers.keys() | {*ends, *(end for pair in ties for end in pair)}
    told = [identifiers(past.event, IdentityRules(added=today.added)) for past in events]
    shown = [tuple(one for one in names if one in theirs) for names in told]
    # What an event showed of theirs and did not tie was left out of it, with a stronger one that a limit was against.
    pairs = {edge_key(names[0], one) for names in shown for one in names[1:]}
    left_out = {pair for pair in pairs - ties.keys() if profile.identifiers.keys() >= set(pair)}
    rules = IdentityRules(
        limits={},
        merges=_NO_LIMIT,
        identifiers=_NO_LIMIT,
        shared=None,
        apart=frozenset({*refused, *left_out, ends}),
        added=today.added,
    )
    run = Rerun(People(people.workspace, replace(people.definitions, identity=rules)), len(events) >= profile.events)
    run.people.filled = people.filled  # what is on its way is computed of all of these events, too
    by_event = {past.event.message_id: names for past, names in zip(events, shown, strict=True)}
    early = dict[str, _Shown]()
    for pair, edge in sorted(ties.items()):
        # What no event that is kept would tie again: somebody said so, or the event is gone.
        if not set(pair) <= set(by_event.get(edge.event, ())):
            _tie(run.people, today, profile, edge)
            early |= {
                end: _Shown(profile.sightings[end], profile.identifiers[end])
                for end in pair
                if end in profile.sightings
            }
    _fold(run, zip(events, shown, strict=True), early)
    # One that an unmerge made of the events that were kept counts no others; whoever is nobody's was shown by some.
    unseen = profile.identifiers.keys() - run.people.owners.keys()
    run.complete = run.complete and all(profile.sightings[one].event in by_event for one in unseen)
    return run


def _fold(run: Rerun, told: Iterable[tuple[PastEvent, tuple[str, ...]]], early: Mapping[str, _Shown]) -> None:
    """Fold all events; of what is tied already, `early` has when it was shown, unless one of these shows it."""
    people, firsts, seen = run.people, dict[bytes, Stamp](), dict(early)
    shown = set[str]()
    for past, names in told:
        stamp = past.event.stamp
        one = people.fold(past.event, (past.partition, past.offset), names).profile
        run.folded.append((past, None if one is None else one.id))
        if one is None:
            continue
        firsts[one.id] = min(stamp, firsts.get(one.id, stamp))
        for name in early.keys() & one.identifiers.keys() & set(names) if early else ():
            now = _Shown(Sighting(stamp.time, past.event.message_id), stamp.time)
            known = seen[name] if name in shown else now
            seen[name] = _Shown(min(known.first, now.first), max(known.last, now.last))
            shown.add(name)
    for name, known in seen.items():
        owner = people.profiles[people.owners[name]]
        owner.sightings[name], owner.identifiers[name] = known
    # Whoever was tied before is told of as if somebody had been there earlier.
    told_first = dict[bytes, Stamp]()
    for into, first in firsts.items():
        keeper = people.keeper(into)
        told_first[keeper] = min(first, told_first.get(keeper, first))
    for keeper, first in told_first.items():
        people.profiles[keeper].first = first


def _tie(people: People, rules: IdentityRules, profile: Profile, edge: Edge) -> None:
    first = [profile.sightings[end].at for end in (edge.a, edge.b) if end in profile.sightings]
    at = min([edge.at, *first])
    event = Event(type="track", message_id=edge.event, source="", received_at=at, timestamp=at)
    shown = sorted((edge.a, edge.b), key=lambda one: (rules.rank(one), one))
    decision = people.decide(event, event.stamp, tuple(shown))
    if decision is not None:
        people.carry_out(decision)
        people.profiles[people.owners[shown[0]]].edges[edge_key(edge.a, edge.b)] = edge


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
    profile.consents.clear()
    profile.consents.update(fresh.consents)
    profile.traits, profile.audiences, profile.seen = fresh.traits, fresh.audiences, fresh.seen
    profile.first, profile.events = fresh.first, fresh.events
    profile.filled, profile.since = fresh.filled, fresh.since
    profile.turned_at, profile.due = max(profile.turned_at, fresh.turned_at), fresh.due
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
        profiles.judge(profile, audience, stamp, people.definitions, stamp.time)
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


def accept(people: People, ends: tuple[str, str], stamp: Stamp, rule: str, *, by_person: bool = True) -> Decision:
    """
    Decide that two are one person, since somebody said so; limits do not count. Changes nothing.

    `ends` are identifiers, or ids of profiles (`id_name`).

    Raises:
        NothingToTie: one of them is nobody's; or the rules keep them apart; or a person has parted them, and it is
            no person who asks.
    """
    ends = edge_key(_end(people, ends[0]), _end(people, ends[1]))
    if ends[0] == ends[1]:
        raise NothingToTie(f"both are {ends[0]}")
    owned = {people.owners[end]: people.profiles[people.owners[end]] for end in ends}
    if len(owned) > 1:
        one, other = owned.values()
        pairs = [edge_key(x, y) for x in one.identifiers for y in other.identifiers]
        for pair in pairs:
            if pair in people.definitions.identity.apart:
                raise NothingToTie(f"the identity rules keep {pair[0]} and {pair[1]} apart; change them first")
            edge = one.edges.get(pair)
            if not by_person and edge is not None and edge.rule == REFUSED + UNDONE:
                raise NothingToTie(f"somebody has parted {pair[0]} and {pair[1]}; only a person may say otherwise")
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

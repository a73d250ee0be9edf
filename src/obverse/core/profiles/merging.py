"""Two profiles that become one, and what a decision adds to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from obverse.core.crdt import clock, register
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import REFUSED, Edge
from obverse.core.identity.evidence import ACCEPTED, FOR_GOOD, UNDONE
from obverse.core.profiles.parts import OUTSIDE, Membership, Sighting
from obverse.core.profiles.profile import Profile
from obverse.core.profiles.turning import due_of

_TAKEN_BACK: Final = REFUSED + UNDONE
MOST_REFUSED: Final = 100
"""Edges that tie nothing of which a profile keeps no more; the latest stay."""
MOST_GROUPS: Final = 1000
"""Groups that a person can be a member of; those of the earliest events stay."""


def merge(one: Profile, other: Profile, definitions: Definitions) -> Profile:
    """
    Make two profiles one, under the id of the first. Changes the first in place; the other is used up.

    Afterwards time is to go on to what it is by then for either (`advance`), and audiences are to be judged anew
    (`judge`), since what they look at has moved.
    """
    known, lost = one.known(), other.known()
    for identifier, last in other.identifiers.items():
        sight(one, identifier, lost.sightings[identifier], last)
    for ends, edge in lost.edges.items():
        tie(one, ends, edge)
    for name, written in lost.attributes.items():
        mine = known.attributes.get(name)
        known.attributes[name] = written if mine is None else register.merge(mine, written)
    for purpose, written in lost.consents.items():
        mine = known.consents.get(purpose)
        known.consents[purpose] = written if mine is None else register.merge(mine, written)
    for group, since in lost.groups.items():
        join(one, group, since)
    if definitions.beside and not one.filled == other.filled == definitions.beside_version:
        _begin_anew(one, other, definitions)
    _merge_traits(one, other, definitions)
    for name, standing in other.audiences.items():
        mine_there = one.audiences.get(name, OUTSIDE)
        one.audiences[name] = Membership(
            mine_there.member or standing.member,
            max(mine_there.number, standing.number),
            max(mine_there.since, standing.since),
        )
    one.standing_moved = one.known_moved = True
    one.seen.take(other.seen)
    one.version = clock.merge_versions(one.version, other.version)
    one.first = clock.earliest(one.first, other.first)
    one.changed_at = max(one.changed_at, other.changed_at)
    one.turned_at = max(one.turned_at, other.turned_at)
    one.due = due_of(one, definitions, one.now)
    one.events += other.events
    one.merges += other.merges
    return one


def _begin_anew(one: Profile, other: Profile, definitions: Definitions) -> None:
    """
    Forget what was computed of traits to come, since history of one of them is missing from it.

    All that both have folded by now is history then: whoever asks a store for it has to wait for what ties them.
    """
    for trait in definitions.beside:
        one.traits.pop(trait.key, None)
        other.traits.pop(trait.key, None)
    one.filled = min(one.filled, other.filled)
    one.since = {part: offset + 1 for part, offset in clock.merge_versions(one.version, other.version).items()}


def _merge_traits(one: Profile, other: Profile, definitions: Definitions) -> None:
    defined = definitions.trait_of_key
    for key, state in other.traits.items():
        if key not in one.traits:
            one.traits[key] = state
        elif key in defined:  # else its definition is gone, and so is its meaning
            one.traits[key] = defined[key].kind.merge(one.traits[key], state)


def separate(one: Profile, other: Profile | None, identifiers: set[str]) -> None:
    """
    Move these identifiers of one profile, and what is said of them, to another one; to nobody, if that is None.

    What was refused because of a limit is forgotten on both sides, for there is room now: whoever decided this asks
    about it again. What somebody has taken back of two that go different ways both sides know; also of an identifier
    that is nobody's now.
    """
    for ends, edge in list(one.edges.items()):
        if not identifiers.isdisjoint(ends):
            if edge.rule != _TAKEN_BACK or (other is not None and identifiers.issuperset(ends)):
                del one.edges[ends]
            if other is not None and (not edge.refused or edge.rule in FOR_GOOD):
                other.edges[ends] = edge
        elif edge.refused and edge.rule not in FOR_GOOD:
            del one.edges[ends]
    for identifier in identifiers:
        last, first = one.identifiers.pop(identifier), one.sightings.pop(identifier)
        if other is not None:
            other.identifiers[identifier], other.sightings[identifier] = last, first
    one.claims = tuple(identifier for identifier in one.claims if identifier not in identifiers)
    one.losses += len(identifiers)
    one.known_moved = True
    if other is not None:
        other.claims += tuple(identifiers)


def sight(profile: Profile, identifier: str, first: Sighting, last: int) -> None:
    """Note that an identifier of this profile was shown, first so and last then."""
    sightings = profile.known().sightings
    known = sightings.get(identifier)
    if known is None or first < known:
        sightings[identifier] = first
        profile.known_moved = True
    latest = profile.identifiers.get(identifier)
    if latest is None or last > latest:
        profile.identifiers[identifier] = last


def show(profile: Profile, shown: Iterable[str], event: Event, at: int) -> None:
    """Note that an event showed these identifiers at this time; those that the profile has not are passed over."""
    last_shown = profile.identifiers
    for identifier in shown:
        last = last_shown.get(identifier)
        if last is None:
            continue  # it was refused, and is another's
        if at > last:
            last_shown[identifier] = at
            continue
        first = profile.sightings[identifier]
        if at <= first.at and (at, event.message_id) < first:
            sight(profile, identifier, Sighting(at, event.message_id), at)


def join(profile: Profile, group: str, since: Sighting) -> None:
    """Note that a person is a member of a group, by this event; the earliest stays."""
    groups = profile.groups
    known = groups.get(group)
    if known is not None and known <= since:
        return
    groups[group] = since
    profile.known_moved = True
    if len(groups) > MOST_GROUPS:
        # The smallest few of a union are the same however the union was built, so this is a lattice still.
        del groups[max(groups, key=lambda one: (groups[one], one))]


def tie(profile: Profile, ends: tuple[str, str], edge: Edge) -> None:
    """
    Add evidence: one edge between two ends.

    What somebody said last of them stays; else the earliest edge that ties; else the latest that ties nothing.
    """
    edges = profile.known().edges
    known = edges.get(ends)
    if known is None or _stays(edge, known):
        edges[ends] = edge
        profile.known_moved = True
        if edge.refused:
            _keep_latest(edges)


def forget_refusal(profile: Profile, ends: tuple[str, str]) -> None:
    """Forget that a limit was against a pair, if one was."""
    edge = profile.known().edges.get(ends)
    if edge is not None and edge.refused and edge.rule not in FOR_GOOD:
        del profile.edges[ends]
        profile.known_moved = True


def _keep_latest(edges: dict[tuple[str, str], Edge]) -> None:
    """Let go of the earliest edges that tie nothing, beyond `MOST_REFUSED`."""
    if len(edges) <= MOST_REFUSED:
        return
    # What somebody has taken back stays for ever.
    refused = sorted(
        (edge.at, edge.event, ends) for ends, edge in edges.items() if edge.refused and edge.rule != REFUSED + UNDONE
    )
    for _, _, ends in refused[: max(0, len(refused) - MOST_REFUSED)]:
        del edges[ends]


def lose(profile: Profile, identifier: str, why: str, event: str, at: int) -> list[Edge]:
    """
    Take an identifier from a profile; return what was said of it, of which nothing ties any more.

    `why` is the rule, `event` the message id and `at` the time, in microseconds since 1970, of what it was lost by.
    """
    profile.identifiers.pop(identifier, None)
    profile.sightings.pop(identifier, None)
    profile.claims = tuple(one for one in profile.claims if one != identifier)
    profile.losses += 1
    said = []
    for ends, edge in list(profile.edges.items()):
        if identifier in ends:
            if not edge.refused:
                profile.edges[ends] = Edge(edge.a, edge.b, event, REFUSED + why, at)
            said.append(profile.edges[ends])
    _keep_latest(profile.edges)
    profile.known_moved = True
    return said


def _stays(edge: Edge, known: Edge) -> bool:
    """Whether the one edge stays where the other was: a person's word first, then what ties, then what does not."""
    said = _said(edge), _said(known)
    if said[0] != said[1]:
        return said[0]
    if not said[0] and edge.refused != known.refused:
        return known.refused
    one, other = (edge.at, edge.event, edge.rule), (known.at, known.event, known.rule)
    return one > other if edge.refused or said[0] else one < other


def _said(edge: Edge) -> bool:
    """Whether somebody said so, or took it back."""
    return edge.rule in {ACCEPTED, REFUSED + UNDONE}

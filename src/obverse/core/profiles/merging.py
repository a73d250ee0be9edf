"""Two profiles that become one, and what a decision adds to one."""

from __future__ import annotations

from typing import Final

from obverse.core.crdt import clock, register
from obverse.core.definitions import Definitions
from obverse.core.identity import REFUSED, Edge
from obverse.core.profiles.parts import OUTSIDE, Membership, Sighting
from obverse.core.profiles.profile import Profile

MOST_REFUSED: Final = 100
"""Edges that tie nothing of which a profile keeps no more; the latest stay."""


def merge(one: Profile, other: Profile, definitions: Definitions) -> Profile:
    """
    Make two profiles one, under the id of the first. Changes the first in place; the other is used up.

    Audiences are to be judged anew afterwards (`judge`), since what they look at has moved.
    """
    for identifier, last in other.identifiers.items():
        sight(one, identifier, other.sightings[identifier], last)
    for ends, edge in other.edges.items():
        tie(one, ends, edge)
    for name, written in other.attributes.items():
        mine = one.attributes.get(name)
        one.attributes[name] = written if mine is None else register.merge(mine, written)
    _merge_traits(one, other, definitions)
    for name, standing in other.audiences.items():
        mine_there = one.audiences.get(name, OUTSIDE)
        one.audiences[name] = Membership(
            mine_there.member or standing.member,
            max(mine_there.number, standing.number),
            max(mine_there.since, standing.since),
        )
    one.standing_moved = one.known_moved = True
    for key, second in other.seen.items():
        if second > one.seen.get(key, -1):
            one.seen[key] = second
    one.version = clock.merge_versions(one.version, other.version)
    one.first = clock.earliest(one.first, other.first)
    one.changed_at = max(one.changed_at, other.changed_at)
    one.events += other.events
    one.merges += other.merges
    return one


def _merge_traits(one: Profile, other: Profile, definitions: Definitions) -> None:
    defined = definitions.trait_of_key
    for key, state in other.traits.items():
        if key not in one.traits:
            one.traits[key] = state
        elif key in defined:  # else its definition is gone, and so is its meaning
            one.traits[key] = defined[key].kind.merge(one.traits[key], state)


def sight(profile: Profile, identifier: str, first: Sighting, last: int) -> None:
    """Note that an identifier of this profile was shown, first so and last then."""
    known = profile.sightings.get(identifier)
    if known is None or first < known:
        profile.sightings[identifier] = first
        profile.known_moved = True
    profile.identifiers[identifier] = max(last, profile.identifiers.get(identifier, last))


def tie(profile: Profile, ends: tuple[str, str], edge: Edge) -> None:
    """Add evidence; of two edges between the same ends the earlier one stays, of two that tie nothing the later one."""
    known = profile.edges.get(ends)
    if known is None or _stays(edge, known):
        profile.edges[ends] = edge
        profile.known_moved = True
        if edge.refused:
            _keep_latest(profile.edges)


def _keep_latest(edges: dict[tuple[str, str], Edge]) -> None:
    """Let go of the earliest edges that tie nothing, beyond `MOST_REFUSED`."""
    if len(edges) <= MOST_REFUSED:
        return
    refused = sorted((edge.at, edge.event, ends) for ends, edge in edges.items() if edge.refused)
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
    """Whether the one edge stays where the other was: what ties before what does not."""
    if edge.refused != known.refused:
        return known.refused
    one, other = (edge.at, edge.event, edge.rule), (known.at, known.event, known.rule)
    return one > other if edge.refused else one < other

"""Asking again: what limits had refused because of an edge, once that edge is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from obverse.core.crdt import clock
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.identity import Decision, Edge, IdentityRules
from obverse.core.identity.evidence import FOR_GOOD
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.unmerging import Rerun

MOST: Final = 1000
"""Refusals that are asked about at most; of more, the latest."""


class Refusal(NamedTuple):
    """An event that showed what a limit was against."""

    stamp: Stamp
    shown: tuple[str, ...]
    """The strongest, and what was left out."""


def refusals(profile: Profile, decisions: Iterable[Decision], rules: IdentityRules) -> list[Refusal]:
    """
    Return what limits have refused of a profile, in the order in which it was decided.

    `decisions` are all that concern the profile, in their order. The log of decisions keeps all that was refused, of
    which a profile has the latest only.
    """
    found = []
    for decision in decisions:
        refused = [edge for edge in decision.edges if edge.refused and edge.rule not in FOR_GOOD]
        if any(end in profile.identifiers for edge in refused for end in (edge.a, edge.b)):
            found.append(Refusal(decision.stamp, _shown(decision, refused, rules)))
    return found[-MOST:]


def _shown(decision: Decision, refused: Sequence[Edge], rules: IdentityRules) -> tuple[str, ...]:
    """The strongest, which is an end of each edge, and what was left out."""
    ends = dict.fromkeys(end for edge in refused for end in (edge.a, edge.b))
    common = [one for one in ends if all(one in {edge.a, edge.b} for edge in refused)]
    # Decisions of older releases do not say what was left out.
    strongest = min(common or ends, key=lambda one: (one in decision.left_out, rules.rank(one), one))
    others = decision.left_out or sorted(ends.keys() - {strongest}, key=lambda one: (rules.rank(one), one))
    return (strongest, *others)


def decide_again(people: People, decision: Decision, without: Rerun, waiting: Sequence[Refusal]) -> list[Decision]:
    """
    Decide what was refused anew, one after another, by the present rules and with an edge gone; changes nothing.

    `people` are as they were before the edge was taken back by `decision`, with whoever has anything that is asked
    about. What comes of it is to be carried out in this order, after that decision. What no limit was against stays
    as it is, and so does what is tied by now.
    """
    if not decision.parts:
        return []  # nobody has more room than before
    beside, decided = _without_edge(people, decision, without, waiting), []
    for stamp, shown in waiting:
        event = Event(
            type="track",
            message_id=stamp.message_id,
            source=stamp.source,
            received_at=decision.received_at,
            timestamp=stamp.time,
        )
        one = beside.decide_again(event, stamp, shown)
        if one is not None and one.kind != "create":  # whoever showed it is somebody
            # Also who knows of a refusal that is none any more is told.
            told = (*one.beside, *(beside.owners[name] for name in one.left_out if name in beside.owners))
            told = tuple(other for other in dict.fromkeys(told) if other not in {one.profile, *one.absorbed})
            decided.append(replace(one, again=decision.event, beside=told))
            beside.carry_out(decided[-1])
    return decided


def _without_edge(people: People, decision: Decision, without: Rerun, waiting: Iterable[Refusal]) -> People:
    """Who they are once the decision is carried out, and all that others are decided upon: people of their own."""
    beside = People(people.workspace, define(identity=people.definitions.identity))
    beside.set_aside.update(people.set_aside)
    owners = (people.owners[one] for refusal in waiting for one in refusal.shown if one in people.owners)
    for one in dict.fromkeys((people.keeper(decision.profile), *owners)):
        beside.adopt(_identity_of(people.profiles[one]))
    beside.carry_out(decision)
    anew = dict[bytes, Stamp | None]()
    for fresh in without.people.profiles.values():
        one = next((beside.owners[name] for name in fresh.identifiers if name in beside.owners), decision.profile)
        if one == decision.profile and not without.complete:
            continue  # it stays as it was
        anew[one] = clock.earliest(anew.get(one), fresh.first)
        for name in beside.profiles[one].identifiers.keys() & fresh.identifiers.keys():
            beside.profiles[one].sightings[name] = fresh.sightings[name]
    for one, first in anew.items():
        beside.profiles[one].first = first
    return beside


def _identity_of(profile: Profile) -> Profile:
    """A copy of a profile, as far as decisions look at it."""
    copy = Profile(profile.id, first=profile.first, merges=profile.merges)
    copy.identifiers.update(profile.identifiers)
    copy.sightings.update(profile.sightings)
    copy.edges.update(profile.edges)
    return copy

"""Steps of the tests of unmerging: people with all that is kept of them, and the runs that they must equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from obverse.core import profiles
from obverse.core.asking_again import Refusal, decide_again, refusals
from obverse.core.changes import Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.identity import Decision, IdentityRules, edge_key
from obverse.core.people import People
from obverse.core.unmerging import Rerun, rerun, tell_anew, tied, undo
from people_steps import DEFINITIONS, NOW, SECOND

LATER = Stamp(NOW + 1000 * SECOND, "console", "request-1")


class Lived:
    """People, and all that is kept of how they came to be."""

    def __init__(self, log: Iterable[Event] = (), definitions: Definitions = DEFINITIONS) -> None:
        self.people = People("main", definitions)
        self.decisions: list[Decision] = []
        self.events: list[PastEvent] = []
        self.refused: list[Refusal] = []
        """What the last unmerge had asked about again …"""
        self.again: list[Decision] = []
        """… and what came of it."""
        self.offset = 0
        self.fold(*log)

    def fold(self, *log: Event) -> None:
        for one in log:
            folded = self.people.fold(one, (0, self.offset))
            self.offset += 1
            if folded.decision is not None:
                self.decisions.append(folded.decision)
            if folded.profile is not None and not folded.repeated:
                self.events.append(PastEvent(self.offset, folded.profile.id, 0, self.offset - 1, one))

    def without(self, one: str, other: str) -> Rerun:
        profile = tied(self.people, (one, other))
        related = {profile.id, *(lost for lost in self.people.absorbed if self.people.keeper(lost) == profile.id)}
        return rerun(self.people, (one, other), [past for past in self.events if past.profile in related])

    def undo(
        self, one: str, other: str, request: str = LATER.message_id
    ) -> tuple[Decision, list[Change], dict[int, bytes]]:
        without = self.without(one, other)
        decision = undo(self.people, (one, other), LATER._replace(message_id=request), self.decisions, without)
        self.refused = refusals(tied(self.people, (one, other)), self.decisions, self.people.definitions.identity)
        self.again = decide_again(self.people, decision, without, self.refused)
        self.people.carry_out(decision)
        moved, of = tell_anew(self.people, decision, without)
        for more in self.again:
            moved += self.people.carry_out(more)
        self.decisions += [decision, *self.again]
        for place, past in enumerate(self.events):
            if past.id in of:
                self.events[place] = PastEvent(past.id, of[past.id], past.partition, past.offset, past.event)
        return decision, moved, dict(of)


def told(people: People) -> list[Any]:
    """All that two runs must agree on, whatever the profiles' ids."""
    return sorted(
        (
            {
                **profiles.state_of(profile, people.definitions),
                "edges": {ends: edge for ends, edge in profile.edges.items() if not edge.refused},
            }
            for profile in people.profiles.values()
        ),
        key=lambda one: sorted(one["identifiers"]),
    )


def apart(log: Iterable[Event], *pairs: tuple[str, str]) -> People:
    """A run in which these were never tied."""
    kept = frozenset(edge_key(*pair) for pair in pairs)
    return Lived(log, replace(DEFINITIONS, identity=IdentityRules(limits={}, apart=kept))).people

"""Resolution: what an event that shows a new pair of identifiers makes of the profiles, within the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.identity import REFUSED, SEEN_TOGETHER, Decision, Edge, IdentityRules, edge_key, profile_id
from obverse.core.profiles import Profile

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Resolution:
    """
    Decides, and changes nothing.

    Segment's algorithm: if what an event shows would break a rule of the profile that came of it, its weakest
    identifier is left out, and it is tried again. What was left out is evidence too: an edge whose rule names what
    was against it.
    """

    workspace: str
    owners: Mapping[str, bytes]
    """By identifier, the profile that has it."""
    profiles: Mapping[bytes, Profile]

    def decide(self, event: Event, stamp: Stamp, shown: Sequence[str], rules: IdentityRules) -> Decision | None:
        """Return what an event makes of the profiles; None if it shows nothing new. The strongest is shown first."""
        strongest, *others = shown
        keeper = self.owners.get(strongest)
        if keeper is not None:
            others = [other for other in others if self._is_open(keeper, strongest, other, stamp.time, rules)]
            if not any(self._is_new(keeper, strongest, other) for other in others):
                return None
        kept, left_out = [strongest, *others], []
        while len(kept) > 1 and self._against(kept, stamp.time, rules) is not None:
            left_out.append(kept.pop())
        # Who would break nothing by itself is left out of this event, and free to come again.
        refused = [
            Edge(*edge_key(strongest, one), event.message_id, REFUSED + against, stamp.time)
            for one in left_out
            if (against := self._against([*kept, one], stamp.time, rules)) is not None
        ]
        owned = [self.profiles[one] for one in self._found(kept)]
        if owned:
            # The earlier first event survives, ties go to the smaller id.
            survivor, *rest = sorted(owned, key=lambda profile: ((profile.first or stamp).time, profile.id))
            profile, absorbed = survivor.id, tuple(one.id for one in rest)
        else:
            profile, absorbed = profile_id(self.workspace, strongest), ()
        found = tuple(one for one in kept if one not in self.owners)
        ties = [
            Edge(*edge_key(strongest, other), event.message_id, SEEN_TOGETHER, stamp.time)
            for other in kept[1:]
            if self._is_new(profile, strongest, other)
        ]
        return Decision(
            kind="merge" if absorbed else "create" if not owned else "link" if ties or found else "refuse",
            profile=profile,
            absorbed=absorbed,
            identifiers=found,
            edges=(*ties, *refused),
            event=event.message_id,
            stamp=stamp,
            received_at=event.received_at,
        )

    def _is_open(self, keeper: bytes, strongest: str, other: str, at: int, rules: IdentityRules) -> bool:
        """Whether the pair may tie its profiles, as far as was decided; a limit within a time is asked about again."""
        edge = self.profiles[keeper].edges.get(edge_key(strongest, other))
        if edge is None or not edge.refused:
            return True
        limit = rules.limits.get(edge.rule.removeprefix(REFUSED))
        return limit is not None and limit.within is not None and at >= edge.at + limit.within * _SECOND

    def _is_new(self, profile: bytes, strongest: str, other: str) -> bool:
        if self.owners.get(other) != profile or self.owners.get(strongest) != profile:
            return True
        edge = self.profiles[profile].edges.get(edge_key(strongest, other))
        return edge is None or edge.refused

    def _found(self, shown: Iterable[str]) -> list[bytes]:
        return list(dict.fromkeys(self.owners[one] for one in shown if one in self.owners))

    def _against(self, kept: Sequence[str], at: int, rules: IdentityRules) -> str | None:
        """Name the rule that the profile of all these identifiers would break; None if it would break none."""
        found = [self.profiles[one] for one in self._found(kept)]
        new = [one for one in kept if one not in self.owners]
        if len(found) < 2 and not new:  # noqa: PLR2004 - one profile that has them all
            return None
        if len(found) > 1 and len(found) - 1 + sum(one.merges for one in found) > rules.merges:
            return "merges"
        if len(new) + sum(len(one.identifiers) for one in found) > rules.identifiers:
            return "identifiers"
        counts: dict[str, int] = {}
        for one in new:
            kind = one.partition(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
        for profile in found:
            for identifier in profile.identifiers:
                kind = identifier.partition(":")[0]
                limit = rules.limits.get(kind)
                if limit is None:
                    continue
                if limit.within is None or profile.sightings[identifier].at > at - limit.within * _SECOND:
                    counts[kind] = counts.get(kind, 0) + 1
        return next((kind for kind, limit in rules.limits.items() if counts.get(kind, 0) > limit.values), None)

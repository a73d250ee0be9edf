"""Resolution: what an event that shows a new pair of identifiers makes of the profiles, within the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.identity import (
    OF_A_DEVICE,
    REFUSED,
    SEEN_TOGETHER,
    Decision,
    Edge,
    IdentityRules,
    SetAside,
    edge_key,
    profile_id,
)
from obverse.core.identity.evidence import FOR_GOOD, IDENTIFIERS, ISOLATION, MERGES, TAKEN, UNDONE
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

    def decide(
        self, event: Event, stamp: Stamp, shown: Sequence[str], rules: IdentityRules, *, again: bool = False
    ) -> Decision | None:
        """
        Return what an event makes of the profiles; None if it shows nothing new. The strongest is shown first.

        `again`: what limits have refused is asked about once more.
        """
        aside: list[SetAside] = []
        while True:
            owners = {one: owner for one in shown if (owner := self.owners.get(one)) is not None}
            case = _Case(self, event, stamp, rules, owners, again)
            decision = case.decide(shown)
            if not aside and not case.moves_others:
                return decision
            more = [] if decision is None or rules.shared is None else case.too_shared(decision, rules.shared)
            if len(more) == len(shown):
                more = [one for one in more if one.identifier != shown[0]]  # the event is somebody's
            if not more:
                break
            # Nobody's any more, so it is as if the event had not shown it.
            aside += more
            gone = {one.identifier for one in more}
            shown = [one for one in shown if one not in gone]
        if decision is None and not aside:
            return None
        decision = decision or case.nothing(owners[shown[0]])
        return replace(decision, set_aside=tuple(aside), beside=self._beside(decision, aside))

    def _beside(self, decision: Decision, aside: Iterable[SetAside]) -> tuple[bytes, ...]:
        names = [
            *decision.identifiers,
            *(end for edge in decision.edges if edge.refused for end in (edge.a, edge.b)),
            *(one.identifier for one in aside),
        ]
        concerned = dict.fromkeys(self.owners[one] for one in names if one in self.owners)
        return tuple(one for one in concerned if one != decision.profile and one not in decision.absorbed)


@dataclass(slots=True)
class _Case:
    """One event that is decided upon."""

    known: Resolution
    event: Event
    stamp: Stamp
    rules: IdentityRules
    owners: dict[str, bytes]
    """Of what is shown; without what is taken from its owner."""
    again: bool
    """Whether what limits have refused is asked about once more."""
    taken: dict[str, bytes] = field(default_factory=dict)
    """From whom."""
    moves_others: bool = False
    """Whether the decision moves other profiles than those that it makes one."""

    def decide(self, shown: Sequence[str]) -> Decision | None:
        """See `Resolution.decide`; nothing is set aside."""
        strongest, *others = shown
        keeper = self.owners.get(strongest)
        edges: list[Edge] = []
        if self.rules.apart:
            apart = self._apart(keeper, strongest, others)
            edges = [self._edge(strongest, one, REFUSED + UNDONE) for one in apart]
            others = [other for other in others if edge_key(strongest, other) not in self.rules.apart]
        others = [other for other in others if self._is_open(strongest, other)]
        if keeper is not None and not edges and not self._new(keeper, strongest, others):
            return None
        kept, left_out = [strongest, *others], []
        if self.rules.unique:
            self._take(kept)
        found = self._found(kept)
        while len(kept) > 1 and self._against(kept, found) is not None:
            left_out.append(kept.pop())
            found = self._found(kept)
        if left_out:
            # Who would break nothing by itself is left out of this event, and free to come again.
            refused = [
                self._edge(strongest, one, REFUSED + against)
                for one in left_out
                if (against := self._against([*kept, one], self._found([*kept, one]))) is not None
            ]
            edges = [*refused, *edges]
        absorbed: tuple[bytes, ...] = ()
        self.moves_others = bool(edges or self.taken)
        if len(found) == 1:
            profile = found[0].id
        elif found:
            # The earlier first event survives, ties go to the smaller id.
            survivor, *rest = sorted(found, key=lambda profile: ((profile.first or self.stamp).time, profile.id))
            profile, absorbed = survivor.id, tuple(one.id for one in rest)
        else:
            profile = self._new_id(kept)
        new = tuple([one for one in kept if one not in self.owners])
        tied = self._new(self.owners.get(strongest), strongest, kept[1:]) if len(kept) > 1 else ()
        return Decision(
            kind="merge" if absorbed else "create" if not found else "link" if tied or new else "refuse",
            profile=profile,
            absorbed=absorbed,
            identifiers=new,
            edges=(*[self._edge(strongest, one, SEEN_TOGETHER) for one in tied], *edges),
            event=self.event.message_id,
            stamp=self.stamp,
            received_at=self.event.received_at,
            left_out=tuple(reversed(left_out)),
        )

    def nothing(self, profile: bytes) -> Decision:
        """Return the decision that changes nothing of this profile."""
        return Decision(
            kind="refuse",
            profile=profile,
            absorbed=(),
            identifiers=(),
            edges=(),
            event=self.event.message_id,
            stamp=self.stamp,
            received_at=self.event.received_at,
        )

    def too_shared(self, decision: Decision, most: int) -> list[SetAside]:
        """What this decision, which ties none of it, shows with more profiles than may share it."""
        counts = {one: self._sharers(one, owner) | {decision.profile.hex()} for one, owner in self.taken.items()}
        for edge in decision.edges:
            if edge.refused:
                for one, other in ((edge.a, edge.b), (edge.b, edge.a)):
                    # A user id names somebody, whatever it is shown with.
                    if one in self.owners and not one.startswith("user_id:"):
                        within = self._within(edge.rule)
                        counts[one] = self._sharers(one, self.owners[one], within) | {other}
        return [
            SetAside(one, 1 + len(with_whom), self.event.message_id, self.stamp.time)
            for one, with_whom in counts.items()
            if 1 + len(with_whom) > most
        ]

    def _apart(self, keeper: bytes | None, strongest: str, others: Iterable[str]) -> list[str]:
        """What a rule keeps apart from the strongest, and the profile does not tell of yet."""
        told = {} if keeper is None else self.known.profiles[keeper].edges
        ends = {other: edge_key(strongest, other) for other in others}
        return [other for other, pair in ends.items() if pair in self.rules.apart and pair not in told]

    def _sharers(self, identifier: str, owner: bytes, within: int | None = None) -> set[str]:
        """What was shown with an identifier, and is another's than its owner's."""
        return {
            edge.b if edge.a == identifier else edge.a
            for edge in self.known.profiles[owner].edges.values()
            if edge.refused
            and identifier in {edge.a, edge.b}
            and (within is None or edge.at > self.stamp.time - within * _SECOND)
        }

    def _within(self, rule: str) -> int | None:
        limit = self.rules.limits.get(rule.removeprefix(REFUSED))
        return None if limit is None else limit.within

    def _take(self, kept: Sequence[str]) -> None:
        """Take from its owner what is shown by somebody whose unique identifier is another one."""
        own: dict[str, str] = {}
        for one in kept:
            if _kind(one) in self.rules.unique:
                own.setdefault(_kind(one), one)
        if not own:
            return
        for one, owner in list(self.owners.items()):
            theirs = self.known.profiles[owner].identifiers
            if one in kept and any(_kind(other) in own and own[_kind(other)] not in theirs for other in theirs):
                self.taken[one] = self.owners.pop(one)

    def _new_id(self, kept: Sequence[str]) -> bytes:
        """An id that no profile has: of the strongest identifier, unless that made another one before."""
        names = (*kept, f"{kept[0]}\0{self.event.message_id}")
        ids = (profile_id(self.known.workspace, name) for name in names)
        return next(one for one in ids if one not in self.known.profiles)

    def _edge(self, one: str, other: str, rule: str) -> Edge:
        return Edge(*edge_key(one, other), self.event.message_id, rule, self.stamp.time)

    def _is_open(self, strongest: str, other: str) -> bool:
        """Whether the pair may tie its profiles, as far as was decided; a limit within a time is asked about again."""
        one, another = self.owners.get(strongest), self.owners.get(other)
        if one is None and another is None:
            return True
        pair = edge_key(strongest, other)
        if one is not None and self._is_against(one, pair):
            return False
        return another is None or another == one or not self._is_against(another, pair)

    def _is_against(self, owner: bytes, pair: tuple[str, str]) -> bool:
        """Whether a profile tells that nothing ties a pair."""
        edge = self.known.profiles[owner].edges.get(pair)
        return edge is not None and edge.refused and not self._is_over(edge)

    def _is_over(self, edge: Edge) -> bool:
        """Whether what was against a pair holds no longer."""
        if edge.rule == REFUSED + TAKEN:
            return self.stamp.time > edge.at  # else it was shown before it was taken
        if self.again and edge.rule not in FOR_GOOD:
            return True
        within = self._within(edge.rule)
        return within is not None and self.stamp.time >= edge.at + within * _SECOND

    def _new(self, keeper: bytes | None, strongest: str, others: Sequence[str]) -> Sequence[str]:
        """Those of the others that nothing ties to the strongest yet, which is the keeper's."""
        if keeper is None:
            return others
        owners, edges, new = self.owners, self.known.profiles[keeper].edges, []
        for other in others:
            edge = edges.get(edge_key(strongest, other)) if owners.get(other) == keeper else None
            if edge is None or edge.refused:
                new.append(other)
        return new

    def _found(self, shown: Iterable[str]) -> list[Profile]:
        """Whose these are, each once."""
        found: list[bytes] = []
        for one in shown:
            owner = self.owners.get(one)
            if owner is not None and owner not in found:
                found.append(owner)
        return [self.known.profiles[owner] for owner in found]

    def _against(self, kept: Sequence[str], found: Sequence[Profile]) -> str | None:
        """Name the rule that the profile of all these identifiers would break; None if it would break none."""
        rules, owners = self.rules, self.owners
        new = [one for one in kept if one not in owners]
        if len(found) < 2 and not new:  # noqa: PLR2004 - one profile that has them all
            return None
        merges, identifiers = len(found) - 1, len(new)
        for one in found:
            merges += one.merges
            identifiers += len(one.identifiers)
        if len(found) > 1 and merges > rules.merges:
            return MERGES
        if identifiers > rules.identifiers:
            return IDENTIFIERS
        if rules.isolated:
            all_of_them = [*new, *(one for profile in found for one in profile.identifiers)]
            if len({_kind(one) in OF_A_DEVICE for one in all_of_them}) > 1:
                return ISOLATION
        return self._over_a_limit(found, new) if rules.limits else None

    def _over_a_limit(self, found: Sequence[Profile], new: Sequence[str]) -> str | None:
        """Name the first kind of which these together would have more than they may."""
        rules, at = self.rules, self.stamp.time
        counts: dict[str, int] = {}
        for one in new:
            counts[_kind(one)] = counts.get(_kind(one), 0) + 1
        for profile in found:
            for identifier in profile.identifiers:
                kind = _kind(identifier)
                limit = rules.limits.get(kind)
                if limit is None:
                    continue
                if limit.within is None or profile.sightings[identifier].at > at - limit.within * _SECOND:
                    counts[kind] = counts.get(kind, 0) + 1
        return next((kind for kind, limit in rules.limits.items() if counts.get(kind, 0) > limit.values), None)


def _kind(identifier: str) -> str:
    return identifier.partition(":")[0]

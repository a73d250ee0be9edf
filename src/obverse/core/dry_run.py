"""Dry run: every decision of identity taken anew under other rules, and what would be otherwise than today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from heapq import nlargest
from typing import Final

import msgspec

from obverse.core import profiles, times
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions, define
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import REFUSED, Edge, IdentityRules, id_text
from obverse.core.identity.evidence import ACCEPTED
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.profiles.window import message_key
from obverse.core.unmerging import ONCE_TIED, NothingToTie, accept


class Pair(msgspec.Struct, frozen=True):
    """Two identifiers that an event showed together, and what came of it."""

    a: str
    b: str
    event: str
    """Message id."""
    at: str
    rule: str
    """What ties them (`seen_together`); of a pair that is refused, the rule that is against it."""


class Cluster(msgspec.Struct, frozen=True):
    """Identifiers of one person."""

    identifiers: int
    """How many."""
    shown: list[str]
    """Some of them, the strongest kind first."""
    profile: str | None = None
    """Today's id of the profile; None for one that only the dry run knows."""


class Merge(msgspec.Struct, frozen=True):
    """People of today who would be one."""

    people: int
    identifiers: int
    """Of the one that they would be."""
    of: list[Cluster]
    """Some of these people, those with the most identifiers first."""
    because: list[Pair]
    """
    Some of the pairs that tie them, the earliest first. One of the rule `shared` or `taken` tied them before one of the
    two identifiers left, by the event that is told.
    """


class Split(msgspec.Struct, frozen=True):
    """A person of today who would be several."""

    person: Cluster
    people: int
    parts: list[Cluster]
    """Some of the people, with what they would have of this one's identifiers; the largest first."""
    because: list[Pair]
    """Some of the pairs that the rules are against, the earliest first."""


class Side(msgspec.Struct, frozen=True):
    """Who there is, under one set of rules."""

    people: int
    identifiers: int
    largest: list[Cluster]
    refused: dict[str, int]
    """Pairs that tie nothing, by the rule that is against them."""
    set_aside: int
    """Identifiers that are nobody's, since too many share them."""


class Missing(msgspec.Struct, frozen=True):
    """Identifiers that only one side knows."""

    count: int
    shown: list[str]


class Comparison(msgspec.Struct, frozen=True):
    """What would be otherwise. Counts are whole; of everything else the largest are told."""

    before: Side
    after: Side
    merged: int
    """People of today who would become one with another."""
    merges: int
    """How many they would be then."""
    largest_merges: list[Merge]
    split: int
    """People of today who would become several."""
    largest_splits: list[Split]
    gone: Missing
    """Identifiers that somebody has today, and nobody would have."""
    come: Missing
    """Identifiers that nobody has today, and somebody would have."""
    vanished: int
    """People of today none of whose identifiers would be known."""

    @property
    def alike(self) -> bool:
        """Whether everybody would be who they are today."""
        return not (self.merged or self.split or self.vanished)


_SAID: Final = Stamp(0, "", "")


class DryRun:
    """
    Decides for each event, in the order given, whom it would belong to, as an engine does; and computes nothing else.

    It takes no attribute, no trait and no window of message ids: an event that comes twice decides nothing twice. Ids
    of profiles may be others than an engine's, since which of two survives depends on more; who is one person does not.
    """

    def __init__(
        self,
        workspace: str,
        rules: IdentityRules,
        definitions: Definitions,
        undone: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        """
        Take the rules to try, and the definitions in force: their tracking plans hold here too.

        `undone` are the pairs that somebody has taken back (`edge_key`): whatever the rules, these stay apart.
        """
        rules = replace(rules, apart=rules.apart | undone)
        held = define(sources=definitions.sources, tracking_plans=definitions.tracking_plans, identity=rules)
        self.people = People(workspace, held)
        self.events = 0
        """Those that belong to somebody."""
        self.rejected = 0
        """Those that a tracking plan blocks."""
        self.unidentified = 0
        """Those that show no identifier which identifies anybody."""

    def take(self, event: Event) -> None:
        """Decide whom the next event belongs to."""
        people = self.people
        admitted = people.admit(event)
        if isinstance(admitted, RejectedEvent):
            self.rejected += 1
            return
        shown = people.shown(admitted)
        if not shown:
            self.unidentified += 1
            return
        profile, folded = people.resolve(admitted, admitted.stamp, shown)
        key = message_key(admitted)
        if key not in profile.seen:
            profiles.show(profile, shown, admitted, admitted.stamp.time)
        if folded.decision is not None:
            # Where it comes again, nothing is decided anew; of an event that showed nothing new, nothing would be.
            profile.seen.note(key, 0)
        self.events += 1

    def accept(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Tie those of whom somebody has said that they are one: after all events, for nothing tells when it was."""
        for pair in sorted(pairs):
            with suppress(NothingToTie):  # what nobody has any more, or the rules keep apart
                decision = accept(self.people, pair, _SAID, ACCEPTED)
                self.people.carry_out(decision)

    def compare(
        self, owners: Mapping[str, bytes], refused: Mapping[str, int], set_aside: int = 0, *, show: int
    ) -> Comparison:
        """
        Hold it against who is who today.

        `owners` has the profile of each identifier, `refused` how many pairs each rule is against, `set_aside` how many
        identifiers too many share. Of each list at most `show` entries are told.
        """
        return _Comparing(self.people, owners, show).comparison(refused, set_aside)


class _Comparing:
    """One comparison, on its way."""

    def __init__(self, people: People, owners: Mapping[str, bytes], show: int) -> None:
        self.people = people
        self.owners = owners
        self.show = show
        self.merging: list[tuple[int, int, Profile]] = []
        """How many people of today, and how many identifiers."""
        self.parts: Counter[bytes] = Counter()
        """By today's person, how many they would be."""
        self.merged: set[bytes] = set()
        self._look()

    def _look(self) -> None:
        owners, parts = self.owners, self.parts
        for profile in self.people.profiles.values():
            found = {owner for one in profile.identifiers if (owner := owners.get(one)) is not None}
            parts.update(found)
            if len(found) > 1:
                self.merging.append((len(found), len(profile.identifiers), profile))
                self.merged |= found

    def comparison(self, refused: Mapping[str, int], set_aside: int) -> Comparison:
        sizes = Counter(self.owners.values())
        largest = nlargest(self.show, sizes, key=lambda one: (sizes[one], one))
        several = [one for one, parts in self.parts.items() if parts > 1]
        splits = nlargest(self.show, several, key=lambda one: (self.parts[one], sizes[one], one))
        merges = nlargest(self.show, self.merging, key=lambda one: (one[0], one[1], one[2].id))
        sought = {*largest, *splits, *(owner for *_, profile in merges for owner in self._people_of(profile))}
        members = self._members(sought)
        known = self.people.owners
        return Comparison(
            before=Side(
                people=len(sizes),
                identifiers=len(self.owners),
                largest=[self._cluster(members[one], one) for one in largest],
                refused=dict(refused),
                set_aside=set_aside,
            ),
            after=self._after(),
            merged=len(self.merged),
            merges=len(self.merging),
            largest_merges=[self._merge(profile, members) for *_, profile in merges],
            split=len(several),
            largest_splits=[self._split(one, members[one]) for one in splits],
            gone=self._missing(one for one in self.owners if one not in known),
            come=self._missing(one for one in known if one not in self.owners),
            vanished=len(sizes.keys() - self.parts.keys()),
        )

    def _after(self) -> Side:
        # Who lost the last identifier, since too many share it, is nobody who can be found.
        everybody = [one for one in self.people.profiles.values() if one.identifiers]
        edges = (edge for one in self.people.profiles.values() for edge in one.edges.values())
        pairs = {(edge.rule, edge.a, edge.b) for edge in edges if edge.refused}
        refused = Counter(rule.removeprefix(REFUSED) for rule, *_ in pairs)  # both sides tell of a pair
        largest = nlargest(self.show, everybody, key=lambda one: (len(one.identifiers), one.id))
        return Side(
            people=len(everybody),
            identifiers=len(self.people.owners),
            largest=[self._cluster(one.identifiers) for one in largest],
            refused=dict(refused),
            set_aside=len(self.people.set_aside),
        )

    def _merge(self, profile: Profile, members: Mapping[bytes, list[str]]) -> Merge:
        people = self._people_of(profile)
        ordered = nlargest(self.show, people, key=lambda one: (len(members[one]), one))
        # Who is not known today stands between two who are: what ties it to either is a cause too.
        ties = [
            edge
            for edge in profile.edges.values()
            if (not edge.refused or edge.rule in ONCE_TIED) and self._was(edge.a) != self._was(edge.b)
        ]
        return Merge(
            people=len(people),
            identifiers=len(profile.identifiers),
            of=[self._cluster(members[one], one) for one in ordered],
            because=self._pairs(ties),
        )

    def _was(self, identifier: str) -> bytes | str:
        return self.owners.get(identifier, identifier)

    def _people_of(self, profile: Profile) -> set[bytes]:
        return {self.owners[one] for one in profile.identifiers if one in self.owners}

    def _split(self, person: bytes, identifiers: list[str]) -> Split:
        mine, parts = set(identifiers), dict[bytes, list[str]]()
        for one in identifiers:
            owner = self.people.owners.get(one)
            if owner is not None:
                parts.setdefault(owner, []).append(one)
        against = {
            (edge.a, edge.b): edge
            for part in parts
            for edge in self.people.profiles[part].edges.values()
            if edge.refused and edge.a in mine and edge.b in mine
        }
        ordered = nlargest(self.show, parts.values(), key=lambda part: (len(part), part))
        return Split(
            person=self._cluster(identifiers, person),
            people=len(parts),
            parts=[self._cluster(part) for part in ordered],
            because=self._pairs(against.values()),
        )

    def _members(self, people: set[bytes]) -> dict[bytes, list[str]]:
        """The identifiers of some people of today."""
        members: dict[bytes, list[str]] = {one: [] for one in people}
        for identifier, owner in self.owners.items():
            if owner in members:
                members[owner].append(identifier)
        return members

    def _cluster(self, identifiers: Iterable[str], profile: bytes | None = None) -> Cluster:
        rules = self.people.definitions.identity
        ordered = sorted(identifiers, key=lambda one: (rules.rank(one), one))
        return Cluster(len(ordered), ordered[: self.show], None if profile is None else id_text(profile))

    def _pairs(self, edges: Iterable[Edge]) -> list[Pair]:
        ordered = sorted(edges, key=lambda edge: (edge.at, edge.event, edge.a, edge.b))
        return [
            Pair(one.a, one.b, one.event, times.to_text(one.at), one.rule.removeprefix(REFUSED))
            for one in ordered[: self.show]
        ]

    def _missing(self, identifiers: Iterator[str]) -> Missing:
        count, shown = 0, []
        for one in identifiers:
            count += 1
            if count <= self.show:
                shown.append(one)
        return Missing(count, shown)

"""People: the profiles of a workspace and who owns which identifier; one event after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from obverse.core import changes, groups, profiles
from obverse.core.audiences import Audience
from obverse.core.changes import Change
from obverse.core.conditions import IDENTIFIER
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent, to_json
from obverse.core.groups import Group
from obverse.core.identity import Decision, Edge, Part, SetAside, identifiers
from obverse.core.identity.evidence import SHARED, TAKEN
from obverse.core.profiles import Profile, Sighting
from obverse.core.profiles.window import message_key
from obverse.core.resolution import Resolution


@dataclass(slots=True)
class Folded:
    """What became of one event."""

    profile: Profile | None
    """Whom it belongs to; None if none of its identifiers identifies anybody."""
    repeated: bool = False
    """The profile had seen its message id before."""
    decision: Decision | None = None
    changes: Sequence[Change] = ()
    others: Sequence[Profile] = ()
    """Whom the decision moved beside."""
    group: str | None = None
    """The group that it told something; None if it was repeated."""


class People:
    """
    Profiles, and who owns which identifier.

    An engine gives it the events in the order of the log, and the profiles that an event needs (`adopt`) if it does
    not keep all of them here.
    """

    def __init__(self, workspace: str, definitions: Definitions) -> None:
        self.workspace = workspace
        self.definitions = definitions
        self.profiles: dict[bytes, Profile] = {}
        self.owners: dict[str, bytes] = {}
        self.absorbed: dict[bytes, bytes] = {}
        """Absorbed profile -> the one it became part of; late events find their way."""
        self.set_aside: dict[str, SetAside] = {}
        """Identifiers that are nobody's, since too many share them."""
        self._recalled: set[tuple[str, str]] = set()
        """Source and message id of events that were decided upon before a crash, and are folded again."""
        self.groups: dict[str, Group] = {}
        """By their ids, those that were told something here."""
        self.filled = 0
        """The version of the definitions of which whoever is new lacks no history."""
        self.lacking: dict[bytes, None] = {}
        """Who has become one with another, and lacks history of what is on its way for it."""
        self._resolution = Resolution(workspace, self.owners, self.profiles)

    def admit(self, event: Event) -> Event | RejectedEvent:
        """Hold an event against its source's tracking plan: how it goes on, or what it becomes instead."""
        held = self.definitions.held.get(event.source)
        return event if held is None else held.judge(event)

    def shown(self, event: Event, definitions: Definitions | None = None) -> tuple[str, ...]:
        """The identifiers that an event shows, the strongest first; by the present definitions, unless by others."""
        return self._not_set_aside(identifiers(event, (definitions or self.definitions).identity))

    def _not_set_aside(self, shown: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in shown if one not in self.set_aside) if self.set_aside else shown

    def adopt(self, profile: Profile) -> None:
        """Take in a profile that was kept elsewhere."""
        self.profiles[profile.id] = profile
        for identifier in profile.identifiers:
            self.owners[identifier] = profile.id

    def release(self, profile: Profile) -> None:
        """Let go of a profile that is kept elsewhere."""
        del self.profiles[profile.id]
        for identifier in profile.identifiers:
            # Else another one has it that came from where this one has lost it by now.
            if self.owners.get(identifier) == profile.id:
                del self.owners[identifier]

    def fold(self, event: Event, place: tuple[int, int], shown: tuple[str, ...] | None = None) -> Folded:
        """Find whom the event belongs to, deciding what it makes new, and fold it. `place` is (partition, offset)."""
        # What was shown may have been set aside since.
        shown = self.shown(event) if shown is None else self._not_set_aside(shown)
        if not shown:
            return Folded(None)
        stamp = event.stamp
        profile, folded = self.resolve(event, stamp, shown)
        done = profiles.apply(profile, event, stamp, place, self.definitions, shown)
        if done is None:
            folded.repeated = True
        else:
            folded.changes = [*folded.changes, *done] if folded.changes else done
            if event.group_id is not None:
                folded.group = self._tell_group(event, stamp)
        return folded

    def _tell_group(self, event: Event, stamp: Stamp) -> str | None:
        """Tell a group what a group call says of it; return its id, None if the event is of none."""
        one = groups.group_of(event, self.definitions.identity)
        if one is not None:
            groups.tell(self.groups.setdefault(one, Group(one)), event, stamp)
        return one

    def resolve(self, event: Event, stamp: Stamp, shown: tuple[str, ...]) -> tuple[Profile, Folded]:
        """
        Find whom an event belongs to: the part of the fold that identity needs, and nothing else of it.

        Decides what the event makes new and carries that out; `shown` is not empty. Returns the profile, and what
        became of the event so far.
        """
        decision = self.decide(event, stamp, shown)
        if decision is not None and self._has_come(event, shown[0]):
            decision = None  # what was left out the first time is left out again
        moved: Sequence[Change] = ()
        others: Sequence[Profile] = ()
        if decision is not None:
            moved = self.carry_out(decision)
            if decision.beside:
                others = [self.profiles[one] for one in decision.beside]
            if decision.set_aside:
                shown = self._not_set_aside(shown)
        profile = self.profiles[self.owners[shown[0]]]
        return profile, Folded(profile, decision=decision, changes=moved, others=others)

    def _has_come(self, event: Event, strongest: str) -> bool:
        """Whether an event was decided upon before: it comes again, or is folded again after a crash."""
        if (event.source, event.message_id) in self._recalled:
            return True
        profile = self.profiles.get(self.owners.get(strongest, b""))
        return profile is not None and message_key(event) in profile.seen

    def decide(self, event: Event, stamp: Stamp, shown: tuple[str, ...]) -> Decision | None:
        """What a new identifier, or a new pair, makes of the profiles; None if the event shows nothing new."""
        if len(shown) == 1 and shown[0] in self.owners:
            return None
        return self._resolution.decide(event, stamp, shown, self.definitions.identity)

    def decide_again(self, event: Event, stamp: Stamp, shown: tuple[str, ...]) -> Decision | None:
        """What it makes of the profiles now that limits had refused what it shows; None if all of that is tied."""
        shown = self._not_set_aside(shown)
        if len(shown) < 2:  # noqa: PLR2004 - a pair
            return None
        return self._resolution.decide(event, stamp, shown, self.definitions.identity, again=True)

    @staticmethod
    def unidentified(event: Event, partition: int, offset: int) -> RejectedEvent:
        """The rejected event of one that shows no identifier which identifies anybody."""
        return RejectedEvent(
            source=event.source,
            received_at=event.received_at,
            code="no_usable_identifier",
            reason=(
                "every identifier of this event is a value that many share, such as null or anonymous; send the "
                f"person's own id (log partition {partition}, offset {offset})"
            ),
            field="$.userId",
            message_id=event.message_id,
            type=event.type,
            body=to_json(event),
        )

    def recall(self, decision: Decision) -> list[Change]:
        """Carry out what was decided before a crash; when its event is folded again, nothing is decided anew."""
        self._recalled.add((decision.stamp.source, decision.event))
        return self.carry_out(decision)

    def carry_out(self, decision: Decision) -> list[Change]:
        """Do what was decided; doing it again changes nothing."""
        moved: list[Change] = []
        for aside in decision.set_aside:
            moved += self._set_aside(aside, decision)
        for part in decision.parts:
            self._part(decision, part)
        keeper = self._find(decision.profile)
        if keeper is None:
            keeper = Profile(decision.profile, first=decision.stamp, filled=self.filled)
            self.profiles[keeper.id] = keeper
        if decision.absorbed:
            moved += self._absorb_all(keeper, decision)
        kinds = self._gain(keeper, decision, moved) if decision.identifiers else ()
        if decision.again:
            self._decide_otherwise(keeper, decision)
        for edge in decision.edges:
            profiles.tie(keeper, (edge.a, edge.b), edge)
            if edge.refused:
                self._tell_others(edge, decision.received_at)
        keeper.changed_at = max(keeper.changed_at, decision.received_at)
        if kinds:
            moved += self._judge_identified(keeper, kinds, decision)
        return moved

    def _gain(self, keeper: Profile, decision: Decision, moved: list[Change]) -> list[str]:
        """Give a profile the identifiers of a decision; return the kinds of those that it had not."""
        owners, one, event, kinds = self.owners, keeper.id, decision.event, list[str]()
        at = decision.stamp.time
        first = Sighting(at, event)
        for identifier in decision.identifiers:
            if identifier not in keeper.identifiers:
                kind = identifier.partition(":")[0]
                kinds.append(kind)
                moved.append(Change(one, changes.IDENTIFIER, kind, event))
                if identifier in owners:
                    moved += self._take(identifier, keeper, decision)
            owners[identifier] = one
            profiles.sight(keeper, identifier, first, at)
        keeper.claims += decision.identifiers
        return kinds

    def _decide_otherwise(self, keeper: Profile, decision: Decision) -> None:
        """Note what was shown and had been refused; of what is left out, what nothing is against may come again."""
        for edge in decision.edges:
            if not edge.refused:
                # The event was folded when this was refused, and could not note that it showed it.
                for end in keeper.identifiers.keys() & {edge.a, edge.b}:
                    profiles.sight(keeper, end, Sighting(edge.at, edge.event), edge.at)
        for pair in decision.pairs_left_out:
            profiles.forget_refusal(keeper, pair)
            for end in pair:
                owner = self.profiles.get(self.owners.get(end, b""))
                if owner is not None:
                    profiles.forget_refusal(owner, pair)

    def _tell_others(self, edge: Edge, received_at: int) -> None:
        """Have both sides know that nothing ties them; and whose the identifier is counts who wanted it."""
        for end in (edge.a, edge.b):
            owner = self.profiles.get(self.owners.get(end, b""))
            if owner is not None:
                profiles.tie(owner, (edge.a, edge.b), edge)
                owner.changed_at = max(owner.changed_at, received_at)

    def _absorb_all(self, keeper: Profile, decision: Decision) -> list[Change]:
        moved: list[Change] = []
        for other in decision.absorbed:
            lost = self.profiles.pop(other, None) if other != keeper.id else None
            if lost is not None:
                # First what time alone has changed by then, on either side.
                moved += profiles.advance(lost, decision.received_at, self.definitions)
                moved += profiles.advance(keeper, decision.received_at, self.definitions)
                self._absorb(keeper, lost)
                moved += profiles.advance(keeper, keeper.now, self.definitions)
                moved.append(Change(keeper.id, changes.MERGED, lost.id.hex(), decision.event))
                moved.extend(self._judge(keeper, decision))
        return moved

    def _take(self, identifier: str, keeper: Profile, decision: Decision) -> list[Change]:
        """Have an identifier leave whoever had it, for one whose it is now."""
        owner = self.profiles.get(self.owners.get(identifier, b""))
        if owner is None or owner is keeper:
            return []
        lost = profiles.lose(owner, identifier, TAKEN, decision.event, decision.stamp.time)
        owner.changed_at = max(owner.changed_at, decision.received_at)
        for edge in lost:
            profiles.tie(keeper, (edge.a, edge.b), edge)
        return self._judge_identified(owner, [identifier.partition(":")[0]], decision)

    def _part(self, decision: Decision, part: Part) -> None:
        """Have a part of a profile go its own way, as far as identity is concerned; traits are told anew of events."""
        keeper = self._find(decision.profile)
        if keeper is None:
            return
        other = None if part.profile is None else Profile(part.profile, first=decision.stamp, filled=self.filled)
        gone = set(part.identifiers) & keeper.identifiers.keys()
        profiles.separate(keeper, other, gone)
        for identifier in gone:
            self.owners.pop(identifier, None)
        keeper.changed_at = max(keeper.changed_at, decision.received_at)
        if other is None:
            return
        forward(self.absorbed, keeper.id, part)
        other.merges = len(part.absorbed)
        keeper.merges = max(0, keeper.merges - other.merges - 1)
        other.changed_at = decision.received_at
        self.profiles[other.id] = other
        self.owners.update(dict.fromkeys(gone, other.id))
        for edge in decision.edges:
            profiles.tie(other, (edge.a, edge.b), edge)

    def _set_aside(self, aside: SetAside, decision: Decision) -> list[Change]:
        owner = self.profiles.get(self.owners.pop(aside.identifier, b""))
        self.set_aside[aside.identifier] = aside
        if owner is None:
            return []
        profiles.lose(owner, aside.identifier, SHARED, aside.event, aside.at)
        owner.changed_at = max(owner.changed_at, decision.received_at)
        return self._judge_identified(owner, [aside.identifier.partition(":")[0]], decision)

    def keeper(self, profile: bytes) -> bytes:
        """Return the profile that holds this one now: itself, unless it was absorbed."""
        return keeper_of(self.absorbed, profile)

    def _find(self, profile: bytes) -> Profile | None:
        return self.profiles.get(self.keeper(profile))

    def _absorb(self, keeper: Profile, lost: Profile) -> None:
        for identifier in lost.identifiers:
            self.owners[identifier] = keeper.id
        keeper.claims += tuple(lost.identifiers)
        self.absorbed[lost.id] = keeper.id
        profiles.merge(keeper, lost, self.definitions)
        if keeper.since is not None:
            self.lacking[keeper.id] = None
        keeper.merges += 1

    def _judge_identified(self, profile: Profile, kinds: Sequence[str], decision: Decision) -> list[Change]:
        """Have the audiences that look at identifiers of these kinds judged, of which the profile has more or fewer."""
        watchers = self.definitions.watchers
        watching = [one for kind in kinds for one in watchers.get((IDENTIFIER, kind), ())]
        return self._judge(profile, decision, dict.fromkeys(watching)) if watching else []

    def _judge(self, profile: Profile, decision: Decision, audiences: Iterable[Audience] | None = None) -> list[Change]:
        """Have all audiences judged, or these."""
        definitions, stamp = self.definitions, decision.stamp
        now = max(profile.now, decision.received_at)
        wanted = definitions.audiences if audiences is None else audiences
        judged = (profiles.judge(profile, audience, stamp, definitions, now) for audience in wanted)
        return [change for change in judged if change is not None]


def keeper_of(absorbed: Mapping[bytes, bytes], profile: bytes) -> bytes:
    """Return the profile that holds this one in the end, of those that each absorbed one is part of."""
    while profile in absorbed:
        profile = absorbed[profile]
    return profile


def forward(absorbed: dict[bytes, bytes], keeper: bytes, part: Part) -> None:
    """
    Have who was merged away lead to whom it is part of, once a part has gone from their keeper.

    Who had become part of what goes, and is no part of it, stays with the keeper.
    """
    if part.profile is not None:
        for one in [one for one in absorbed if keeper_of(absorbed, one) == keeper]:
            absorbed[one] = keeper
        absorbed.pop(part.profile, None)
        absorbed.update(dict.fromkeys(part.absorbed, part.profile))

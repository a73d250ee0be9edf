"""What a profile store in memory keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

import msgspec
from msgspec import structs

from obverse.core import profiles
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.identity import SetAside
from obverse.ports.backfills import Backfill
from obverse.ports.event_log import Stream
from obverse.ports.groups import GroupRow
from obverse.ports.identity_requests import IdentityRequest
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import (
    Checkpoint,
    KeptRejected,
    Marks,
    PackedEvents,
    ProfileRow,
    StoredEvent,
)


@dataclass(slots=True)
class Tables:
    """What is kept of one workspace."""

    rows: dict[bytes, ProfileRow] = field(default_factory=dict)
    members: dict[bytes, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    """The audiences that each profile is in."""
    merged_into: dict[bytes, bytes] = field(default_factory=dict)
    owners: dict[str, bytes] = field(default_factory=dict)
    events: dict[bytes, list[PastEvent]] = field(default_factory=dict)
    last_id: int = 0
    rejected: list[KeptRejected] = field(default_factory=list)
    """By their ids, which begin with 1."""
    decisions: list[KeptDecision] = field(default_factory=list)
    asked: dict[str, Event] = field(default_factory=dict)
    """By message id, in the order in which they were asked for."""
    appended: dict[str, int] = field(default_factory=dict)
    """When, those of them that were."""
    marks: dict[str, Marks] = field(default_factory=dict)
    set_aside: dict[str, SetAside] = field(default_factory=dict)
    requests: dict[str, IdentityRequest] = field(default_factory=dict)
    groups: dict[str, GroupRow] = field(default_factory=dict)
    backfill: Backfill | None = None

    def write(self, writer: str, checkpoint: Checkpoint) -> None:
        """Take all of it in."""
        keepers = checkpoint.keepers()
        for row in checkpoint.profiles:
            self.owners.update(dict.fromkeys(row.identifiers, row.id))
            if row.audiences is not None:
                self.members[row.id] = row.audiences
            if row.known is None:
                row = structs.replace(row, known=self.rows[row.id].known)  # noqa: PLW2901 - it is told as it is kept
            self.rows[row.id] = row
            self.merged_into.pop(row.id, None)
        self.merged_into.update({lost: self.keeper(keeper) for lost, keeper in keepers.items()})
        for lost in keepers:
            self.rows.pop(lost, None)
            self.members.pop(lost, None)
        for early, middle in self.merged_into.items():
            self.merged_into[early] = self.keeper(middle)
        for stored in chain.from_iterable(map(_unpacked, checkpoint.events)):
            self.last_id += 1
            told = PastEvent(self.last_id, stored.profile, stored.partition, stored.offset, stored.event)
            self.events.setdefault(stored.profile, []).append(told)
        self.groups.update((row.id, row) for row in checkpoint.groups)
        self.rejected += map(KeptRejected, count(len(self.rejected) + 1), checkpoint.rejected)
        self._part(checkpoint)
        for one in checkpoint.set_aside:
            self.owners.pop(one.identifier, None)
            self.set_aside[one.identifier] = one
        self.decisions += checkpoint.decisions
        self.marks[writer] = _joined(self.marks.get(writer, {}), checkpoint.marks)

    def _part(self, checkpoint: Checkpoint) -> None:
        moved = checkpoint.moved
        for identifier in checkpoint.nobodys:
            self.owners.pop(identifier, None)
        for request, outcome in checkpoint.settled.items():
            if request in self.requests:
                self.requests[request] = structs.replace(self.requests[request], outcome=outcome)
        for profile, events in list(self.events.items()):
            if any(one.id in moved for one in events):
                self.events[profile] = [one for one in events if one.id not in moved]
                for one in events:
                    if one.id in moved:
                        self.events.setdefault(moved[one.id], []).append(structs.replace(one, profile=moved[one.id]))

    def keeper(self, profile: bytes) -> bytes:
        """What holds this profile now: another one, if it was merged away."""
        return self.merged_into.get(profile, profile)


def _unpacked(events: PackedEvents) -> Sequence[StoredEvent]:
    if not isinstance(events, tuple):
        raise TypeError(f"another adapter has packed {type(events).__name__}")
    return events


def packed(row: ProfileRow) -> bytes:
    """Both parts of a profile in one."""
    return profiles.whole(b"" if row.known is None else row.known.packed, row.state)


def members_of(rows: Mapping[bytes, ProfileRow], group: str) -> list[bytes]:
    """Ids of the people who are members of a group, in their order."""
    return sorted(one for one, row in rows.items() if row.known is not None and group in row.known.groups)


def pairs_of(row: ProfileRow, kind: str) -> list[tuple[str, str, str]]:
    """The pairs of a profile that tie (`edges`), or that do not (`refused`), each after its rule."""
    if row.known is None:
        return []
    graph = msgspec.json.decode(row.known.identity_graph)
    return [(pair["rule"], pair["a"], pair["b"]) for pair in graph.get(kind, ())]


def _joined(known: Marks, new: Marks) -> dict[Stream, Mapping[int, int]]:
    return {stream: {**known.get(stream, {}), **new.get(stream, {})} for stream in {**known, **new}}

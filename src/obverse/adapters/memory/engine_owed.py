"""What the simplest engine owes to the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from obverse.core.events import RejectedEvent
from obverse.core.identity import Decision
from obverse.ports.identity_requests import Outcome
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import StoredEvent


@dataclass(slots=True)
class Owed:
    """What the store is to be told with the next checkpoint."""

    known: Mapping[int, int]
    """How far the store had it when this run began; until that is reached again, profiles are older than it."""
    reached: dict[int, int] = field(default_factory=dict)
    touched: dict[bytes, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    events: list[StoredEvent] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    moved: dict[int, bytes] = field(default_factory=dict)
    settled: dict[str, Outcome] = field(default_factory=dict)
    nobodys: list[str] = field(default_factory=list)
    decisions: list[KeptDecision] = field(default_factory=list)
    decided: int = 0
    """How far the stream of decisions is carried out."""

    def decide(self, first: int, decisions: Sequence[Decision]) -> None:
        """Note what was decided, beginning at this offset of the stream."""
        if decisions:
            self.decisions += map(KeptDecision, count(first), decisions)
            self.decided = first + len(decisions)

    @property
    def due(self) -> bool:
        """Whether profiles are no older than the store has them."""
        return all(self.reached.get(partition, 0) >= offset for partition, offset in self.known.items())

"""What a body came to: events, and rejected events with their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from obverse.core.events import Event, RejectedEvent
from obverse.core.wire import refusals


@dataclass(slots=True)
class Reading:
    """What a body came to."""

    events: list[Event] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """Index in the batch of each rejected event."""
    taken: list[int] = field(default_factory=list)
    """Index in the batch of each event."""

    def reject(self, judge: Callable[[Event], tuple[str, str, str] | None]) -> None:
        """Make rejected events of those whom the judge gives (code, field, reason) for."""
        events, taken = self.events, self.taken
        self.events, self.taken = [], []
        for event, place in zip(events, taken, strict=True):
            verdict = judge(event)
            if verdict is None:
                self.events.append(event)
                self.taken.append(place)
            else:
                self.rejected.append(refusals.rejected(event, *verdict))
                self.places.append(place)


def rejections(reading: Reading) -> Iterator[Mapping[str, Any]]:
    """What a sender who asks is told of its rejected events."""
    for place, refused in zip(reading.places, reading.rejected, strict=True):
        yield {
            "index": place,
            "messageId": refused.message_id,
            "code": refused.code,
            "field": refused.field,
            "reason": refused.reason,
        }

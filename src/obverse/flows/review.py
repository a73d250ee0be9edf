"""Review: what was rejected, looked through, and asked to be sent again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from obverse.core import times, wire
from obverse.flows.cursors import BadCursor
from obverse.flows.views import Time
from obverse.ports.profile_store import KeptRejected, ProfileStore, RejectedFilter, ReplayState

_LAST: Final = 2**63 - 1

State = Annotated[ReplayState, Meta(description="`open`; `waiting` to be sent again; `replayed`: it was accepted.")]


class RejectedEventView(msgspec.Struct, frozen=True):
    """An event that was refused on the way in."""

    id: str
    source: str
    received_at: Time
    code: Annotated[str, Meta(description="What was wrong, as a word.", examples=["missing_id"])]
    reason: Annotated[str, Meta(description="What was wrong, where, and what to do.")]
    field: Annotated[str | None, Meta(description="The offending field, as a JSON path.")]
    message_id: str | None
    type: str | None
    event: Annotated[
        str | None,
        Meta(description="A track's name, else the type of the call; as the two that follow, if it can be read."),
    ]
    user_id: str | None
    anonymous_id: str | None
    body: Annotated[str, Meta(description="What was sent, or its beginning.")]
    state: State
    settled_at: Annotated[str | None, Meta(description="When it was sent again last.")]
    correction: Annotated[str | None, Meta(description="What is sent again instead of the body.")]


class RejectedEventsView(msgspec.Struct, frozen=True):
    """Some rejected events, the latest first."""

    rejected: list[RejectedEventView]
    next: Annotated[str | None, Meta(description="Give it as `after` for the next page; null at the end.")]


class RejectedCountView(msgspec.Struct, frozen=True):
    """How many rejected events of one source have one code and one state."""

    source: str
    code: str
    state: State
    count: int


class RejectedCountsView(msgspec.Struct, frozen=True):
    """How many rejected events there are of each kind."""

    counts: list[RejectedCountView]


class Review:
    """Shows rejected events, and has them sent again by the collector."""

    def __init__(self, store: ProfileStore) -> None:
        self._store = store

    async def events(self, wanted: RejectedFilter, *, limit: int, after: str | None = None) -> RejectedEventsView:
        """
        Return rejected events, the latest first.

        Raises:
            BadCursor: `after` is none that an answer before has given.
            Unreachable, AccessRefused: the store cannot be read. So do all below.
        """
        before = None if after is None else number_of(after)
        found = await self._store.rejected(wanted, limit=limit + 1, before=before)
        shown = [_view(one) for one in found[:limit]]
        return RejectedEventsView(shown, shown[-1].id if len(found) > limit else None)

    async def counts(self) -> RejectedCountsView:
        """Return how many there are, by source, code and state."""
        counts = await self._store.rejected_counts()
        return RejectedCountsView([RejectedCountView(one.source, one.code, one.state, one.count) for one in counts])

    async def replay(self, wanted: RejectedFilter, correction: bytes | None = None) -> Sequence[int]:
        """Have those that are open sent again, with this instead of their body; return their numbers."""
        return await self._store.ask_replay(wanted, correction=correction)


def number_of(text: str) -> int:
    """
    The number of a rejected event that is named.

    Raises:
        BadCursor: it names none.
    """
    if not text.isdecimal() or not text.isascii() or len(text) > len(str(_LAST)):
        raise BadCursor(f"{text[:40]!r} names no rejected event: give an id that an answer before has given")
    return min(int(text), _LAST)


def numbers_of(texts: Collection[str]) -> list[int]:
    """
    The numbers of rejected events that are named.

    Raises:
        BadCursor: one names none.
    """
    return [number_of(text) for text in texts]


def _view(one: KeptRejected) -> RejectedEventView:
    event = one.event
    said = wire.legible(event)
    return RejectedEventView(
        id=str(one.id),
        source=event.source,
        received_at=times.to_text(event.received_at),
        code=event.code,
        reason=event.reason,
        field=event.field,
        message_id=event.message_id,
        type=event.type,
        event=said.event_type,
        user_id=said.user_id,
        anonymous_id=said.anonymous_id,
        body=event.body.decode("utf-8", "replace"),
        state=one.state,
        settled_at=None if one.settled_at is None else times.to_text(one.settled_at),
        correction=None if one.correction is None else one.correction.decode("utf-8", "replace"),
    )

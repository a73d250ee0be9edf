"""What the proofs of a `ProfileStore` ask of its adapter, and the steps that they take."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, TypeVar

import msgspec
import pytest

from obverse.core import profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import Decision, SetAside
from obverse.ports.event_log import Stream
from obverse.ports.profile_history import KeptDecision
from obverse.ports.profile_store import Checkpoint, Known, ProfileRow, ProfileStore, StoredEvent, StoreWriter

Result = TypeVar("Result")

PATIENCE: Final = 20.0
"""Seconds for anything that must happen."""

NOON: Final = 1_767_268_800_000_000
"""2026-01-01T12:00:00Z, in microseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A profile as it is kept, read without the adapter."""

    merged_into: bytes | None
    state: bytes | None
    known: bytes | None
    computed_traits: Any
    """Decoded JSON."""
    attributes: Any
    groups: Collection[str] = ()
    audiences: Mapping[str, tuple[int, int]]


class StoreQuestions:
    """What an adapter's tests answer. Whoever answers with a store closes it after the test."""

    @abstractmethod
    @pytest.fixture
    def store(self) -> ProfileStore:
        """An empty store, in the workspace `main`."""

    @abstractmethod
    async def reopen(self, store: ProfileStore) -> ProfileStore:
        """Return the same store as the next process finds it after the one that opened `store` was killed."""

    @abstractmethod
    async def neighbour(self, store: ProfileStore) -> ProfileStore:
        """Return another workspace that is kept in the same place."""

    @abstractmethod
    async def kept(self, store: ProfileStore, profile: bytes) -> Kept | None:
        """Return what is kept of a profile, without asking the store; None if there is nothing."""

    @abstractmethod
    async def kept_attributes(self, store: ProfileStore, group: str) -> Any:
        """Return the attributes of a group, decoded, without asking the store; None if there is no such group."""


def an_id(name: str) -> bytes:
    """Return the id of a profile of this name."""
    return blake2b(name.encode(), digest_size=16).digest()


def a_profile(name: str, *identifiers: str, state: bytes | None = None, **audiences: int) -> ProfileRow:
    """Return the row of a profile; of each audience the number of the entry is given."""
    return ProfileRow(
        id=an_id(name),
        state=f"state of {name}".encode() if state is None else state,
        known=Known(
            packed=f"known of {name}".encode(),
            identity_graph=b'{"identifiers": [], "edges": []}',
            attributes=msgspec.json.encode({"name": name}),
        ),
        identifiers=identifiers or (f"user_id:{name}",),
        computed_traits=b'{"orders": 3}',
        audiences={audience: (number, NOON + number) for audience, number in audiences.items()},
        changed_at=NOON,
    )


def an_event(message_id: str, **fields: Any) -> Event:
    """Return a track that was done at noon."""
    plain: dict[str, Any] = {
        "type": "track",
        "source": "shop",
        "name": "Order Completed",
        "received_at": NOON + 5,
        "timestamp": NOON,
        "user_id": "ada",
    }
    return Event(message_id=message_id, **{**plain, **fields})


def done_by(name: str, *events: Event, first: int = 0) -> list[StoredEvent]:
    """Return events of one profile at places of the log, one after another."""
    return [StoredEvent(an_id(name), 0, place, event) for place, event in enumerate(events, first)]


def a_rejected(number: int) -> RejectedEvent:
    """Return a rejected event that is told from others by its number."""
    return RejectedEvent(
        source="shop",
        received_at=NOON + number,
        code="missing_id",
        reason=f"$.batch[{number}].userId: every call needs a userId or an anonymousId",
        field=f"$.batch[{number}].userId",
        message_id=f"m{number}",
        type="track",
        body=b'{"type": "track", "event": "\\u0000 \xff"}',
    )


def up_to(offset: int) -> dict[Stream, dict[int, int]]:
    """Return marks that say how far the only partition of events was read."""
    return {Stream.EVENTS: {0: offset}}


async def soon(result: Awaitable[Result]) -> Result:
    """Wait for what must happen, but not for ever."""
    async with asyncio.timeout(PATIENCE):
        return await result


@asynccontextmanager
async def writing(store: ProfileStore, name: str = "unify") -> AsyncIterator[StoreWriter]:
    """Be the writer of a name for a while."""
    writer = await soon(store.open_writer(name))
    try:
        yield writer
    finally:
        await soon(writer.close())


async def write(store: ProfileStore, **checkpoint: Any) -> None:
    """Write one checkpoint with a writer of its own; `events` as they are stored."""
    async with writing(store) as writer:
        packed = [writer.pack(checkpoint.pop("events", ()))]
        await soon(writer.commit(Checkpoint(**{"marks": up_to(1), **checkpoint, "events": packed})))


async def found(store: ProfileStore, *identifiers: str, ids: Iterable[bytes] = ()) -> Collection[bytes]:
    """Return the states found, in order, so that what is found twice is seen."""
    return sorted(state_of(packed) for packed in await soon(store.load(identifiers, list(ids))))


def whole(name: str, state: bytes | None = None) -> bytes:
    """Return `a_profile` as the store gives it back."""
    return profiles.whole(f"known of {name}".encode(), f"state of {name}".encode() if state is None else state)


def state_of(packed: bytes) -> bytes:
    """Return the state of a packed profile."""
    return profiles.parts(packed)[1]


async def latest(store: ProfileStore, name: str, limit: int = 100, before: int | None = None) -> list[str]:
    """Return the message ids of the latest events of a profile."""
    return [event.message_id for _, event in await soon(store.events_of(an_id(name), limit=limit, before=before))]


def deciding(offset: int, *set_aside: SetAside) -> KeptDecision:
    """Return a decision, at this place of the log, that sets identifiers aside."""
    stamp = Stamp(NOON, "shop", f"m{offset}")
    decision = Decision(
        kind="refuse",
        profile=an_id("nobody"),
        absorbed=(),
        identifiers=(),
        edges=(),
        event=stamp.message_id,
        stamp=stamp,
        received_at=NOON,
        set_aside=set_aside,
    )
    return KeptDecision(offset, decision)

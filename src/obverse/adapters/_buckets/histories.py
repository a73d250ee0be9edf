"""What people's histories give for traits that are defined later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.history import PastEvent
from obverse.core.profiles import Profile
from obverse.ports.backfills import Backfills

_EVENTS: Final = 5000
"""Events that are read at once …"""
_PLACES: Final = 20_000
"""… and their places."""


async def told_of(
    store: Backfills, people: Collection[bytes], calls: Collection[tuple[str, str | None]]
) -> Mapping[bytes, Sequence[PastEvent]]:
    """
    Return all events of these people, of these types and names, by whose they are.

    Raises:
        Unreachable: the store cannot be read now.
    """
    told: dict[bytes, list[PastEvent]] = {}
    after = 0
    while people:
        page = await store.told_of(people, calls, limit=_EVENTS, after=after)
        for one in page:
            told.setdefault(one.profile, []).append(one)
        if len(page) < _EVENTS:
            break
        after = page[-1].id
    return told


async def from_store(
    store: Backfills, lacking: Collection[Profile], marks: Mapping[int, int], alone: Definitions
) -> Mapping[bytes, dict[int, Any]]:
    """
    Return what the history of each gives for the traits that are defined `alone`, packed (`profiles.pack_traits`).

    `marks` is as of `profiles.history_of`.

    Raises:
        Unreachable: the store cannot be read now.
    """
    told = await told_of(store, [one.id for one in lacking], calls_of(alone))

    def computed() -> dict[bytes, dict[int, Any]]:
        return {
            one.id: profiles.pack_traits(
                profiles.history_of(one, told.get(one.id, ()), marks, alone), alone.trait_of_key
            )
            for one in lacking
        }

    # Beside, so that whoever routes is not kept waiting.
    return await asyncio.to_thread(computed)


async def places_of(
    store: Backfills, lacking: Collection[Profile], marks: Mapping[int, int], alone: Definitions
) -> Mapping[bytes, Sequence[tuple[int, int, Event | None]]]:
    """
    Return what `Person.places` says of each, as far as `from_store` would look at it.

    Raises:
        Unreachable: the store cannot be read now.
    """
    bounds = {one.id: marks if one.since is None else one.since for one in lacking}
    places: dict[bytes, list[tuple[int, int, Event | None]]] = {}
    calls, after = calls_of(alone), 0
    while lacking:
        page = await store.places_of(bounds, calls, limit=_PLACES, after=after)
        for one in page:
            if one.offset < bounds[one.profile].get(one.partition, 0):
                places.setdefault(one.profile, []).append((one.partition, one.offset, one.event))
        if len(page) < _PLACES:
            break
        after = page[-1].id
    return places


def calls_of(alone: Definitions) -> Sequence[tuple[str, str | None]]:
    """The types and names of the events that these traits look at."""
    return list(dict.fromkeys((one.type, one.event) for one in alone.trait_of_key.values()))


class Wanted(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is to be computed elsewhere."""

    version: int
    """Of the definitions on their way."""
    documents: bytes
    """These, with those that are live (`core.documents.portable`): what the one has and the other has not is wanted."""
    kept: dict[int, int]
    """By partition, the first offset that the log still has."""


class Person(NamedTuple):
    """Somebody whose history is to be computed elsewhere."""

    profile: bytes
    merges: int
    """How many others are part of it …"""
    since: dict[int, int] | None
    """… and `Profile.since`: both are told with what comes of it."""
    places: Sequence[tuple[int, int, Event | None]]
    """
    Partition and offset of each event of the past, at least one, in the order of the fold; and the event, if it is not
    as the log has it.
    """


class Given(NamedTuple):
    """What the history of a person gives."""

    profile: bytes
    merges: int
    since: dict[int, int] | None
    history: dict[int, Any]
    """`profiles.pack_traits`."""


class NotComputed(Exception):
    """Nothing can be had from elsewhere; the message says why."""


class Elsewhere(Protocol):
    """Computes histories where there is more room than in a router, from the log and what is archived of it."""

    def compute(self, wanted: Wanted, people: AsyncIterator[Person]) -> AsyncGenerator[Sequence[Given]]:
        """
        Compute the histories of all these people, and yield what they give, some at a time.

        Who has an event that is found nowhere is left out, and told of in the log.

        Raises:
            NotComputed: it cannot be done.
            Unreachable: something that it needs cannot be reached now.
        """
        ...

"""What people's histories give for traits that are defined later."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.history import PastEvent
from obverse.core.profiles import Profile
from obverse.ports.backfills import Backfills

_EVENTS: Final = 5000
"""Events that are read at once."""


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
    calls = list(dict.fromkeys((one.type, one.event) for one in alone.trait_of_key.values()))
    told = await told_of(store, [one.id for one in lacking], calls)

    def computed() -> dict[bytes, dict[int, Any]]:
        return {
            one.id: profiles.pack_traits(
                profiles.history_of(one, told.get(one.id, ()), marks, alone), alone.trait_of_key
            )
            for one in lacking
        }

    # Beside, so that whoever routes is not kept waiting.
    return await asyncio.to_thread(computed)

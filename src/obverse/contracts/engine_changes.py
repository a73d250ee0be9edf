"""What every engine must prove of the stream of changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from obverse.contracts.engine_steps import PATIENCE, EngineQuestions, Placed, append, load, read
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core.changes import ENTERED, LEFT, MERGED, Change
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import WRITER, EngineParts
from obverse.ports.event_log import Stream


class ChangePromises(EngineQuestions):
    """Whoever acts on a change finds what it tells."""

    one_order: ClassVar[bool] = True
    """Whether what moved somebody is always told before they are merged away: profiles are folded one after another."""

    async def test_changes_tell_who_entered_and_left(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=9, people=12, events=300), batch=10)
        async with self.running(parts) as engine:
            await asyncio.wait_for(engine.drain(), PATIENCE)

        told = await read(parts, Stream.CHANGES, Change)
        members = members_of(told)
        assert members == members_in(await load(parts, placed))
        assert any(members.values())
        assert not self.one_order or not late(told)

    async def test_what_is_told_is_what_a_reduce_moves(self) -> None:
        """Each thing that moves on each profile, by the event that moved it last; and once, if nothing is killed."""
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=12, people=15, events=300), batch=23)
        await self.fold(parts)

        told = await read(parts, Stream.CHANGES, Change)
        assert last_of(told) == last_of(moved(placed))
        assert len(told) == len(set(told))

    async def test_killed_anywhere_it_tells_the_same(self) -> None:
        parts = await self.open_parts(1)
        stories = (tell(seed=130 + part, people=10, events=80) for part in range(4))
        placed = await self.fold_killed(parts, stories, seed=13)

        told = await read(parts, Stream.CHANGES, Change)
        assert of_whom(told) == of_whom(moved(placed))
        assert members_of(told) == members_in(await load(parts, placed))

    async def test_the_mark_of_changes_says_what_the_store_knows(self) -> None:
        parts = await self.open_parts(1)
        known = list[tuple[int, Mapping[bytes, Profile]]]()
        story = tell(seed=10, people=12, events=300)
        async with self.running(parts) as engine:
            for at in range(0, len(story), 30):
                await append(parts, story[at : at + 30], batch=10)
                known.append(await _known_by_mark(parts, story))
            await asyncio.wait_for(engine.drain(), PATIENCE)
            async with asyncio.timeout(PATIENCE):
                while (await _known_by_mark(parts, []))[0] < (await parts.log.bounds(Stream.CHANGES))[0][1]:
                    await parts.runtime.sleep(0.01)
        known.append(await _known_by_mark(parts, story))

        told = await read(parts, Stream.CHANGES, Change)
        assert known[-1][0] == len(told)
        for mark, people in known:
            for change in told[:mark]:
                one = people.get(change.profile)  # else merged away
                if change.kind in {ENTERED, LEFT} and one is not None:
                    assert one.audiences[change.name].number >= change.number


def moved(placed: Sequence[Placed]) -> list[Change]:
    """What a plain reduce over the log moves."""
    people = People("main", DEFINITIONS)
    return [change for partition, offset, event in placed for change in people.fold(event, (partition, offset)).changes]


def last_of(changes: Iterable[Change]) -> dict[tuple[bytes, str, str, int], str]:
    """The event that did it last, of each thing that moved."""
    return {(one.profile, one.kind, one.name, one.number): one.event for one in changes}


def of_whom(changes: Sequence[Change]) -> set[tuple[bytes, str, str]]:
    """
    What moved of whom, each by who keeps them at the end.

    After a crash a merge may come before what moved one of the two: then that is told of the keeper. Whoever was in an
    audience only before the merge, then never was.
    """
    keepers = {bytes.fromhex(one.name): one.profile for one in changes if one.kind == MERGED}
    found: set[tuple[bytes, str, str]] = set()
    for change in changes:
        profile = change.profile
        while profile in keepers:
            profile = keepers[profile]
        if change.kind not in {ENTERED, LEFT}:
            found.add((profile, change.kind, change.name))
    return found


def members_of(changes: Iterable[Change]) -> dict[str, set[bytes]]:
    """
    Who is in each audience, by what is told.

    Each profile for itself, and an absorbed one as it was at last: where profiles are folded side by side, what moved
    it may be told after the merge.
    """
    told: dict[bytes, list[Change]] = {}
    for change in changes:
        told.setdefault(change.profile, []).append(change)

    def standing(profile: bytes) -> set[str]:
        inside = set[str]()
        for change in told.get(profile, ()):
            if change.kind == ENTERED:
                inside.add(change.name)
            elif change.kind == LEFT:
                inside.discard(change.name)
            elif change.kind == MERGED:
                inside |= standing(bytes.fromhex(change.name))
        return inside

    absorbed = {bytes.fromhex(one.name) for some in told.values() for one in some if one.kind == MERGED}
    inside = {profile: standing(profile) for profile in told if profile not in absorbed}
    names = [audience.name for audience in DEFINITIONS.audiences]
    return {name: {profile for profile, its in inside.items() if name in its} for name in names}


def late(changes: Iterable[Change]) -> list[Change]:
    """Return what is told of somebody after they were merged away."""
    absorbed, found = set[bytes](), list[Change]()
    for change in changes:
        found += [change] if change.profile in absorbed else []
        if change.kind == MERGED:
            absorbed.add(bytes.fromhex(change.name))
    return found


def members_in(people: Sequence[Profile]) -> dict[str, set[bytes]]:
    """Who is in each audience, by their profiles."""
    names = [audience.name for audience in DEFINITIONS.audiences]
    return {name: {one.id for one in people if name in one.audiences and one.audiences[name].member} for name in names}


async def _known_by_mark(parts: EngineParts, story: Sequence[Event]) -> tuple[int, Mapping[bytes, Profile]]:
    """How far the store says that it has all that was told, and then whom it has."""
    mark = (await parts.store.overview()).marks.get(WRITER, {}).get(Stream.CHANGES, {}).get(0, 0)
    return mark, {one.id: one for one in await load(parts, [(0, 0, event) for event in story])}

"""What every engine must prove of the stream of changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from obverse.contracts.engine_steps import PATIENCE, EngineQuestions, append, load, read
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core.changes import ENTERED, LEFT, MERGED, Change
from obverse.core.events import Event
from obverse.core.profiles import Profile
from obverse.ports.engine import WRITER, EngineParts
from obverse.ports.event_log import Stream


class ChangePromises(EngineQuestions):
    """Whoever acts on a change finds what it tells."""

    async def test_changes_tell_who_entered_and_left(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, tell(seed=9, people=12, events=300), batch=10)
        async with self.running(parts) as engine:
            await asyncio.wait_for(engine.drain(), PATIENCE)

        members: dict[str, set[bytes]] = {audience.name: set() for audience in DEFINITIONS.audiences}
        for change in await read(parts, Stream.CHANGES, Change):
            if change.kind == ENTERED:
                members[change.name].add(change.profile)
            elif change.kind == LEFT:
                members[change.name].discard(change.profile)
            elif change.kind == MERGED:
                for group in members.values():
                    if bytes.fromhex(change.name) in group:
                        group.remove(bytes.fromhex(change.name))
                        group.add(change.profile)
        people = await load(parts, placed)
        assert members == {
            name: {one.id for one in people if name in one.audiences and one.audiences[name].member} for name in members
        }
        assert any(members.values())

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


async def _known_by_mark(parts: EngineParts, story: Sequence[Event]) -> tuple[int, Mapping[bytes, Profile]]:
    """How far the store says that it has all that was told, and then whom it has."""
    mark = (await parts.store.overview()).marks.get(WRITER, {}).get(Stream.CHANGES, {}).get(0, 0)
    return mark, {one.id: one for one in await load(parts, [(0, 0, event) for event in story])}

"""What every engine must prove of groups: what a plain reduce makes of them, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from obverse.contracts.engine_requests import ADA, BOB, LIMITLESS, TABLET, RequestPromises, asked
from obverse.contracts.engine_steps import append, expected, kept, load, reduced
from obverse.contracts.stories import START, tell
from obverse.core import groups
from obverse.core.events import Event
from obverse.core.groups import Group
from obverse.ports.engine import EngineParts


def call(number: int, group: str, traits: str = "{}", **ids: Any) -> Event:
    """Return a group call by whom these identifiers name."""
    at = START + number
    return Event(
        type="group",
        message_id=f"group-{number}",
        source="web",
        received_at=at,
        timestamp=at,
        group_id=group,
        properties=traits.encode(),
        **ids,
    )


def calls(seed: int, count: int) -> list[Event]:
    """Return group calls of twelve people about seven groups; some come again, some out of order."""
    dice = Random(seed)  # noqa: S311 - a story
    story = [
        call(
            number,
            f"g{dice.randint(0, 6)}",
            f'{{"plan": "p{dice.randint(0, 3)}", "seats": {number}}}',
            user_id=f"member-{dice.randint(0, 11)}",
        )
        for number in dice.sample(range(count), count)
    ]
    return [*story, *dice.sample(story, count // 4)]


async def groups_kept(parts: EngineParts) -> dict[str, Group]:
    """Return the groups that the store keeps, by their ids."""
    found = map(groups.unpack, await parts.store.groups("", limit=1000))
    return {one.id: one for one in found}


class GroupPromises(RequestPromises):
    """Groups and their members are in the store with the events that told of them."""

    async def test_it_gives_the_groups_and_members_of_reduce(self) -> None:
        parts = await self.open_parts(2)
        story = [*calls(seed=41, count=150), *tell(seed=41, people=8, events=100)]
        placed = await append(parts, Random(41).sample(story, len(story)), batch=9)  # noqa: S311 - a shuffle
        await self.fold(parts)

        assert await groups_kept(parts) == reduced(placed).groups
        assert await kept(parts, placed) == expected(placed)
        for group in reduced(placed).groups:
            theirs = {one.id for one in reduced(placed).profiles.values() if group in one.groups}
            assert await parts.store.group_size(group) == len(theirs)

    async def test_what_comes_after_a_restart_adds_to_what_was_kept(self) -> None:
        parts = await self.open_parts(1)
        placed = await append(parts, [call(0, "acme", '{"plan": "free", "name": "Acme"}', user_id="ada")], batch=1)
        await self.fold(parts)
        more = await append(parts, [call(5, "acme", '{"plan": "pro"}', user_id="bob")], batch=1)
        await self.fold(parts)

        (acme,) = (await groups_kept(parts)).values()
        assert acme == reduced([*placed, *more]).groups["acme"]
        assert [one.value for one in acme.attributes["plan"]] == [b'"pro"', b'"free"']
        assert acme.attributes["name"][0].value == b'"Acme"'
        assert await parts.store.group_size("acme") == 2

    async def test_killed_anywhere_groups_and_members_end_the_same(self) -> None:
        parts = await self.open_parts(2)
        story = calls(seed=42, count=300)
        placed = await self.fold_killed(parts, (story[at : at + 60] for at in range(0, 300, 60)), seed=42)

        assert await groups_kept(parts) == reduced(placed).groups
        assert await kept(parts, placed) == expected(placed)

    async def test_an_unmerge_parts_the_members_too(self) -> None:
        parts = replace(await self.open_parts(1), definitions=lambda: LIMITLESS)
        story = [
            call(0, "acme", user_id="ada", anonymous_id="phone"),
            call(1, "initech", user_id="bob"),
            call(2, "acme", user_id="ada", anonymous_id="tablet"),
            call(3, "initech", user_id="bob", anonymous_id="tablet"),
            call(4, "hooli", anonymous_id="tablet"),
        ]
        placed = await append(parts, story, batch=2)
        await self.fold(parts)
        (both,) = await load(parts, placed)
        assert both.groups.keys() == {"acme", "initech", "hooli"}
        await parts.store.ask_identity(asked(BOB, TABLET))
        async with self.running(parts):
            await self.settled(parts, "r1")

        of = {name: one.groups.keys() for one in await load(parts, placed) for name in one.identifiers}
        assert of[ADA] == {"acme", "hooli"}
        assert of[BOB] == {"initech"}
        assert [await parts.store.group_size(name) for name in ("acme", "initech", "hooli")] == [1, 1, 1]

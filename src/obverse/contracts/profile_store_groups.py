"""What every `ProfileStore` must prove of groups and their members."""

from __future__ import annotations

import json
from typing import Final

import pytest
from msgspec.structs import replace

from obverse.contracts.profile_store_steps import (
    NOON,
    StoreQuestions,
    a_profile,
    an_id,
    soon,
    up_to,
    whole,
    write,
    writing,
)
from obverse.ports.groups import GroupRow
from obverse.ports.profile_store import Checkpoint, ProfileRow, ProfileStore

ODD: Final = ("\U0010ffff", "\U0010ffff\U0010ffff", "İ ß", "👩‍👩‍👧", "a'b\\c/%_", "x" * 400, "\U0001d4b3" * 400)
"""Ids that have broken stores before."""


def a_group(name: str, state: bytes | None = None, attributes: bytes | None = None) -> GroupRow:
    """Return the row of a group of this name."""
    return GroupRow(
        id=name,
        packed=f"packed {name}".encode() if state is None else state,
        attributes=json.dumps({"name": name}).encode() if attributes is None else attributes,
        first_seen=NOON,
        changed_at=NOON + 1,
    )


def of_groups(name: str, *groups: str) -> ProfileRow:
    """Return the row of a profile that is a member of these."""
    row = a_profile(name)
    assert row.known is not None
    return replace(row, known=replace(row.known, groups=groups))


async def page(store: ProfileStore, prefix: str = "", limit: int = 100, after: str | None = None) -> list[str]:
    """Return the names of groups, as their packed states say them."""
    found = await soon(store.groups(prefix, limit=limit, after=after))
    return [packed.decode().removeprefix("packed ") for packed in found]


class GroupPromises(StoreQuestions):
    """Groups are written with a checkpoint, and found by id; members are found by group."""

    async def test_of_no_group_nothing_is_known(self, store: ProfileStore) -> None:
        assert list(await soon(store.load_groups([]))) == []
        assert list(await soon(store.load_groups(["acme"]))) == []
        assert await page(store) == []
        assert list(await soon(store.group_members("acme", limit=10))) == []
        assert await soon(store.group_size("acme")) == 0
        assert await self.kept_attributes(store, "acme") is None

    async def test_a_group_comes_back_as_it_was_given_last(self, store: ProfileStore) -> None:
        await write(store, groups=[a_group("acme", bytes(range(256))), a_group("initech")])
        assert list(await soon(store.load_groups(["acme", "acme", "hooli"]))) == [bytes(range(256))]
        assert await self.kept_attributes(store, "acme") == {"name": "acme"}

        await write(store, groups=[a_group("acme", b"early"), a_group("acme", b"late", b'{"plan": "pro"}')])
        assert sorted(await soon(store.load_groups(["acme", "initech"]))) == [b"late", b"packed initech"]
        assert await self.kept_attributes(store, "acme") == {"plan": "pro"}

    async def test_ids_of_any_text_come_back_in_the_order_of_their_code_points(self, store: ProfileStore) -> None:
        names = [*ODD, "a", "A", "b"]
        await write(store, groups=[a_group(name) for name in names], profiles=[of_groups("ada", *names)])

        assert await page(store) == sorted(names)
        for name in names:
            assert list(await soon(store.load_groups([name]))) == [f"packed {name}".encode()]
            assert await soon(store.group_size(name)) == 1

    async def test_groups_are_found_by_how_they_begin_a_page_at_a_time(self, store: ProfileStore) -> None:
        names = [f"a{number:02}" for number in range(12)]
        await write(store, groups=[a_group(name) for name in [*names, "b", "B", "\U0010ffff", "\ud7ff", "\ue000"]])

        assert await page(store, "a0") == names[:10]
        assert await page(store, "a", limit=5) == names[:5]
        assert await page(store, "a", limit=100, after=names[4]) == names[5:]
        assert await page(store, "b") == ["b"]
        assert await page(store, "\ud7ff") == ["\ud7ff"]
        assert await page(store, "\U0010ffff") == ["\U0010ffff"]
        assert await page(store, "", limit=2, after="b") == ["\ud7ff", "\ue000"]
        assert await page(store, "%") == []

    @pytest.mark.parametrize("attributes", [rb'{"nul": "a\u0000b"}', b'{"huge": 1e400000}'])
    async def test_what_cannot_be_kept_as_json_holds_nothing_up(self, store: ProfileStore, attributes: bytes) -> None:
        await write(store, groups=[a_group("acme", b"1", attributes), a_group("initech", b"2")])

        assert list(await soon(store.load_groups(["acme"]))) == [b"1"]
        assert (await self.kept_attributes(store, "acme")).keys() == json.loads(attributes).keys()
        assert await self.kept_attributes(store, "initech") == {"name": "initech"}

    async def test_members_come_in_the_order_of_their_ids(self, store: ProfileStore) -> None:
        names = sorted(("ada", "bea", "cleo", "dora"), key=an_id)
        await write(
            store,
            profiles=[*(of_groups(name, "acme", "x") for name in names), of_groups("eve", "ac"), a_profile("fay")],
        )

        assert list(await soon(store.group_members("acme", limit=10))) == [whole(name) for name in names]
        first = list(await soon(store.group_members("acme", limit=3)))
        assert first == [whole(name) for name in names[:3]]
        assert list(await soon(store.group_members("acme", limit=3, after=an_id(names[2])))) == [whole(names[3])]
        assert [await soon(store.group_size(group)) for group in ("acme", "x", "ac", "")] == [4, 4, 1, 0]

    async def test_who_is_a_member_stays_so_until_it_is_told_anew(self, store: ProfileStore) -> None:
        await write(store, profiles=[of_groups("ada", "acme")])
        await write(store, profiles=[replace(of_groups("ada"), known=None, state=b"moved")])
        assert list(await soon(store.group_members("acme", limit=10))) == [whole("ada", b"moved")]
        kept = await self.kept(store, an_id("ada"))
        assert kept is not None
        assert list(kept.groups) == ["acme"]

        await write(store, profiles=[of_groups("ada", "initech")])
        assert await soon(store.group_size("acme")) == 0
        assert await soon(store.group_size("initech")) == 1

    async def test_what_was_merged_away_is_a_member_of_nothing(self, store: ProfileStore) -> None:
        await write(store, profiles=[of_groups("ada", "acme"), of_groups("bea", "acme")])
        await write(store, profiles=[of_groups("ada", "acme")], absorbed={an_id("bea"): an_id("ada")})

        assert list(await soon(store.group_members("acme", limit=10))) == [whole("ada")]
        assert await soon(store.group_size("acme")) == 1
        kept = await self.kept(store, an_id("bea"))
        assert kept is not None
        assert list(kept.groups) == []

    async def test_groups_are_written_with_their_checkpoint_or_not_at_all(self, store: ProfileStore) -> None:
        async with writing(store) as writer:
            circle = {an_id("ada"): an_id("bea"), an_id("bea"): an_id("ada")}
            with pytest.raises(ValueError, match="absorbed by itself"):
                await soon(writer.commit(Checkpoint(marks=up_to(2), groups=[a_group("acme")], absorbed=circle)))
        assert await page(store) == []

    async def test_nobody_sees_the_groups_of_another_workspace(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await write(store, groups=[a_group("acme")], profiles=[of_groups("ada", "acme")])
        await write(other, groups=[a_group("acme", b"packed theirs"), a_group("hooli")])

        assert await page(other) == ["theirs", "hooli"]
        assert await page(store) == ["acme"]
        assert await soon(other.group_size("acme")) == 0
        assert list(await soon(other.group_members("acme", limit=10))) == []

    async def test_many_groups_at_once(self, store: ProfileStore) -> None:
        names = [f"g{number:04}" for number in range(1500)]
        await write(store, groups=[a_group(name) for name in reversed(names)])

        assert await page(store, limit=2000) == names
        assert len(await soon(store.load_groups(names))) == len(names)

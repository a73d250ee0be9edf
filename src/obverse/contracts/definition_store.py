"""What every `DefinitionStore` must prove: writes are whole, of two at once one loses, texts come back as they were."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Final

import pytest

from obverse.core.documents.written import Document, Key, document
from obverse.ports.definition_store import Author, Change, DefinitionSet, DefinitionStore, LostRace

NOON: Final = 4_102_488_000_000_000
"""2100-01-01 12:00, in microseconds since 1970."""
ADA: Final = Author(project="shop", name="ada", now=NOON)


def a_trait(name: str, **spec: Any) -> Document:
    """A trait's document; with what a text must survive in its description."""
    metadata = {"name": name, "description": 'π "quoted" \0 \\ 😀\nand a line'}
    return document(
        {"version": "obverse/v1", "kind": "trait", "metadata": metadata, "spec": {"aggregate": "count"} | spec}
    )


def a_plan(name: str, version: str) -> Document:
    """One version of a tracking plan."""
    spec = {"version": version, "calls": [{"event": "Order Completed"}]}
    return document({"version": "obverse/v1", "kind": "tracking_plan", "metadata": {"name": name}, "spec": spec})


class DefinitionStoreContract:
    """Subclass, say how the store is opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def store(self) -> DefinitionStore:
        """Nothing is defined. The suite does not close it."""

    async def test_nothing_was_written(self, store: DefinitionStore) -> None:
        assert await store.version() == 0
        assert await store.read() == DefinitionSet()
        assert await store.history(limit=5) == []

    async def test_what_is_written_comes_back_as_it_was_written(self, store: DefinitionStore) -> None:
        documents = [a_trait("b"), a_trait("a", event="Z", type="track"), a_plan("shop", "1.0"), a_plan("shop", "1.10")]

        assert await _write(store, 0, documents) == 1

        found = await store.read()
        assert (found.version, await store.version()) == (1, 1)
        assert [one.document for one in found.entries] == sorted(documents, key=lambda one: one.key)
        assert {(one.project, one.changed_by, one.changed_at, one.changed_in) for one in found.entries} == {
            ("shop", "ada", NOON, 1)
        }

    async def test_a_later_write_replaces_and_removes_and_leaves_the_rest(self, store: DefinitionStore) -> None:
        await _write(store, 0, [a_trait("a"), a_trait("b"), a_trait("c"), a_plan("shop", "1.0"), a_plan("shop", "2.0")])
        bob = Author(project="console", name="bob", now=NOON + 1)
        gone = [
            Key("trait", "c"),
            Key("tracking_plan", "shop", "1.0"),
            Key("audience", "a"),
            Key("trait", "shop", "2.0"),
        ]

        assert await store.write(1, [a_trait("b", event="B")], gone, author=bob) == 2

        found = {one.document.key: one for one in (await store.read()).entries}
        assert list(found) == [Key("tracking_plan", "shop", "2.0"), Key("trait", "a"), Key("trait", "b")]
        changed, left = found[Key("trait", "b")], found[Key("trait", "a")]
        assert changed.document == a_trait("b", event="B")
        assert (changed.project, changed.changed_by, changed.changed_at, changed.changed_in) == (
            "console",
            "bob",
            NOON + 1,
            2,
        )
        assert (left.project, left.changed_in) == ("shop", 1)

    @pytest.mark.parametrize("expected", [0, 2, 7, -1])
    async def test_a_write_upon_another_version_changes_nothing(self, store: DefinitionStore, expected: int) -> None:
        await _write(store, 0, [a_trait("a")])
        before = await store.read()

        with pytest.raises(LostRace, match="at version 1, and not at"):
            await _write(store, expected, [a_trait("a", event="X"), a_trait("b")], [Key("trait", "a")])

        assert await store.read() == before
        assert len(await store.history(limit=9)) == 1

    async def test_the_first_write_expects_nothing(self, store: DefinitionStore) -> None:
        with pytest.raises(LostRace, match="at version 0, and not at 3"):
            await _write(store, 3, [a_trait("a")])
        assert await store.version() == 0

    async def test_a_set_is_read_as_of_any_version(self, store: DefinitionStore) -> None:
        await _write(store, 0, [a_trait("a"), a_trait("b")])
        await _write(store, 1, [a_trait("a", event="X")], [Key("trait", "b")])
        await _write(store, 2, [a_trait("b", event="Y")])

        async def named(version: int | None) -> list[Document]:
            return [one.document for one in (await store.read(version)).entries]

        assert await named(0) == []
        assert await named(1) == [a_trait("a"), a_trait("b")]
        assert await named(2) == [a_trait("a", event="X")]
        assert await named(3) == await named(None) == [a_trait("a", event="X"), a_trait("b", event="Y")]
        assert (await store.read(2)).entries[0].changed_in == 2

    async def test_which_version_is_live_is_remembered(self, store: DefinitionStore) -> None:
        assert await store.live() is None
        await store.go_live(0)
        assert (await store.live(), await store.version()) == (0, 0)
        assert await _write(store, 0, [a_trait("a")]) == 1
        assert await store.live() == 0
        await store.go_live(1)
        assert (await store.live(), await store.version()) == (1, 1)

    @pytest.mark.parametrize("first", [True, False])
    async def test_of_those_who_write_at_once_one_wins(self, store: DefinitionStore, first: bool) -> None:  # noqa: FBT001 - a case
        if not first:
            await _write(store, 0, [a_trait("before")])
        version = await store.version()

        done = await asyncio.gather(
            *(_write(store, version, [a_trait(f"by_{number}")]) for number in range(5)), return_exceptions=True
        )

        assert sorted(type(one).__name__ for one in done) == ["LostRace"] * 4 + ["int"]
        (winner,) = (number for number, one in enumerate(done) if isinstance(one, int))
        found = await store.read()
        assert found.version == version + 1
        assert [one.document.key.name for one in found.entries if one.changed_in == found.version] == [f"by_{winner}"]

    async def test_every_change_is_told_the_latest_first(self, store: DefinitionStore) -> None:
        await _write(store, 0, [a_trait("a"), a_trait("b")])
        await _write(store, 1, [a_trait("a", event="X")], [Key("trait", "b"), Key("trait", "never")])
        await _write(store, 2, [], [])
        await _write(store, 3, [a_trait("c")])

        every = await store.history(limit=50)
        assert [(one.set_version, one.key.name, one.text is None) for one in every] == [
            (4, "c", False),
            (2, "a", False),
            (2, "b", True),
            (1, "a", False),
            (1, "b", False),
        ]
        assert every[1] == Change(
            set_version=2,
            key=Key("trait", "a"),
            text=a_trait("a", event="X").text,
            project="shop",
            changed_by="ada",
            changed_at=NOON,
        )
        assert await store.history(limit=2) == every[:3]
        assert await store.history(limit=2, before=2) == every[3:]
        assert await store.history(limit=2, before=1) == []
        assert await store.history(limit=9, of=Key("trait", "a")) == [every[1], every[3]]
        assert await store.history(limit=1, of=Key("trait", "a"), before=2) == [every[3]]
        assert await store.history(limit=9, of=Key("audience", "a")) == []


async def _write(
    store: DefinitionStore, expected: int, puts: Sequence[Document], removals: Collection[Key] = ()
) -> int:
    return await store.write(expected, puts, removals, author=ADA)

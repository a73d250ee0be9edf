"""What files say is compared with what is stored, and written; nothing is removed unasked, nor by who lost a race."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from definition_steps import (
    BUYERS,
    CHECKS,
    ORDERS,
    PLAN,
    SPENT,
    TRAIT,
    applied,
    applying,
    names_in,
    planned,
    put,
    signs,
)
from obverse.adapters.definition_files import read_files
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.runtime.system import open_runtime
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents.written import Difference, Document, Key
from obverse.flows.apply_definitions import ApplyDefinitions, BadScope, Scope
from obverse.ports.definition_store import Author, LostRace


@pytest.fixture
def store() -> MemoryDefinitionStore:
    return MemoryDefinitionStore()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path, traits__orders=ORDERS, traits__spent=SPENT, audiences__buyers=BUYERS)


async def test_what_is_new_is_added_and_then_there_is_nothing_to_do(store: MemoryDefinitionStore, folder: Path) -> None:
    plan = await planned(store, folder)
    assert signs(plan) == ["add audience buyers", "add trait orders", "add trait spent"]
    assert [one.place for one in plan.changes][:2] == [
        f"{folder}/audiences/buyers.yml:1",
        f"{folder}/traits/orders.yml:1",
    ]
    assert await names_in(store) == []

    await applied(store, folder)

    assert await names_in(store) == ["audience buyers", "trait orders", "trait spent"]
    again = await planned(store, folder)
    assert (signs(again), again.kept, again.set_version) == ([], [], 1)
    assert await applying(store).apply(again, "ada") == 1
    assert await store.version() == 1


async def test_what_changes_is_told_field_by_field(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder, by="ada")
    put(
        folder, audiences__buyers=BUYERS.replace("value: 1", "value: 2.5").replace("buyers}", "buyers, labels: {a: b}}")
    )

    (change,) = (await planned(store, folder)).changes

    assert (change.action, change.key.title) == ("change", "audience buyers")
    assert change.fields == [Difference("metadata.labels", None, {"a": "b"}), Difference("spec.where.value", 1, 2.5)]
    assert change.stored is not None
    assert (change.stored.changed_by, change.stored.project, change.drifted) == ("ada", "shop", False)


@pytest.mark.parametrize(
    "text",
    [
        f"# a remark\n\n{ORDERS}",
        ORDERS.replace(
            "{aggregate: count, event: Order Completed}", "\n  event: 'Order Completed'\n  aggregate: count"
        ),
    ],
)
async def test_words_and_order_of_a_file_are_no_change(store: MemoryDefinitionStore, tmp_path: Path, text: str) -> None:
    await applied(store, put(tmp_path, orders=ORDERS))
    assert signs(await planned(store, put(tmp_path, orders=text))) == []


@pytest.mark.parametrize(("before", "after"), [("1", "true"), ("1", "1.0"), ("'1'", "1"), ("[1]", "[1, 1]")])
async def test_what_json_tells_apart_is_a_change(
    store: MemoryDefinitionStore, folder: Path, before: str, after: str
) -> None:
    def buyers(value: str) -> str:
        return BUYERS.replace("gte", "ne").replace("value: 1", f"value: {value}")

    await applied(store, put(folder, audiences__buyers=buyers(before)))
    assert signs(await planned(store, put(folder, audiences__buyers=buyers(after)))) == ["change audience buyers"]


# Nothing is removed unasked.


async def test_a_folder_that_lacks_half_of_the_files_removes_nothing(
    store: MemoryDefinitionStore, folder: Path
) -> None:
    await applied(store, folder)
    (folder / "audiences/buyers.yml").unlink()
    (folder / "traits/spent.yml").unlink()

    plan = await applied(store, folder)

    assert signs(plan) == []
    assert [one.document.key.title for one in plan.kept] == ["audience buyers", "trait spent"]
    assert await names_in(store) == ["audience buyers", "trait orders", "trait spent"]


async def test_a_part_says_nothing_of_the_rest_and_may_refer_to_it(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder)
    vip = put(folder, audiences__vip=BUYERS.replace("buyers", "vip").replace("orders", "spent"))
    for path in (folder / "traits/orders.yml", folder / "traits/spent.yml", folder / "audiences/buyers.yml"):
        path.unlink()

    plan = await applied(store, folder, [vip / "audiences/vip.yml"])

    assert (signs(plan), plan.kept) == (["add audience vip"], [])
    assert await names_in(store) == ["audience buyers", "audience vip", "trait orders", "trait spent"]


async def test_a_part_cannot_be_pruned(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder)
    with pytest.raises(BadScope, match="only the whole project can be pruned"):
        await planned(store, folder, [folder / "traits"], prune=True)


async def test_a_prune_removes_what_carries_the_projects_label_alone(
    store: MemoryDefinitionStore, folder: Path, tmp_path: Path
) -> None:
    await applied(store, folder)
    other = put(tmp_path / "other", refunds=ORDERS.replace("orders", "refunds"))
    await applied(store, other, project="desk")
    for name in ("audiences/buyers.yml", "traits/spent.yml"):
        (folder / name).unlink()
    for path in other.iterdir():
        path.unlink()

    plan = await applied(store, folder, prune=True)

    assert signs(plan) == ["remove audience buyers", "remove trait spent"]
    assert await names_in(store) == ["trait orders", "trait refunds"]
    assert signs(await applied(store, folder, prune=True)) == []


async def test_what_others_still_look_at_is_not_pruned(store: MemoryDefinitionStore, tmp_path: Path) -> None:
    ours = put(tmp_path / "ours", orders=ORDERS, spent=SPENT)
    await applied(store, ours)
    theirs = put(tmp_path / "theirs", buyers=BUYERS)
    await applied(store, theirs, project="desk")
    (ours / "orders.yml").unlink()

    plan = await planned(store, ours, prune=True)

    assert (plan.changes, [one.file for one in plan.flaws]) == ((), ["the store (audience buyers)"])
    assert "trait 'orders', which is not defined (defined: spent)" in plan.flaws[0].what


async def test_what_a_file_with_a_flaw_names_is_not_pruned(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder)
    put(folder, audiences__buyers=BUYERS.replace("gte", "nope"), traits__spent="version: [")
    plan = await planned(store, folder, prune=True)
    assert (plan.changes, len(plan.flaws)) == ((), 2)
    with pytest.raises(BadDefinition, match="OB016"):
        await applying(store).apply(plan, "ada")
    assert await store.version() == 1


async def test_a_whole_project_does_not_look_at_what_it_no_longer_names(
    store: MemoryDefinitionStore, folder: Path
) -> None:
    await applied(store, folder)
    (folder / "traits/orders.yml").unlink()
    (flaw,) = (await planned(store, folder)).flaws
    assert (flaw.rule, flaw.file) == ("OB021", f"{folder}/audiences/buyers.yml")


# Others write too.


class Overtaken(MemoryDefinitionStore):
    """Somebody else writes between a plan and its application."""

    async def write(self, expected: int, puts: Sequence[Document], removals: Collection[Key], *, author: Author) -> int:
        await super().write(expected, [], [], author=author)
        return await super().write(expected, puts, removals, author=author)


async def test_who_loses_a_race_is_told_and_changes_nothing(folder: Path) -> None:
    store = Overtaken()
    with pytest.raises(LostRace, match="at version 1, and not at 0 any more"):
        await applied(store, folder)
    assert await names_in(store) == []


async def test_of_two_who_apply_at_once_one_is_told(store: MemoryDefinitionStore, folder: Path, tmp_path: Path) -> None:
    plans = [await planned(store, folder), await planned(store, put(tmp_path / "b", a=ORDERS))]
    done = await asyncio.gather(*(applying(store).apply(plan, "x") for plan in plans), return_exceptions=True)
    assert [type(one) for one in done] == [int, LostRace]
    assert signs(await applied(store, tmp_path / "b")) == []


async def test_a_change_of_somebody_else_is_told_as_drift(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder)
    changed = put(folder / "c", buyers=BUYERS.replace("value: 1", "value: 5"))
    await applied(store, changed, [changed / "buyers.yml"], project="console", by="bob")
    (changed / "buyers.yml").unlink()

    (change,) = (await planned(store, folder)).changes

    assert change.stored is not None
    assert (change.drifted, change.stored.changed_by, change.stored.project) == (True, "bob", "console")
    assert change.fields == [Difference("spec.where.value", 5, 1)]
    put(folder, audiences__buyers=BUYERS.replace("value: 1", "value: 7"))
    assert [one.drifted for one in (await planned(store, folder)).changes] == [False]


async def test_who_changed_what_is_in_the_history(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder, by="ada")
    (folder / "audiences/buyers.yml").unlink()
    await applied(store, folder, by="bob", prune=True)
    assert [(one.set_version, one.key.title, one.changed_by) for one in await store.history(limit=2)] == [
        (2, "audience buyers", "bob"),
        (1, "audience buyers", "ada"),
        (1, "trait orders", "ada"),
        (1, "trait spent", "ada"),
    ]


# Tracking plans.


async def test_a_version_is_changed_where_it_stands_only_if_what_was_good_stays_good(
    store: MemoryDefinitionStore, tmp_path: Path
) -> None:
    await applied(store, put(tmp_path, plan=PLAN))
    put(tmp_path, plan=PLAN.replace("[order_id]", "[order_id, total]"))

    (flaw,) = (await planned(store, tmp_path)).flaws

    assert (flaw.file, flaw.line, flaw.column, flaw.rule) == (f"{tmp_path}/plan.yml", 7, 5, "OB023")
    assert "tracking plan shop 1.0 was changed where it stands: track 'Order Completed'" in flaw.what
    put(tmp_path, plan=PLAN, next=PLAN.replace("1.0", "2.0").replace("[order_id]", "[order_id, total]"))
    assert signs(await applied(store, tmp_path)) == ["add tracking plan shop 2.0"]
    put(tmp_path, plan=PLAN.replace("[order_id]", "[]"))
    assert signs(await applied(store, tmp_path)) == ["change tracking plan shop 1.0"]


# Sizes.


async def test_an_audience_is_told_with_its_size_before_and_after(store: MemoryDefinitionStore, folder: Path) -> None:
    await applied(store, folder)
    vip = BUYERS.replace("buyers", "vip")
    put(folder, audiences__buyers=BUYERS.replace("value: 1", "value: 2"), audiences__vip=vip)
    asked: list[object] = []

    async def sizes(names: Collection[str]) -> Mapping[str, int]:
        return {name: 12 for name in names if name == "buyers"}

    async def preview(after: Definitions, names: Collection[str]) -> Mapping[str, int]:
        asked.append(sorted(one.name for one in after.audiences))
        return {name: 7 for name in names if name == "vip"}

    scope, files = Scope(project="shop", whole=True), read_files([folder], folder)

    async def told(**parts: object) -> list[tuple[int | None, int | None]]:
        flow = ApplyDefinitions(store, CHECKS, open_runtime(), **parts)  # type: ignore[arg-type]  # those of a case
        plan = await flow.plan(files.documents, scope)
        return [(one.size_before, one.size_after) for one in plan.changes]

    assert await told() == [(None, None), (0, None)]
    assert await told(sizes=sizes) == [(12, None), (0, None)]
    assert await told(sizes=sizes, preview=preview) == [(12, None), (0, 7)]
    assert asked == [["buyers", "vip"]]
    (folder / "audiences/buyers.yml").unlink()
    (folder / "audiences/vip.yml").unlink()
    scope, files = Scope(project="shop", whole=True, prune=True), read_files([folder], folder)
    assert await told(sizes=sizes, preview=preview) == [(12, 0)]


def test_keys_are_told_as_people_say_them() -> None:
    assert TRAIT.title == "trait orders"

"""What a plan says, for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from definition_steps import BUYERS, CHECKS, ORDERS, SPENT, applied, planned, put, signs
from obverse.adapters.definition_files import read_files
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.cli.plan_text import as_tree, in_words
from obverse.core.definitions import Definitions
from obverse.flows.apply_definitions import ApplyDefinitions, Scope


@pytest.fixture
async def store(tmp_path: Path) -> MemoryDefinitionStore:
    store = MemoryDefinitionStore()
    await applied(store, put(tmp_path, orders=ORDERS, buyers=BUYERS, spent=SPENT), by="ada")
    return store


async def test_each_change_is_told_with_its_fields_and_who_wrote_what_is_stored(
    store: MemoryDefinitionStore, tmp_path: Path
) -> None:
    put(tmp_path, buyers=BUYERS.replace("value: 1", f"value: '{'x' * 80}'"), more=ORDERS.replace("orders", "more"))
    (tmp_path / "spent.yml").unlink()

    lines = in_words(await planned(store, tmp_path, prune=True)).splitlines()

    since = lines[3].rpartition(" ")[2]
    assert lines == [
        f"~ audience buyers  ({tmp_path}/buyers.yml:1)",
        f'    spec.where.value: 1 -> "{"x" * 58}…',
        "    people: ? -> ?",
        f"    stored by ada of project shop, {since}",
        f"+ trait more  ({tmp_path}/more.yml:1)",
        "- trait spent",
        f"    stored by ada of project shop, {since}",
        "1 to add, 1 to change, 1 to remove.",
    ]


async def test_what_stays_though_no_file_names_it_is_told(store: MemoryDefinitionStore, tmp_path: Path) -> None:
    (tmp_path / "spent.yml").unlink()
    assert in_words(await planned(store, tmp_path)) == (
        "Nothing to do: what is in force says the same.\n"
        "Stored, and in none of the files (--prune removes it): trait spent\n"
    )


async def test_drift_is_told_with_what_to_do(store: MemoryDefinitionStore, tmp_path: Path) -> None:
    other = put(tmp_path / "other", buyers=BUYERS.replace("value: 1", "value: 3"))
    await applied(store, other, [other / "buyers.yml"], project="console", by="bob\x1b[31m")
    (other / "buyers.yml").unlink()
    plan = await planned(store, tmp_path)
    assert "drift: these files say what was stored before that; `obverse pull` takes the change over" in in_words(plan)
    assert "stored by bob\\x1b[31m of project console" in in_words(plan)
    assert as_tree(plan)["changes"][0]["drifted"] is True


async def test_the_size_of_what_looks_at_a_changed_trait_is_not_foretold(
    store: MemoryDefinitionStore, tmp_path: Path
) -> None:
    vip = BUYERS.replace("buyers", "vip").replace("gte, trait: orders, value: 1", "member, audience: buyers")
    rich = BUYERS.replace("buyers", "rich").replace("orders", "spent")
    put(tmp_path, orders=ORDERS.replace("Order", "Some order"), vip=vip, rich=rich)
    asked: list[str] = []

    async def preview(_: Definitions, names: Collection[str]) -> Mapping[str, int]:
        asked.extend(names)
        return dict.fromkeys(names, 4)

    files = read_files([tmp_path], tmp_path)
    flow = ApplyDefinitions(store, CHECKS, open_runtime(), preview=preview)
    plan = await flow.plan(files.documents, Scope(project="shop", whole=True))

    assert signs(plan) == ["add audience rich", "add audience vip", "change trait orders"]
    assert asked == ["rich"]
    assert [one.size_after for one in plan.changes] == [4, None, None]

"""What is in force is written into files: what says the same stays as it is, and what was applied comes back."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from definition_steps import BUYERS, ORDERS, PLAN, SPENT, applied, planned, put, signs
from obverse.adapters.definition_files import read_files
from obverse.adapters.definition_files.pulling import Pulled, UnwritableFile, pull
from obverse.adapters.definition_files.yaml_documents import read_documents
from obverse.adapters.definition_files.yaml_text import as_yaml
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.apps.cli import telling
from obverse.contracts.lattice import LAWS
from obverse.core.documents.written import Key, same


async def pulled(store: MemoryDefinitionStore, folder: Path) -> Pulled:
    documents = [one.document for one in (await store.read()).entries]
    return pull(folder, documents, read_files([folder], folder).documents)


def texts(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text(encoding="utf-8") for one in folder.rglob("*") if one.is_file()}


async def test_what_is_in_force_is_written_a_file_each(tmp_path: Path) -> None:
    store = MemoryDefinitionStore()
    newer = PLAN.replace("1.0", "1.1")
    await applied(store, put(tmp_path / "here", a=ORDERS, b=BUYERS, c=PLAN, d=newer))

    done = await pulled(store, tmp_path / "there")

    found = texts(tmp_path / "there")
    assert sorted(found) == [
        "audiences/buyers.yml",
        "tracking_plans/shop-1.0.yml",
        "tracking_plans/shop-1.1.yml",
        "traits/orders.yml",
    ]
    assert found["traits/orders.yml"] == (
        "version: obverse/v1\nkind: trait\nmetadata:\n  name: orders\nspec:\n"
        "  aggregate: count\n  event: Order Completed\n"
    )
    assert (len(done.written), done.same, done.only_here) == (4, 0, [])
    assert signs(await planned(store, tmp_path / "there")) == []
    again = await pulled(store, tmp_path / "there")
    assert (again.written, again.same) == ({}, 4)
    assert texts(tmp_path / "there") == found


async def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path: Path) -> None:
    store = MemoryDefinitionStore()
    await applied(store, put(tmp_path / "here", a=ORDERS))
    mine = put(tmp_path / "mine", z=ORDERS.replace("Completed", "Paid"))
    (mine / "a.yml").symlink_to("z.yml")

    await pulled(store, mine)

    assert (mine / "a.yml").is_symlink()
    assert signs(await planned(store, mine)) == []


async def test_what_cannot_be_written_is_told_with_its_file(tmp_path: Path) -> None:
    store = MemoryDefinitionStore()
    await applied(store, put(tmp_path / "here", a=ORDERS, b=BUYERS))
    (tmp_path / "own.yml").write_text(ORDERS, encoding="utf-8")

    with pytest.raises(UnwritableFile, match=r"own.yml/audiences/buyers.yml cannot be written \(Not a directory\)"):
        await pulled(store, tmp_path / "own.yml")

    assert "UnwritableFile" in telling._MENDABLE


async def test_a_file_that_says_the_same_stays_as_it_is_written(tmp_path: Path) -> None:
    store = MemoryDefinitionStore()
    await applied(store, put(tmp_path / "here", a=ORDERS, b=SPENT))
    mine = put(
        tmp_path / "mine", own=f"# mine\n{ORDERS}", rest=f"# theirs\n{SPENT.replace('revenue', 'total')}---\n{PLAN}"
    )
    before = texts(mine)

    done = await pulled(store, mine)

    assert done.written == {mine / "rest.yml": [Key("trait", "spent")]}
    assert (done.same, done.only_here) == (1, [Key("tracking_plan", "shop", "1.0")])
    assert texts(mine)["own.yml"] == before["own.yml"]
    assert [one.tree["metadata"]["name"] for one in read_documents((mine / "rest.yml").read_bytes(), "x")[0]] == [
        "spent",
        "shop",
    ]
    assert signs(await planned(store, mine, [mine / "rest.yml"])) == ["add tracking plan shop 1.0"]


async def test_a_new_file_takes_no_name_that_is_taken(tmp_path: Path) -> None:
    store = MemoryDefinitionStore()
    await applied(store, put(tmp_path / "here", a=ORDERS, b=ORDERS.replace("orders", "other")))
    mine = put(tmp_path / "mine", traits__orders=SPENT, traits__other="a: [")
    (mine / "traits/other.yml").write_text(SPENT.replace("spent", "more"), encoding="utf-8")

    await pulled(store, mine)

    assert {*texts(mine)} == {f"traits/{name}.yml" for name in ("orders", "orders-2", "other", "other-2")}


async def test_mjml_comes_back_with_its_lines(tmp_path: Path) -> None:
    store, folder = MemoryDefinitionStore(), tmp_path / "here"
    text = "<mj-section><mj-column><mj-text>é</mj-text></mj-column></mj-section>"
    mjml = f"<mjml>\n  <mj-body>\n    {text}\n  </mj-body>\n</mjml>\n"
    template = (
        "version: obverse/v1\nkind: template\nmetadata: {name: w}\nspec: {subject: S, from: a@b.c, mjml_file: w.mjml}"
    )
    put(folder, w=template)
    (folder / "w.mjml").write_text(mjml, encoding="utf-8")
    await applied(store, folder)

    await pulled(store, tmp_path / "there")

    assert "  mjml: |\n    <mjml>\n      <mj-body>\n" in texts(tmp_path / "there")["templates/w.yml"]
    assert signs(await planned(store, tmp_path / "there")) == []
    assert signs(await planned(store, folder)) == []


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**59), 10**59)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


@LAWS
@given(_json)
def test_whatever_json_says_is_read_back_from_yaml(tree: Any) -> None:
    documents, flaws = read_documents(as_yaml({"a": tree}).encode(), "a.yml")
    assert flaws == []
    assert same(documents[0].tree, {"a": tree})
    assert as_yaml(documents[0].tree) == as_yaml({"a": tree})


_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_about = st.fixed_dictionaries(
    {"name": _names}, optional={"description": _texts, "labels": st.dictionaries(_texts, _texts)}
)
_specs: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "trait": st.fixed_dictionaries({"aggregate": st.just("count")}, optional={"event": _texts}),
    "audience": st.fixed_dictionaries(
        {
            "where": st.fixed_dictionaries(
                {
                    "op": st.sampled_from(["eq", "ne"]),
                    "attribute": _texts.filter(bool),
                    "value": st.booleans() | _texts | st.integers(0, 9),
                }
            )
        }
    ),
    "template": st.fixed_dictionaries(
        {"subject": st.just("S"), "from": st.just("a@b.c"), "text": st.text("ab \n:#-", min_size=1)}
    ),
    "connection": st.fixed_dictionaries(
        {
            "crm": st.just("memory"),
            "fields": st.just({}),
            "settings": st.dictionaries(st.text("xyz"), st.integers(0, 9) | st.text("ab")),
        }
    ),
    "tracking_plan": st.fixed_dictionaries(
        {
            "version": st.builds("{}.{}".format, st.integers(0, 99), st.integers(0, 99)),
            "calls": st.just([{"event": "A", "schema": {"properties": {"x": {"type": "number"}}}}]),
        }
    ),
}


@st.composite
def _documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(st.lists(st.sampled_from(sorted(_specs)), max_size=6))
    drawn: list[dict[str, Any]] = [
        {"version": "obverse/v1", "kind": kind, "metadata": draw(_about), "spec": draw(_specs[kind])} for kind in kinds
    ]
    # On some file systems two names that differ in their case are one file.
    known = {(one["kind"], one["metadata"]["name"].lower(), one["spec"].get("version")): one for one in drawn}
    return list(known.values())


@LAWS
@given(_documents())
def test_what_was_applied_is_what_is_pulled(trees: list[dict[str, Any]]) -> None:
    async def run(folder: Path) -> None:
        store = MemoryDefinitionStore()
        here = put(folder / "here", all="---\n".join(map(as_yaml, trees)) or f"{ORDERS}")
        plan = await applied(store, here)
        assert len(plan.changes) == max(len(trees), 1)
        there = folder / "there"
        await pulled(store, there)
        assert signs(await planned(store, there, prune=True)) == []
        by_key = {
            (one.tree["kind"], one.tree["metadata"]["name"]): one.tree for one in read_files([there], there).documents
        }
        assert all(
            same(by_key[one["kind"], one["metadata"]["name"]], one) or one["kind"] == "tracking_plan" for one in trees
        )

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))

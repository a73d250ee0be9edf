"""The API writes definitions as `obverse apply` would, overwrites nothing unread, and tells flaws with their place."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import Answer, App, ask
from definition_steps import ORDERS, SPENT, applied, applying, put
from obverse.adapters.definition_files import read_files
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.core.documents.written import Document
from obverse.flows.apply_definitions import Plan, Scope
from obverse.ports.definition_store import Author, LostRace
from obverse.ports.outcomes import Unreachable
from reading import Shop

PATH = "/v1/definitions"
BIG = f"{PATH}/audience/big"
WHERE = {"op": "gte", "trait": "orders", "value": 2}
BODY = {"description": "Two or more.", "labels": {"team": "shop"}, "spec": {"where": WHERE}}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as shop:
        yield shop


@pytest.fixture
async def store(tmp_path: Path) -> MemoryDefinitionStore:
    store = MemoryDefinitionStore()
    await applied(store, put(tmp_path, a=ORDERS), by="ada")
    return store


@pytest.fixture
def api(shop: Shop, store: MemoryDefinitionStore) -> App:
    return build_api(shop, definition_store=store)


async def send(api: App, path: str, body: Any = None, *, method: str = "PUT", tag: str | None = None) -> Answer:
    headers = {} if tag is None else {"If-Match": tag}
    return await ask(api, path, method=method, body=b"" if body is None else json.dumps(body).encode(), headers=headers)


async def stored(store: MemoryDefinitionStore) -> dict[str, str]:
    return {one.document.key.title: one.project for one in (await store.read()).entries}


async def test_a_definition_is_written_changed_and_removed(api: App, store: MemoryDefinitionStore) -> None:
    made = await send(api, BIG, BODY)
    assert (made.status, made.json) == (200, {"kind": "audience", "name": "big", "changed_in": 2})
    tag = made.headers["etag"]
    assert (await ask(api, BIG)).headers["etag"] == tag == '"2"'
    assert await stored(store) == {"audience big": "console", "trait orders": "shop"}
    (entry, _) = (await store.read()).entries
    assert entry.changed_by == "api key"
    assert entry.document.tree == {
        "version": "obverse/v1",
        "kind": "audience",
        "metadata": {"name": "big", "description": "Two or more.", "labels": {"team": "shop"}},
        "spec": {"where": WHERE},
    }

    whole = (await ask(api, BIG, headers={"Accept": "application/json"})).json
    assert (whole["document"], whole["project"], whole["changed_in"]) == (entry.document.tree, "console", 2)
    assert whole["yaml"] == (await ask(api, BIG)).body.decode()

    # What it says already is not written again.
    assert (await send(api, BIG, BODY, tag=tag)).json["changed_in"] == 2
    changed = await send(api, BIG, {"spec": {"where": {**WHERE, "value": 3}}}, tag=tag)
    assert (changed.status, changed.headers["etag"]) == (200, '"3"')

    for stale in (await send(api, BIG, BODY, tag=tag), await send(api, BIG, method="DELETE", tag=tag)):
        assert is_problem(stale, 412, "changed-meanwhile")
        assert "was changed by api key since it was read" in stale.json["detail"]
    assert (await store.read()).version == 3
    removed = await send(api, BIG, method="DELETE", tag='"3"')
    assert (removed.status, removed.json) == (200, {"kind": "audience", "name": "big"})
    assert await stored(store) == {"trait orders": "shop"}
    assert is_problem(await send(api, BIG, method="DELETE", tag='"3"'), 404, "definition-not-found")
    gone = await send(api, BIG, BODY, tag='"3"')
    assert is_problem(gone, 412, "changed-meanwhile")
    assert "was removed since it was read" in gone.json["detail"]


async def test_what_exists_is_not_overwritten_unread(api: App, store: MemoryDefinitionStore) -> None:
    await send(api, BIG, BODY)
    assert is_problem(await send(api, BIG, {"spec": {"where": {**WHERE, "value": 9}}}), 409, "definition-exists")
    assert is_problem(await send(api, BIG, method="DELETE"), 400, "invalid-parameter")
    assert await stored(store) == {"audience big": "console", "trait orders": "shop"}


@pytest.mark.parametrize("tag", [None, '"1"', '"7"'])
async def test_what_files_say_is_left_to_them(api: App, store: MemoryDefinitionStore, tag: str | None) -> None:
    spec = {"spec": {"aggregate": "count"}}
    answers = [await send(api, f"{PATH}/trait/orders", spec, tag=tag)]
    answers += [await send(api, f"{PATH}/trait/orders", method="DELETE", tag=tag)] if tag else []
    for answer in answers:
        assert is_problem(answer, 409, "of-another-project")
        assert "project 'shop'" in answer.json["detail"]
        assert "obverse pull" in answer.json["remedy"]
    assert (await store.read()).version == 1


async def test_flaws_are_told_with_their_places_and_nothing_is_written(api: App, store: MemoryDefinitionStore) -> None:
    where = {"op": "and", "of": [{"op": "gte", "trait": "order", "value": 1}, {"op": "did", "evnt": "x"}]}
    flawed = await send(api, BIG, {"spec": {"where": where}})
    assert is_problem(flawed, 400, "flawed-definition")
    found = {one["where"]: one["message"] for one in flawed.json["errors"]}
    assert "did you mean event?" in found["spec.where.of[1].evnt"]
    unknown = {"op": "gte", "trait": "order", "value": 1}
    (error,) = (await send(api, BIG, {"spec": {"where": unknown}})).json["errors"]
    assert error["where"] == "spec.where.trait"
    assert "'order', which is not defined" in error["message"]

    for path, body, where_ in (
        (BIG, {"spec": {}}, "spec"),
        (BIG, {"spec": {"were": WHERE}}, "spec.were"),
        (f"{PATH}/audiense/big", BODY, "kind"),
        (f"{PATH}/audience/big one!", BODY, "metadata.name"),
    ):
        answer = await send(api, path.replace(" ", "%20"), body)
        assert is_problem(answer, 400, "flawed-definition")
        assert where_ in [one["where"] for one in answer.json["errors"]]
    # Another one cannot be used without it.
    await send(api, BIG, BODY)
    await send(
        api, f"{PATH}/audience/rest", {"spec": {"where": {"op": "not", "of": {"op": "member", "audience": "big"}}}}
    )
    left = await send(api, BIG, method="DELETE", tag='"2"')
    assert is_problem(left, 400, "flawed-definition")
    assert "audience rest" in left.json["detail"]
    assert (await store.read()).version == 3


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"spec": 5}', b'{"spec": {}, "name": "other"}', b'{"spec": {}, "description": 5}']
)
async def test_a_body_that_is_none_is_told(api: App, body: bytes) -> None:
    assert is_problem(await ask(api, BIG, method="PUT", body=body), 400, "invalid-body")


@pytest.mark.parametrize("tag", ["7", "*", '"x"', '"-1"', '"99999999999999999999"', 'W/"7"'])
async def test_a_tag_that_is_none_is_told(api: App, tag: str) -> None:
    assert is_problem(await send(api, BIG, BODY, tag=tag), 400, "invalid-parameter")
    assert is_problem(await send(api, BIG, method="DELETE", tag=tag), 400, "invalid-parameter")


class Busy(MemoryDefinitionStore):
    """Others are always a little faster, so often."""

    times = 0

    async def write(self, expected: int, *args: Any, **options: Any) -> int:
        """See `DefinitionStore.write`."""
        if self.times:
            self.times -= 1
            raise LostRace
        return await super().write(expected, *args, **options)


async def test_whoever_loses_a_race_tries_again_and_tells_in_the_end(shop: Shop, tmp_path: Path) -> None:
    store = Busy()
    await applied(store, put(tmp_path, a=ORDERS))
    api = build_api(shop, definition_store=store)
    store.times = 3
    assert (await send(api, BIG, BODY)).status == 200
    store.times = 1000
    for answer in (
        await send(api, f"{PATH}/audience/other", BODY),
        await send(api, BIG, method="DELETE", tag='"2"'),
    ):
        assert is_problem(answer, 409, "lost-race")
    assert await stored(store) == {"audience big": "console", "trait orders": "shop"}


async def test_a_version_of_a_tracking_plan_is_removed_alone(api: App, store: MemoryDefinitionStore) -> None:
    plan = f"{PATH}/tracking_plan/shop"
    for version in ("1.0", "1.1"):
        spec = {"version": version, "calls": [{"event": "Order Completed", "schema": {}}]}
        assert (await send(api, plan, {"spec": spec})).status == 200
    assert (await send(api, f"{plan}?version=1.0", method="DELETE", tag='"2"')).status == 200
    assert [*await stored(store)] == ["tracking plan shop 1.1", "trait orders"]


async def test_nobody_writes_without_the_key_and_a_store_that_is_away_is_told(shop: Shop) -> None:
    locked = build_api(shop, api_key="secret")
    assert (await send(locked, BIG, BODY)).status == 401
    assert (await send(locked, BIG, method="DELETE", tag='"1"')).status == 401

    class Away(MemoryDefinitionStore):
        async def read(self, version: int | None = None) -> Any:  # noqa: ARG002 - its signature
            raise Unreachable("PostgreSQL is away")

    away = build_api(shop, definition_store=Away())
    assert is_problem(await send(away, BIG, BODY), 503, "unavailable")


async def test_the_folder_is_compared_with_what_is_in_force(
    shop: Shop, store: MemoryDefinitionStore, tmp_path: Path
) -> None:
    nothing: dict[str, Any] = {"folder": None, "project": None, "flaws": [], "differences": [], "kept": []}
    assert (await ask(build_api(shop, definition_store=store), f"{PATH}/folder")).json == nothing

    async def compare() -> Plan:
        files = read_files([tmp_path], tmp_path)
        return await applying(store).plan(files.documents, Scope(project="shop", whole=True), files.flaws)

    api = build_api(shop, definition_store=store, definitions_folder=tmp_path, compare_folder=compare)
    same = (await ask(api, f"{PATH}/folder")).json
    assert same == {**nothing, "folder": str(tmp_path), "project": "shop"}

    # Somebody else changes it; and a file that is not applied yet.
    (entry,) = (await store.read()).entries
    other = Document(entry.document.key, entry.document.text.replace("Order Completed", "Order Placed"))
    await store.write(1, [other], [], author=Author(project="console", name="bob", now=1))
    put(tmp_path, b=SPENT)
    told = (await ask(api, f"{PATH}/folder")).json["differences"]
    assert [(one["name"], one["missing"], one["drifted"]) for one in told] == [
        ("orders", False, True),
        ("spent", True, False),
    ]
    assert told[0]["place"].endswith("a.yml:1")

    (tmp_path / "b.yml").write_text("kind: trait\n", encoding="utf-8")
    flaws = (await ask(api, f"{PATH}/folder")).json["flaws"]
    assert {one["rule"] for one in flaws} == {"OB013"}
    (tmp_path / "b.yml").rename(tmp_path / "b\udcff.yml")
    assert (await ask(api, f"{PATH}/folder")).json["flaws"][0]["file"].endswith(r"b\udcff.yml")
    put(tmp_path, **{"b\udcff": SPENT})
    assert (await ask(api, f"{PATH}/folder")).json["differences"][1]["place"].endswith(r"b\udcff.yml:1")
    (tmp_path / "b\udcff.yml").unlink()
    put(tmp_path, b=SPENT)
    (tmp_path / "a.yml").unlink()
    await applied(store, tmp_path)
    (tmp_path / "b.yml").unlink()
    assert (await ask(api, f"{PATH}/folder")).json["kept"] == ["trait spent"]

"""The API tells what is defined, who changed it, and each definition as YAML."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from definition_steps import BUYERS, ORDERS, PLAN, applied, names_in, planned, put, signs
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.ports.outcomes import Unreachable
from reading import Shop

PATH = "/v1/definitions"


class Away(MemoryDefinitionStore):
    """Does not answer."""

    async def read(self) -> None:  # type: ignore[override]  # it never returns
        """See `DefinitionStore.read`."""
        raise Unreachable("PostgreSQL is away")


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as shop:
        yield shop


@pytest.fixture
async def store(tmp_path: Path) -> MemoryDefinitionStore:
    store = MemoryDefinitionStore()
    described = ORDERS.replace("orders}", "orders, description: All orders.}")
    folder = put(tmp_path, a=described, b=BUYERS, c=PLAN, d=PLAN.replace("1.0", "1.10"), e=PLAN.replace("1.0", "1.9"))
    await applied(store, folder, by="ada")
    (folder / "b.yml").unlink()
    await applied(store, folder, by="bob", prune=True)
    return store


@pytest.fixture
def api(shop: Shop, store: MemoryDefinitionStore) -> App:
    return build_api(shop, definition_store=store)


async def test_what_is_defined_is_told_with_who_changed_it(api: App) -> None:
    told = (await ask(api, PATH)).json
    assert told["version"] == 2
    assert [(one["kind"], one["name"], one["version"]) for one in told["definitions"]] == [
        ("tracking_plan", "shop", "1.0"),
        ("tracking_plan", "shop", "1.10"),
        ("tracking_plan", "shop", "1.9"),
        ("trait", "orders", None),
    ]
    last = told["definitions"][-1]
    assert last.pop("changed_at").endswith("Z")
    assert last == {
        "kind": "trait",
        "name": "orders",
        "version": None,
        "description": "All orders.",
        "project": "shop",
        "changed_by": "ada",
        "changed_in": 1,
    }


async def test_what_was_changed_is_told_the_latest_first(api: App) -> None:
    first = (await ask(api, f"{PATH}/changes?limit=1")).json
    (change,) = first["changes"]
    assert (change["name"], change["removed"], change["changed_by"], first["next"]) == ("buyers", True, "bob", 2)
    rest = (await ask(api, f"{PATH}/changes?before=2")).json
    assert [one["removed"] for one in rest["changes"]] == [False] * 5
    assert rest["next"] is None


async def test_a_definition_is_told_as_yaml_that_can_be_applied(
    api: App, store: MemoryDefinitionStore, tmp_path: Path
) -> None:
    told = await ask(api, f"{PATH}/trait/orders")
    assert (told.status, told.headers["content-type"].partition(";")[0]) == (200, "application/yaml")
    again = put(tmp_path / "again", orders=told.body.decode())
    assert signs(await planned(store, again, [again])) == []
    assert "trait orders" in await names_in(store)
    assert "version: '1.10'" in (await ask(api, f"{PATH}/tracking_plan/shop")).body.decode()
    assert "version: '1.9'" in (await ask(api, f"{PATH}/tracking_plan/shop?version=1.9")).body.decode()


@pytest.mark.parametrize(
    "path", ["trait/buyers", "audience/orders", "nothing/orders", "tracking_plan/shop?version=3.0"]
)
async def test_what_is_not_defined_is_not_found(api: App, path: str) -> None:
    assert is_problem(await ask(api, f"{PATH}/{path}"), 404, "definition-not-found")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=0", "before=x", f"before={2**63}"])
async def test_a_parameter_that_cannot_be_is_refused(api: App, query: str) -> None:
    assert is_problem(await ask(api, f"{PATH}/changes?{query}"), 400, "invalid-parameter")


async def test_a_store_that_is_away_is_told(shop: Shop) -> None:
    away = build_api(shop, definition_store=Away())
    for path in (PATH, f"{PATH}/trait/orders"):
        assert is_problem(await ask(away, path), 503, "unavailable")

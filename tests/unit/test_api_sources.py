"""Routes of sources: what they may, and their keys, each told once."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from definition_steps import applied
from obverse.adapters.definition_files import read_folder
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.apps.sources import add_source
from obverse.contracts.definition_store import ADA
from obverse.ports.definition_store import DefinitionSet
from obverse.wiring import hash_key, trait_kinds
from reading import Shop
from spaces_steps import USERS

PATH = "/v1/sources"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as shop:
        yield shop


@pytest.fixture
def api(shop: Shop, tmp_path: Path) -> App:
    return build_api(shop, definitions=lambda: read_folder(tmp_path, trait_kinds()), definitions_folder=tmp_path)


async def post(api: App, path: str, body: Any = None) -> Any:
    return await ask(api, path, method="POST", body=b"" if body is None else json.dumps(body).encode())


async def test_a_source_is_made_and_its_key_told_once(api: App, tmp_path: Path) -> None:
    made = (await post(api, PATH, {"name": "web"})).json
    assert made["source"] == "web"
    assert made["write_key"].startswith("wk_")
    (found,) = read_folder(tmp_path, trait_kinds()).sources
    assert found.key_hashes == {hash_key(made["write_key"])}
    listed = await ask(api, PATH)
    assert made["write_key"] not in listed.body.decode()
    assert listed.json == {
        "sources": [
            {
                "name": "web",
                "description": "",
                "enabled": True,
                "keys": 1,
                "allowed_origins": [],
                "drops_bots": False,
                "limits": {},
                "requests_per_second": None,
                "tracking_plan": None,
                "mode": None,
            }
        ]
    }


async def test_a_key_is_replaced(api: App, tmp_path: Path) -> None:
    first = (await post(api, PATH, {"name": "web"})).json["write_key"]
    second = (await post(api, f"{PATH}/web/rotate")).json["write_key"]
    assert (await ask(api, PATH)).json["sources"][0]["keys"] == 2
    (found,) = read_folder(tmp_path, trait_kinds()).sources
    assert found.key_hashes == {hash_key(first), hash_key(second)}
    assert (await post(api, f"{PATH}/web/retire")).json == {"source": "web"}
    (found,) = read_folder(tmp_path, trait_kinds()).sources
    assert found.key_hashes == {hash_key(second)}


async def test_what_a_source_may_is_told(api: App, tmp_path: Path) -> None:
    spec = {
        "enabled": False,
        "allowed_origins": ["https://shop.example"],
        "limits": {"batch_items": 5, "requests_per_second": 9},
        "bots": "drop",
        "tracking_plan": {"name": "shop", "mode": "omit"},
    }
    head = {"version": "obverse/v1"}
    plan = {"version": "2.1", "calls": [{"event": "A"}]}
    (tmp_path / "a.yml").write_text(
        json.dumps({**head, "kind": "source", "metadata": {"name": "app", "description": "Phones"}, "spec": spec})
    )
    (tmp_path / "b.yml").write_text(
        json.dumps({**head, "kind": "tracking_plan", "metadata": {"name": "shop"}, "spec": plan})
    )
    (told,) = (await ask(api, PATH)).json["sources"]
    assert told == {
        "name": "app",
        "description": "Phones",
        "enabled": False,
        "keys": 0,
        "allowed_origins": ["https://shop.example"],
        "drops_bots": True,
        "limits": {"batch_items": 5},
        "requests_per_second": 9,
        "tracking_plan": "shop 2.1",
        "mode": "omit",
    }


@pytest.mark.parametrize(
    "body", [None, [], {}, {"name": 5}, {"name": "web", "key": "x"}, {"name": "../web"}, {"name": ""}]
)
async def test_a_source_that_cannot_be_made_is_refused(api: App, body: Any, tmp_path: Path) -> None:
    assert is_problem(await post(api, PATH, body), 400, "invalid-body")
    assert read_folder(tmp_path, trait_kinds()).sources == ()


async def test_a_source_that_is_there_is_left_alone(api: App, tmp_path: Path) -> None:
    await post(api, PATH, {"name": "web"})
    before = (tmp_path / "sources/web.yml").read_bytes()
    assert is_problem(await post(api, PATH, {"name": "web"}), 409, "source-exists")
    assert (tmp_path / "sources/web.yml").read_bytes() == before


@pytest.mark.parametrize("what", ["rotate", "retire"])
async def test_a_key_of_nobody(api: App, what: str) -> None:
    assert is_problem(await post(api, f"{PATH}/nobody/{what}"), 404, "source-not-found")
    assert is_problem(await post(api, f"{PATH}/..web/{what}"), 400, "invalid-parameter")
    assert (await post(api, f"{PATH}/..%2f..%2fweb/{what}")).status == 404


async def test_where_nothing_can_be_written(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blocked = build_api(shop, definitions_folder=tmp_path / "file")
    assert is_problem(await post(blocked, PATH, {"name": "web"}), 409, "definitions-unwritable")


# Where no folder is followed, the store is written.


@pytest.fixture
def store() -> MemoryDefinitionStore:
    return MemoryDefinitionStore()


@pytest.fixture
def stored(shop: Shop, store: MemoryDefinitionStore) -> App:
    return build_api(shop, definition_store=store, definitions_folder=None)


async def source(store: MemoryDefinitionStore) -> tuple[Any, str, str]:
    """Return the keys of the one source that is stored, its project, and who changed it."""
    (entry,) = (await store.read()).entries
    check_sources = entry.document.tree["spec"]
    return check_sources["write_key_hashes"], entry.project, entry.changed_by


async def test_a_source_is_made_and_its_key_replaced_in_the_store(stored: App, store: MemoryDefinitionStore) -> None:
    first = (await post(stored, PATH, {"name": "web"})).json["write_key"]
    assert await source(store) == ([hash_key(first)], "console", "api key")
    second = (await post(stored, f"{PATH}/web/rotate")).json["write_key"]
    assert (await source(store))[0] == [hash_key(first), hash_key(second)]
    third = (await post(stored, f"{PATH}/web/rotate")).json["write_key"]
    assert (await source(store))[0] == [hash_key(second), hash_key(third)]
    assert (await post(stored, f"{PATH}/web/retire")).status == 200
    assert (await source(store))[0] == [hash_key(third)]


async def test_a_source_of_a_project_stays_its_own(stored: App, store: MemoryDefinitionStore, tmp_path: Path) -> None:
    add_source(tmp_path, "web", "one")
    await applied(store, tmp_path, project="shop")
    await post(stored, f"{PATH}/web/rotate")
    hashes, project, _ = await source(store)
    assert (len(hashes), project) == (2, "shop")


async def test_what_cannot_be_changed_in_the_store_is_told(stored: App, store: MemoryDefinitionStore) -> None:
    assert is_problem(await post(stored, f"{PATH}/nobody/rotate"), 404, "source-not-found")
    assert is_problem(await post(stored, f"{PATH}/nobody/retire"), 404, "source-not-found")
    assert is_problem(await post(stored, PATH, {"name": "../web"}), 400, "invalid-body")
    await post(stored, PATH, {"name": "web"})
    assert is_problem(await post(stored, PATH, {"name": "web"}), 409, "source-exists")
    assert await store.version() == 1


class Busy(MemoryDefinitionStore):
    """Others write at the same time, as often as is said."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def read(self, version: int | None = None) -> DefinitionSet:
        """See `DefinitionStore.read`."""
        found = await super().read(version)
        if self.times:
            self.times -= 1
            await self.write(found.version, [], [], author=ADA)
        return found


async def test_who_loses_a_race_tries_again_and_in_the_end_is_told(shop: Shop) -> None:
    busy = Busy(3)
    assert (await post(build_api(shop, definition_store=busy), PATH, {"name": "web"})).status == 200
    assert len((await busy.read()).entries) == 1
    busier = build_api(shop, definition_store=Busy(100))
    assert is_problem(await post(busier, PATH, {"name": "web"}), 409, "lost-race")


async def test_a_write_key_is_good_for_sending_only(shop: Shop, tmp_path: Path) -> None:
    options = {"definitions": lambda: read_folder(tmp_path, trait_kinds()), "definitions_folder": tmp_path}
    key = (await post(build_api(shop, **options), PATH, {"name": "web"})).json["write_key"]
    (source,) = read_folder(tmp_path, trait_kinds()).sources
    api = build_api(shop, **options, api_key="secret")
    shop.faulty_store.asked.clear()
    basic = {one: "Basic " + b64encode(one.encode()).decode() for one in (key, f"{key}:", f":{key}", f"{key}:{key}")}

    for given in (f"Bearer {key}", f"Bearer {hash_key(key)}", *basic.values()):
        for path in (PATH, "/v1/overview", "/v1/profiles/user_id:ada", f"{USERS}/user_id:ada/traits"):
            assert (await ask(api, path, headers={"Authorization": given})).status == 401
        asked = await ask(api, f"{PATH}/web/rotate", method="POST", headers={"Authorization": given})
        assert asked.status == 401
    assert shop.faulty_store.asked == shop.faulty_cache.asked == []
    assert read_folder(tmp_path, trait_kinds()).sources == (source,)
    for path in ("/v1/overview", f"{USERS}/user_id:ada/traits"):
        assert (await ask(api, path, headers={"Authorization": "Bearer secret"})).status == 200

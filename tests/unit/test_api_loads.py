"""Routes of loads: a file uploaded, looked at, corrected; and what is answered when that cannot be."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import Answer, App, ask
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.loads.kept import KeptLoads
from reading import Shop

PATH = "/v1/loads"
PEOPLE = "customer id,E-mail,Price\n7,ada@example.com,12.50\n8,bob@example.com,1.00\n"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as shop:
        yield shop


@pytest.fixture
def api(shop: Shop, tmp_path: Path) -> App:
    loads = KeptLoads(tmp_path, open_runtime(), most_bytes=10_000, new_id=lambda: secrets.token_hex(8))
    return build_api(shop, loads=loads)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def send(api: App, method: str, path: str, body: Any = b"") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(api, path, method=method, body=data)


async def test_a_file_is_looked_at_when_it_comes_and_corrected(api: App) -> None:
    answer = await send(api, "POST", f"{PATH}?name=people.csv", PEOPLE.encode())
    assert answer.status == 201
    made = answer.json
    assert (made["name"], made["size"], made["state"], made["message"]) == ("people.csv", len(PEOPLE), "uploaded", "")
    assert made["mapping"]["columns"]["E-mail"] == {"to": "email", "type": "text"}
    assert (made["trial"]["taken"], made["trial"]["refused"], made["trial"]["whole"]) == (2, 0, True)
    assert '"Price": 12.50' in made["trial"]["events"][0]

    wanted = {"type": "track", "event": "Paid", "columns": {"customer id": {"to": "user_id"}, "Price": {"to": "total"}}}
    mapped = (await send(api, "PUT", f"{PATH}/{made['id']}/mapping", wanted)).json
    assert '"total": "12.50"' in mapped["trial"]["events"][0]
    assert mapped["mapping"]["event"] == "Paid"
    assert (await ask(api, f"{PATH}/{made['id']}")).json == mapped

    refused = await send(api, "PUT", f"{PATH}/{made['id']}/mapping", {"type": "track", "columns": {}})
    assert is_problem(refused, 400, "invalid-mapping")
    assert "no column says whose a row is" in refused.json["detail"]
    listed = (await ask(api, PATH)).json
    assert (listed["loads"], listed["most_bytes"]) == ([mapped], 10_000)

    assert (await send(api, "DELETE", f"{PATH}/{made['id']}")).json == {"id": made["id"]}
    assert is_problem(await ask(api, f"{PATH}/{made['id']}"), 404, "load-not-found")


async def test_what_cannot_be_guessed_is_shown_to_be_corrected(api: App) -> None:
    made = (await send(api, "POST", f"{PATH}?name=a.csv", b"a,b\n1,2\n")).json
    assert made["message"].startswith("no column says whose a row is")
    assert made["columns"] == ["a", "b"]
    assert made["mapping"]["columns"]["a"] == {"to": "a", "type": "text"}
    wanted = {"type": "identify", "columns": {"a": {"to": "user_id"}, "b": {"to": None}}}
    mapped = (await send(api, "PUT", f"{PATH}/{made['id']}/mapping", wanted)).json
    assert (mapped["message"], mapped["trial"]["taken"]) == ("", 1)


async def test_a_file_that_cannot_be_read_says_why_by_its_own_name(api: App, tmp_path: Path) -> None:
    made = (await send(api, "POST", f"{PATH}?name=..%2F..%2F%C3%A4%20b.csv", b"")).json
    assert made["name"] == "b.csv"
    assert made["message"] == "b.csv is empty: its first line should name the columns"
    assert made["mapping"] is None
    assert made["trial"] is None
    assert files(tmp_path) == {"loads"}


async def test_a_file_that_is_too_large_is_not_kept(api: App, tmp_path: Path) -> None:
    answer = await send(api, "POST", f"{PATH}?name=a.csv", b"x" * 10_001)
    assert is_problem(answer, 413, "too-large")
    assert files(tmp_path / "loads") == set()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", PATH, b"a,b\n", 400, "invalid-parameter"),
        ("GET", f"{PATH}/..%2Fx", b"", 404, "not-found"),
        ("GET", f"{PATH}/00000000000000aa", b"", 404, "load-not-found"),
        ("GET", f"{PATH}/00000000000000aa/rejects", b"", 404, "load-not-found"),
        ("PUT", f"{PATH}/00000000000000aa/mapping", {"type": "identify"}, 404, "load-not-found"),
        ("PUT", f"{PATH}/00000000000000aa/mapping", {"kind": 7}, 400, "invalid-body"),
        ("POST", f"{PATH}/00000000000000aa/try", b"", 404, "load-not-found"),
        ("POST", f"{PATH}/00000000000000aa/start", b"", 404, "load-not-found"),
        ("POST", f"{PATH}/00000000000000aa/stop", b"", 404, "load-not-found"),
        ("DELETE", f"{PATH}/00000000000000aa", b"", 404, "load-not-found"),
    ],
)
async def test_what_is_not_there_is_told(
    api: App, *, method: str, path: str, body: Any, status: int, kind: str
) -> None:
    answer = await send(api, method, path, body)
    assert is_problem(answer, status, kind), answer.body


async def test_where_no_files_are_kept_it_says_so(shop: Shop) -> None:
    assert is_problem(await ask(build_api(shop), PATH), 409, "no-loads")

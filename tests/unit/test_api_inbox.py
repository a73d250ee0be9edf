"""The mails of the local inbox, as the API passes them on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from inbox_steps import Box, box, letter
from reading import Shop
from serving import serving


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        yield opened


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Box]:
    async with box(tmp_path) as opened:
        yield opened


@pytest.fixture
async def api(shop: Shop, kept: Box) -> AsyncIterator[App]:
    async with serving(Starlette(routes=[Mount("/inbox", kept.inbox.app)])) as url:
        yield build_api(shop, inbox_url=f"{url}/inbox")


async def test_mails_are_listed_and_shown(api: App, kept: Box) -> None:
    for number in range(3):
        await kept.keep(letter(f"Body {number}", subject=f"Mail {number}", message_id=f"<{number}@example.com>"))

    first = (await ask(api, "/v1/inbox?limit=2")).json
    rest = (await ask(api, f"/v1/inbox?limit=2&after={first['next']}")).json
    found = (await ask(api, "/v1/inbox?q=body+1")).json

    assert [one["subject"] for one in (*first["messages"], *rest["messages"])] == ["Mail 2", "Mail 1", "Mail 0"]
    assert (rest["next"], first["total"], first["distinct"]) == (None, 3, 3)
    assert [one["subject"] for one in found["messages"]] == ["Mail 1"]
    mail = (await ask(api, f"/v1/inbox/{found['messages'][0]['id']}")).json
    assert (mail["from"], mail["to"], mail["text"].strip()) == ("shop@example.com", ["ada@example.com"], "Body 1")
    assert ["Subject", "Mail 1"] in mail["headers"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "after=x", "after=-1", f"q={'x' * 201}"])
async def test_what_cannot_be_asked(api: App, query: str) -> None:
    assert is_problem(await ask(api, f"/v1/inbox?{query}"), 400, "invalid-parameter")


@pytest.mark.parametrize(("id_", "status"), [("7", 404), ("0", 404), ("x", 400), ("%2e%2e", 400), ("1" * 19, 400)])
async def test_a_mail_that_is_not_there(api: App, id_: str, status: int) -> None:
    answer = await ask(api, f"/v1/inbox/{id_}")
    assert is_problem(answer, status, "mail-not-found" if status == 404 else "invalid-parameter")


async def test_where_mail_goes_elsewhere_there_is_no_inbox(shop: Shop) -> None:
    answer = await ask(build_api(shop), "/v1/inbox")

    assert is_problem(answer, 404, "no-inbox")


async def test_while_the_inbox_is_away(shop: Shop) -> None:
    async with serving(Starlette()) as url:
        gone = build_api(shop, inbox_url=f"{url}/inbox")
    answer = await ask(gone, "/v1/inbox")

    assert is_problem(answer, 503, "inbox-away")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "response",
    [Response("<html>"), Response('{"messages": 7}'), Response(status_code=302), Response(status_code=500)],
    ids=["no JSON", "another shape", "a redirect", "an error"],
)
async def test_what_is_no_inbox_of_ours(shop: Shop, response: Any) -> None:
    async def answer(_: Any) -> Any:
        return response

    async with serving(Starlette(routes=[Route("/inbox/messages", answer)])) as url:
        told = await ask(build_api(shop, inbox_url=f"{url}/inbox"), "/v1/inbox")

    assert is_problem(told, 503, "inbox-away")

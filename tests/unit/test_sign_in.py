"""People sign in by a link that works once, and a page of another site does nothing in their name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import Answer, App, ask
from obverse.adapters.memory.sessions import MemorySessions
from obverse.adapters.runtime.system import open_runtime
from obverse.flows.sign_in import LINK_LIFE, REMEMBERED, SESSION_LIFE, SignIn
from obverse.ports.outcomes import Unreachable
from obverse.ports.sessions import Session
from services import ShiftedRuntime

OURS = {"Sec-Fetch-Site": "same-origin"}


class SessionsOfATest(MemorySessions):
    """Sessions that cannot be read when they are told so."""

    away = False

    async def find(self, digest: bytes, *, now: int) -> Session | None:
        if self.away:
            raise Unreachable("away")
        return await super().find(digest, now=now)


@dataclass
class Desk:
    app: App
    sign_in: SignIn
    sessions: SessionsOfATest
    runtime: ShiftedRuntime

    async def enter(self, token: Any, **headers: str) -> Answer:
        body = msgspec.json.encode({"token": token})
        return await ask(self.app, "/v1/session", method="POST", headers=headers, body=body)

    async def cookie(self) -> str:
        answer = await self.enter(await self.sign_in.link())
        assert answer.status == 204
        return answer.headers["set-cookie"].partition(";")[0]

    async def get(self, cookie: str, path: str = "/v1/session") -> Answer:
        return await ask(self.app, path, headers={"Cookie": cookie})

    async def change(self, cookie: str, **headers: str) -> Answer:
        return await ask(self.app, "/v1/messages", method="POST", headers={"Cookie": cookie, **headers}, body=b"{}")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    runtime = ShiftedRuntime()
    sessions = SessionsOfATest()
    secrets = iter(f"secret-{number}" for number in range(100))
    sign_in = SignIn(sessions, runtime, lambda: next(secrets))
    async with open_api_shop() as shop:
        yield Desk(build_api(shop, sign_in=sign_in, api_key="key"), sign_in, sessions, runtime)


async def test_a_link_signs_in_once(desk: Desk) -> None:
    token = await desk.sign_in.link()

    first, second = await desk.enter(token), await desk.enter(token)

    assert first.status == 204
    attributes = first.headers["set-cookie"].lower()
    assert all(one in attributes for one in ("httponly", "samesite=strict", "path=/"))
    assert "secure" not in attributes, "it came by http, on this machine"
    assert is_problem(second, 401, "link-unknown")
    assert (await desk.get(first.headers["set-cookie"].partition(";")[0])).json["name"] == "administrator"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"token": 7}', b'{"token": "x", "more": 1}', b'{"token": "%s"}' % (b"x" * 300)]
)
async def test_a_body_that_is_no_link_is_refused(desk: Desk, body: bytes) -> None:
    assert is_problem(await ask(desk.app, "/v1/session", method="POST", body=body), 400, "invalid-body")


async def test_links_and_sessions_have_their_time(desk: Desk) -> None:
    late, used = await desk.sign_in.link(), await desk.sign_in.link()
    answer = await desk.enter(used)
    cookie = answer.headers["set-cookie"].partition(";")[0]

    desk.runtime.shift = LINK_LIFE / 1_000_000 + 1
    assert is_problem(await desk.enter(late), 401, "link-unknown")
    assert (await desk.get(cookie)).status == 200

    desk.runtime.shift = SESSION_LIFE / 1_000_000 + 1
    assert is_problem(await desk.get(cookie), 401, "unauthorized")


async def test_whoever_is_signed_in_reads_everything(desk: Desk) -> None:
    cookie = await desk.cookie()

    assert (await desk.get(cookie, "/v1/overview")).status == 200
    assert is_problem(await desk.get("obverse_session=made-up", "/v1/overview"), 401, "unauthorized")
    assert is_problem(await desk.get("other=1", "/v1/overview"), 401, "unauthorized")


async def test_signing_out_ends_the_session(desk: Desk) -> None:
    cookie = await desk.cookie()
    assert (await desk.get(cookie)).status == 200

    answer = await ask(desk.app, "/v1/session", method="DELETE", headers={"Cookie": cookie, **OURS})

    assert answer.status == 204
    assert is_problem(await desk.get(cookie), 401, "unauthorized")


async def test_another_site_changes_nothing_in_somebodys_name(desk: Desk) -> None:
    cookie = await desk.cookie()

    for theirs in (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        assert is_problem(await desk.change(cookie, **theirs), 403, "cross-site")
    for ours in (OURS, {"Sec-Fetch-Site": "none"}, {"Origin": "http://obverse.example", "Host": "obverse.example"}):
        assert is_problem(await desk.change(cookie, **ours), 400, "invalid-body")
    theirs = {"Sec-Fetch-Site": "cross-site"}
    assert is_problem(await desk.enter(await desk.sign_in.link(), **theirs), 403, "cross-site")


async def test_the_key_needs_no_page(desk: Desk) -> None:
    answer = await ask(
        desk.app, "/v1/messages", method="POST", headers={"Authorization": "Bearer key"}, body=b"{}"
    )  # fmt: skip

    assert is_problem(answer, 400, "invalid-body")


async def test_pages_are_shown_to_everybody(desk: Desk) -> None:
    for path in ("/", "/profiles", "/sign-in", "/assets/none.js"):
        assert (await ask(desk.app, path)).status in {200, 404, 503}
    assert (await ask(desk.app, "/profiles", method="POST")).status in {401, 404, 405}


async def test_a_session_that_was_found_is_not_looked_for_at_once(desk: Desk) -> None:
    cookie = await desk.cookie()
    assert (await desk.get(cookie)).status == 200

    desk.sessions.away = True
    assert (await desk.get(cookie)).status == 200
    desk.runtime.shift = REMEMBERED / 1_000_000 + 1
    assert is_problem(await desk.get(cookie), 503, "unavailable")


async def test_the_first_link_is_made_until_somebody_has_signed_in() -> None:
    secrets = iter(["one", "two", "three", "four"])
    sign_in = SignIn(MemorySessions(), open_runtime(), lambda: next(secrets))

    assert await sign_in.first_link() == "one"
    assert await sign_in.first_link() == "two"
    assert await sign_in.enter("two") is not None
    assert await sign_in.first_link() is None

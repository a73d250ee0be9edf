"""The API of identity: what is shared by too many, and edges that are taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.adapters.runtime.system import open_runtime
from obverse.flows.ask_identity import AskMerges
from obverse.ports.identity_requests import Outcome
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import Checkpoint
from reading import Shop

ADA, PHONE, MAIL = "user_id:ada", "anonymous_id:a-1", "email:ada@example.com"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def post(api: App, body: Any) -> Any:
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return await ask(api, "/v1/identity/unmerge", method="POST", body=sent)


async def test_an_edge_is_asked_to_be_taken_back_and_what_became_of_it_is_told(api: App, shop: Shop) -> None:
    answer = await post(api, {"one": PHONE, "other": "email:Ada@Example.com", "why": "a shared tablet"})
    assert answer.status == 404  # the user id ties both; nothing ties them to each other
    answer = await post(api, {"one": PHONE, "other": ADA, "why": "a shared tablet"})

    assert answer.status == 202
    told = answer.json
    assert (told["one"], told["other"], told["kind"], told["status"]) == (PHONE, ADA, "unmerge", "waiting")
    (waiting,) = await shop.store.waiting_identity(limit=10)
    assert (waiting.id, waiting.why, waiting.by) == (told["id"], "a shared tablet", "api")
    assert (await ask(api, f"/v1/identity/requests/{told['id']}")).json == told

    await shop.writer.commit(Checkpoint(marks={}, settled={told["id"]: Outcome(done=True, detail="so it is")}))
    settled = (await ask(api, f"/v1/identity/requests/{told['id']}")).json
    assert (settled["status"], settled["detail"]) == ("done", "so it is")


@pytest.mark.parametrize(
    ("body", "problem", "words"),
    [
        (b"{", (400, "invalid-body"), "cannot be read"),
        ({}, (400, "invalid-body"), "one"),
        ({"one": ADA}, (400, "invalid-body"), "other"),
        ({"one": ADA, "other": PHONE, "and": 1}, (400, "invalid-body"), "and"),
        ({"one": ADA, "other": 7}, (400, "invalid-body"), "Expected `str`"),
        ({"one": "ada", "other": PHONE}, (400, "invalid-identifier"), "write kind:value"),
        ({"one": ADA, "other": "shoe:42"}, (400, "invalid-identifier"), "no kind of identifier"),
        ({"one": ADA, "other": "x" * 501}, (400, "invalid-body"), "length <= 500"),
        ({"one": ADA, "other": ADA}, (404, "edge-not-found"), "nothing ties"),
        ({"one": "user_id:bob", "other": PHONE}, (404, "edge-not-found"), "nothing ties"),
        ({"one": MAIL, "other": PHONE}, (404, "edge-not-found"), "is tied to user_id:ada"),
        (b" " * 300_000, (413, "too-large"), "bytes"),
    ],
)
async def test_what_is_no_edge_is_told(api: App, shop: Shop, body: Any, problem: tuple[int, str], words: str) -> None:
    answer = await post(api, body)
    assert is_problem(answer, *problem)
    assert words in answer.json["detail"]
    assert answer.json["remedy"]
    assert list(await shop.store.waiting_identity(limit=10)) == []


async def test_an_unknown_request_and_a_store_that_is_away(api: App, shop: Shop) -> None:
    assert is_problem(await ask(api, "/v1/identity/requests/none"), 404, "request-not-found")
    shop.faulty_store.failure = Unreachable("the database is away")
    assert is_problem(await ask(api, "/v1/identity/requests/none"), 503, "unavailable")
    assert is_problem(await post(api, {"one": PHONE, "other": ADA}), 503, "unavailable")


async def test_a_merge_asked_for_twice_is_one_until_it_is_done(shop: Shop) -> None:
    merges = AskMerges(shop.store, open_runtime())
    for ends in ((ADA, "user_id:bob"), ("user_id:bob", ADA)):
        await merges.ask_merge(*ends, by="eve", why="same phone")
    (first,) = await shop.store.waiting_identity(limit=10)
    assert (first.kind, {first.one, first.other}, first.by, first.why) == (
        "merge",
        {ADA, "user_id:bob"},
        "eve",
        "same phone",
    )
    await shop.writer.commit(Checkpoint(marks={}, settled={first.id: Outcome(done=True, detail="one profile")}))
    # Taken back meanwhile, and accepted again.
    await merges.ask_merge(ADA, "user_id:bob", by="eve", why="same phone")
    (again,) = await shop.store.waiting_identity(limit=10)
    assert again.id != first.id


async def test_why_nothing_came_of_a_merge_is_known_until_it_is_asked_anew(shop: Shop) -> None:
    merges = AskMerges(shop.store, open_runtime())

    async def refusal() -> str | None:
        return await merges.refusal("user_id:bob", ADA, by="eve", why="same phone")

    assert await refusal() is None
    await merges.ask_merge(ADA, "user_id:bob", by="eve", why="same phone")
    assert await refusal() is None
    (first,) = await shop.store.waiting_identity(limit=10)
    await shop.writer.commit(Checkpoint(marks={}, settled={first.id: Outcome(done=False, detail="kept apart")}))
    assert await refusal() == "kept apart"
    await merges.ask_merge(ADA, "user_id:bob", by="eve", why="same phone")
    assert await refusal() is None

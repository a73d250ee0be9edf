"""What the API is asked with, however hostile, is plain data: PostgreSQL is told none of it in a statement."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import pytest

from api_steps import build_api
from asgi import Answer, App, ask
from hostile import EXPLOSIVE, EXPRESSIONS, MARK, NAUGHTY, SQL, log_everything, server_log
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.definition_store import PostgresDefinitionStoreSettings, open_definition_store
from obverse.adapters.runtime.system import open_runtime
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import define
from obverse.core.people import People
from obverse.flows.browse import Browse
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Stream
from reading import DEFINITIONS, Shop, group_call, pack, track
from services import Database
from stores import store_at

pytestmark = pytest.mark.service

LONGEST: Final = 200
SOME: Final = (*NAUGHTY[::12], *EXPRESSIONS, *SQL, *EXPLOSIVE)
TEXTS: Final = tuple(
    dict.fromkeys(tidy(MARK + text) for text in SOME if len(text) < LONGEST and text.strip() and text.isprintable())
)
PATHS: Final = [text for text in TEXTS if "/" not in text][-5:]
"""Such as a path can name an audience by."""
NAMED: Final = define(
    traits=DEFINITIONS.traits,
    audiences=[Audience(text, parse({"op": "gte", "trait": "orders", "value": 1})) for text in PATHS],
    identity=DEFINITIONS.identity,
)


@dataclass
class Asked:
    """The API over PostgreSQL, with the login that it has in an installation."""

    api: App

    async def get(self, path: str) -> Any:
        """What is answered with 200."""
        answer = await ask(self.api, path)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    async def send(self, path: str, body: Any, method: str = "POST") -> Answer:
        return await ask(self.api, path, method=method, body=json.dumps(body).encode())


@pytest.fixture
async def asked(database: Database) -> AsyncIterator[Asked]:
    if database.server.foreign:
        pytest.skip("the log of somebody else's server cannot be read")
    await log_everything(database)
    runtime = open_runtime()
    async with AsyncExitStack() as stack:
        log = await open_event_log(MemoryLogSettings(), runtime)
        written = await stack.enter_async_context(store_at(database.dsn("obverse_worker")))
        cache = await open_profile_cache(MemoryCacheSettings(), runtime)
        parts = await log.open_appender(Stream.EVENTS), await written.open_writer(WRITER), await cache.open_writer(pack)
        shop = Shop(log, written, cache, *parts, people=People("main", NAMED))
        for place, text in enumerate(TEXTS):
            await shop.fold(track(2 * place, "1", user_id=text), group_call(2 * place + 1, text, user_id=text))
        await shop.checkpoint()
        for part in parts:
            stack.push_async_callback(part.close)

        read = await stack.enter_async_context(store_at(database.dsn("obverse_api")))
        settings = PostgresDefinitionStoreSettings(dsn=database.dsn("obverse_api"), workspace="main")
        definitions = await open_definition_store(settings, runtime)
        stack.push_async_callback(definitions.close)
        empty = await open_profile_cache(MemoryCacheSettings(), runtime)
        reader = Shop(log, read, empty, *parts)
        browse = Browse(read, lambda: NAMED)
        yield Asked(build_api(reader, definition_store=definitions, browse=browse))


async def test_profiles_are_read_as_plain_data(asked: Asked, database: Database) -> None:
    for text in TEXTS:
        name, key = quote(text, safe=""), f"user_id:{text}"
        whole = await asked.get(f"/v1/profiles/user_id:{name}")
        assert (whole["traits"]["orders"], [one["id"] for one in whole["groups"]]) == (1, [text])
        assert [one["type"] for one in (await asked.get(f"/v1/profiles/user_id:{name}/events"))["events"]] == [
            "group",
            "track",
        ]
        batch = await asked.send("/v1/profiles/read", {"identifiers": [key, f"email:{text}@example.com"]})
        assert [one["found"] for one in batch.json["profiles"]] == [True, False]
        assert whole["id"] in {one["id"] for one in (await asked.get(f"/v1/profiles?q={name}"))["profiles"]}
        assert whole["id"] in {
            one["id"] for one in (await asked.get(f"/v1/profiles?q={quote(key, safe='')}"))["profiles"]
        }
    await nothing_is_said(database, "public.profile_identifiers", len(TEXTS))


async def test_spaces_groups_and_members_are_read_as_plain_data(asked: Asked, database: Database) -> None:
    for text in TEXTS:
        name = quote(text, safe="")
        people = f"/v1/spaces/main/collections/users/profiles/user_id:{name}"
        assert (await asked.get(f"{people}/traits"))["traits"]["orders"] == 1
        for part in ("events", "external_ids", "links", "metadata"):
            await asked.get(f"{people}/{part}")
        accounts = f"/v1/spaces/main/collections/accounts/profiles/group_id:{name}"
        assert (await ask(asked.api, f"{accounts}/traits")).status == 200
        assert text in {one["id"] for one in (await asked.get(f"/v1/groups?q={name}"))["groups"]}
        assert (await asked.get(f"/v1/groups/{name}"))["id"] == text
        assert len((await asked.get(f"/v1/groups/{name}/members?limit=5"))["members"]) == 1
    for one in NAMED.audiences:
        path = f"/v1/audiences/{quote(one.name, safe='')}/members?limit=100"
        assert len((await asked.get(path))["members"]) == min(100, len(TEXTS))
    await nothing_is_said(database, "public.audience_members", len(NAMED.audiences))


async def test_definitions_are_written_and_read_as_plain_data(asked: Asked, database: Database) -> None:
    for place, text in enumerate(TEXTS):
        where = {"op": "eq", "attribute": text, "value": text}
        body = {"description": text, "labels": {"team": text}, "spec": {"where": where}}
        assert (await asked.send(f"/v1/definitions/audience/a{place}", body, "PUT")).status == 200
        answer = await ask(asked.api, f"/v1/definitions/audience/a{place}", headers={"Accept": "application/json"})
        document = answer.json["document"]
        assert (document["metadata"]["description"], document["spec"]["where"]) == (text, where)
        assert (await ask(asked.api, f"/v1/definitions/audience/{quote(text, safe='')}")).status == 404
    await nothing_is_said(database, "definition", len(TEXTS))


async def nothing_is_said(database: Database, of: str, times: int) -> None:
    """The server was asked of this so often at least, and not one word of those who asked stands in its log."""
    log = await server_log(database)
    assert log.count(of) >= times
    ours = log.count(f"'{MARK} was here'")
    assert ours >= 1, "what stands in a statement is seen"
    assert log.count(MARK) == ours

"""Hostile conditions over PostgreSQL: they count what plain data counts, and no word of theirs is in a statement."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from hostile import EXPLOSIVE, EXPRESSIONS, MARK, NAUGHTY, SQL, TAKEN, log_everything, server_log
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_store_selections import someone, told
from obverse.contracts.profile_store_steps import NOON, done_by, write
from obverse.core.conditions import Condition, parse
from obverse.core.conditions.parsing import LONGEST_TEXT
from obverse.ports.profile_store import ProfileStore
from services import Database
from stores import store_at

pytestmark = pytest.mark.service

AT_ONCE: Final = 40
SOME: Final = (*NAUGHTY[::6], *EXPRESSIONS, *SQL, *EXPLOSIVE)
MARKED: Final = tuple(dict.fromkeys(tidy(MARK + text) for text in SOME if len(text) < LONGEST_TEXT - len(MARK)))


@pytest.fixture
async def stores(database: Database) -> AsyncIterator[dict[str, ProfileStore]]:
    if database.server.foreign:
        pytest.skip("the log of somebody else's server cannot be read")
    await log_everything(database)
    memory = await open_profile_store(MemoryStoreSettings(), open_runtime())
    async with store_at(database.dsn("obverse_worker")) as postgres:
        yield {"postgres": postgres, "memory": memory}
    await memory.close()


def people() -> dict[str, Any]:
    """Somebody for each text, who has it in every place where a person can have it."""
    rows, events = [], []
    for place, text in enumerate(MARKED):
        name = f"person-{place}"
        rows.append(
            someone(
                name,
                traits={"favourite_product": text},
                attributes={"said": text, text: 1},
                consents={text: True},
                groups=(text,),
                identifiers=(f"user_id:{text}",),
                audiences=(text,),
            )
        )
        done = [*told(60, name=text), *told(50, name="Order Completed", properties={"sku": text, text: True})]
        events += done_by(name, *done, *told(40, name=text, kind="page"), first=3 * place)
    return {"profiles": rows, "events": events}


def conditions(text: str) -> list[Condition]:
    """Conditions with the text in each place."""
    trees = [
        *(make(text) for make in TAKEN.values()),
        {"op": "member", "audience": text},
        {"op": "exists", "trait": text},
        {"op": "ne", "identifier": "user_id", "value": text},
        {"op": "contains", "identifier": "user_id", "value": text},
        {"op": "exists", "identifier": text},
    ]
    if not set('"\\') & set(text) and text.isprintable():
        where = {"op": "eq", "property": text, "value": True}
        trees.append({"op": "did", "event": "Order Completed", "where": where})
    return [parse(tree) for tree in trees]


async def test_they_count_as_plain_data_and_are_parameters_alone(
    stores: dict[str, ProfileStore], database: Database
) -> None:
    told_of = people()
    for store in stores.values():
        await write(store, **told_of)
    before = await everything(database)
    for at in range(0, len(MARKED), AT_ONCE):
        asked = [one for text in MARKED[at : at + AT_ONCE] for one in conditions(text)]
        found = {kind: await store.select(asked, now=NOON) for kind, store in stores.items()}
        for kind, store in stores.items():
            assert len(found[kind].everybody) == len(MARKED)
            assert await store.numbered([0]) == []
        sizes = {kind: [len(one.chosen[condition]) for condition in asked] for kind, one in found.items()}
        assert sizes["postgres"] == sizes["memory"]
        of_each = [len(found["postgres"].chosen[parse(TAKEN["eq"](text))]) for text in MARKED[at : at + AT_ONCE]]
        assert of_each == [1] * len(of_each)
    assert await everything(database) == before
    log = await server_log(database)
    assert log.count("from public.customer_profiles") > len(MARKED)
    ours = log.count(f"'{MARK} was here'")
    assert ours >= 1, "what stands in a statement is seen"
    assert log.count(MARK) == ours


async def everything(database: Database) -> dict[str, int]:
    """How many rows each table has."""
    connection = await asyncpg.connect(database.dsn())
    try:
        names = await connection.fetch("select relname from pg_stat_user_tables where schemaname = 'public'")
        return {
            row["relname"]: await connection.fetchval(f'select count(*) from public."{row["relname"]}"')
            for row in names
        }
    finally:
        await connection.close()

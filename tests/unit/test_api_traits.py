"""Traits by the API: as they are defined, and how their values are spread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from api_steps import build_api, is_problem, open_api_shop
from asgi import App, ask
from obverse.adapters.memory.trait_runs import MemoryTraitRuns
from obverse.core import documents
from obverse.core.definitions import Definitions
from obverse.flows.measure import Measure
from obverse.ports.outcomes import Unreachable
from obverse.ports.trait_runs import TraitRun
from obverse.wiring import trait_kinds
from reading import Shop, document, track


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_api_shop() as opened:
        await opened.fold(track(3, "12.50", user_id="b-1"), track(4, "2000.00", user_id="b-2"))
        await opened.checkpoint()
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def test_traits_are_told_as_they_are_defined_with_how_many_have_a_value(api: App) -> None:
    found = (await ask(api, "/v1/traits")).json
    assert (found["everybody"], found["looked_at"]) == (3, 3)
    assert found["traits"][1] == {
        "name": "lifetime_value",
        "description": "",
        "spec": {"aggregate": "sum", "event": "Order Completed", "property": "revenue"},
        "having": 3,
        "run": None,
    }
    assert [one["name"] for one in found["traits"]] == [
        "orders",
        "lifetime_value",
        "favourite_product",
        "first_order_at",
    ]


async def test_numbers_have_bins_and_quantiles(api: App) -> None:
    found = (await ask(api, "/v1/traits/lifetime_value")).json
    assert (found["everybody"], found["looked_at"], found["having"]) == (3, 3, 3)
    assert found["spec"]["property"] == "revenue"
    assert found["newest"] == "2026-01-31T12:04:01Z"
    numbers = found["numbers"]
    assert (numbers["count"], numbers["least"], numbers["most"]) == (3, 12.5, 2000)
    assert [one["value"] for one in numbers["quantiles"] if one["part"] == 0.5] == [Decimal("1000.30")]
    assert [one["count"] for one in numbers["bins"]] == [1, 1, 1]
    assert (found["values"], found["periods"], found["elements"]) == (None, None, None)


async def test_texts_have_values_and_times_have_months(api: App) -> None:
    found = (await ask(api, "/v1/traits/favourite_product")).json
    assert found["values"] == {"distinct": 2, "frequent": [{"value": "A0", "count": 2}, {"value": "A1", "count": 1}]}
    assert found["numbers"] is None
    assert (await ask(api, "/v1/traits/first_order_at")).json["periods"] == [{"period": "2026-01", "count": 3}]


@pytest.mark.parametrize("name", ["nothing", "Orders", "%2e%2e", "%00", "%ff", "'%20or%20true"])
async def test_a_name_that_no_trait_has_is_told(api: App, name: str) -> None:
    answer = await ask(api, f"/v1/traits/{name}")
    assert is_problem(answer, 404, "trait-not-found")
    assert "orders" in answer.json["detail"]


@pytest.mark.parametrize("path", ["/v1/traits", "/v1/traits/orders"])
async def test_a_store_that_cannot_be_read_is_told(shop: Shop, api: App, path: str) -> None:
    shop.faulty_store.failure = Unreachable("away")
    assert (await ask(api, path)).status == 503


@pytest.mark.parametrize("path", ["/v1/traits", "/v1/traits/orders"])
async def test_whoever_has_no_key_is_told_nothing(shop: Shop, path: str) -> None:
    assert (await ask(build_api(shop, api_key="secret"), path)).status == 401


async def test_a_definition_is_told_with_its_condition_window_and_parameters(shop: Shop) -> None:
    spec: dict[str, Any] = {
        "aggregate": "percentile",
        "event": "Order Completed",
        "property": "revenue",
        "percentile": 95,
        "where": {"op": "gte", "property": "revenue", "value": 10},
        "window": {"last": "168 hours"},
    }
    did = {"op": "did", "event": "Order Completed", "times": 2}
    known = [document("trait", "spread", **spec), document("audience", "regulars", where=did)]
    definitions: Definitions = documents.read(known, trait_kinds())
    api = build_api(shop, measure=Measure(shop.faulty_store, MemoryTraitRuns(), lambda: definitions))
    (told,) = (await ask(api, "/v1/traits")).json["traits"]
    assert told["name"] == "spread", "what conditions alone look at is no trait that people have defined"
    assert told["spec"] == {**spec, "window": {"last": "7 days"}}
    assert documents.read([document("trait", "spread", **told["spec"])], trait_kinds()).traits[0].key == (
        definitions.traits[0].key
    )


async def test_of_a_trait_by_a_query_the_latest_run_of_that_query_is_told(shop: Shop) -> None:
    sql = {"sql": "select user_id, 1 as value from event_stream", "every": "1 hour"}
    names = ("good", "bad", "changed", "fresh")
    definitions = documents.read([document("trait", name, **sql) for name in names], trait_kinds())
    query = definitions.traits[0].query
    assert query is not None
    runs = MemoryTraitRuns()
    worker = await runs.open_worker()
    noon = 1_767_268_800_000_000
    counts = {"given": 2, "same": 40, "unknown": 1}
    flaw = "line 1, column 8: PostgreSQL says: no"
    for name, digest, said in (("good", query.digest, None), ("bad", query.digest, flaw), ("changed", "other", None)):
        told = {} if said else counts
        await worker.finish(
            TraitRun(trait=name, number=1, digest=digest, at=noon, took=1_500_000, flaw=said, counts=told)
        )
    api = build_api(shop, measure=Measure(shop.faulty_store, runs, lambda: definitions))

    found = {one["name"]: one["run"] for one in (await ask(api, "/v1/traits")).json["traits"]}
    assert found["good"] == {
        "at": "2026-01-01T12:00:00Z",
        "took_seconds": Decimal("1.5"),
        "due_at": "2026-01-01T13:00:00Z",
        "rows": counts,
        "people": 42,
        "flaw": None,
    }
    assert (found["bad"]["flaw"], found["bad"]["people"]) == (flaw, 0)
    assert (found["changed"], found["fresh"]) == (None, None)
    assert (await ask(api, "/v1/traits/bad")).json["run"] == found["bad"]

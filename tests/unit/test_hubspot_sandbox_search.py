"""Searches: operators, groups, sorting, paging and their limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hubspot_steps import CONTACTS, Account, account, assert_refused

SEARCH = f"{CONTACTS}/search"


@pytest.fixture
async def hubspot(tmp_path: Path) -> AsyncIterator[Account]:
    async with account(tmp_path) as opened:
        people = {
            "ada": {"lastname": "Lovelace", "annualrevenue": "9", "company": "Analytical Engines"},
            "bob": {"lastname": "Builder", "annualrevenue": "10", "company": "Bob and Sons"},
            "cy": {"lastname": "Young", "annualrevenue": "100"},
            "dee": {},
        }
        for name, more in people.items():
            await opened.create(email=f"{name}@x.co", firstname=name.title(), **more)
            opened.clock.now += 10
        yield opened


async def names(hubspot: Account, body: dict[str, Any]) -> list[str]:
    answer = await hubspot.ask("POST", SEARCH, body)
    assert answer.status == 200, answer.body
    return [one["properties"]["firstname"] for one in answer.json["results"]]


@pytest.mark.parametrize(
    ("name", "operator", "more", "found"),
    [
        ("firstname", "EQ", {"value": "ada"}, ["Ada"]),
        ("firstname", "NEQ", {"value": "Ada"}, ["Bob", "Cy", "Dee"]),
        ("annualrevenue", "GT", {"value": "9"}, ["Bob", "Cy"]),
        ("annualrevenue", "GTE", {"value": 9}, ["Ada", "Bob", "Cy"]),
        ("annualrevenue", "LT", {"value": "10"}, ["Ada"]),
        ("annualrevenue", "LTE", {"value": "10"}, ["Ada", "Bob"]),
        ("annualrevenue", "BETWEEN", {"value": "10", "highValue": "100"}, ["Bob", "Cy"]),
        ("lastname", "IN", {"values": ["young", "builder"]}, ["Bob", "Cy"]),
        ("lastname", "NOT_IN", {"values": ["young", "builder"]}, ["Ada"]),
        ("lastname", "HAS_PROPERTY", {}, ["Ada", "Bob", "Cy"]),
        ("lastname", "NOT_HAS_PROPERTY", {}, ["Dee"]),
        ("company", "CONTAINS_TOKEN", {"value": "engines"}, ["Ada"]),
        ("company", "CONTAINS_TOKEN", {"value": "eng*"}, ["Ada"]),
        ("company", "NOT_CONTAINS_TOKEN", {"value": "engines"}, ["Bob"]),
        ("lastmodifieddate", "GT", {"value": "1700000010000"}, ["Cy", "Dee"]),
        ("createdate", "LTE", {"value": "2023-11-14T22:13:30Z"}, ["Ada", "Bob"]),
    ],
)
async def test_operators(hubspot: Account, name: str, operator: str, more: dict[str, Any], found: list[str]) -> None:
    body = {"filterGroups": [{"filters": [{"propertyName": name, "operator": operator, **more}]}]}
    assert await names(hubspot, body) == found


async def test_filters_of_a_group_hold_together_and_groups_apart(hubspot: Account) -> None:
    has = {"propertyName": "company", "operator": "HAS_PROPERTY"}
    rich = {"propertyName": "annualrevenue", "operator": "GT", "value": "9"}
    dee = {"propertyName": "email", "operator": "EQ", "value": "DEE@x.co"}
    assert await names(hubspot, {"filterGroups": [{"filters": [has, rich]}, {"filters": [dee]}]}) == ["Bob", "Dee"]


async def test_sorts_put_those_without_a_value_last(hubspot: Account) -> None:
    assert await names(hubspot, {"sorts": ["annualrevenue"]}) == ["Ada", "Bob", "Cy", "Dee"]
    assert await names(hubspot, {"sorts": ["-annualrevenue"]}) == ["Cy", "Bob", "Ada", "Dee"]
    down = {"propertyName": "annualrevenue", "direction": "DESCENDING"}
    assert await names(hubspot, {"sorts": [down]}) == ["Cy", "Bob", "Ada", "Dee"]


async def test_paging_tells_the_total_and_where_to_go_on(hubspot: Account) -> None:
    first = (await hubspot.ask("POST", SEARCH, {"limit": 3})).json
    assert (first["total"], len(first["results"]), first["paging"]) == (4, 3, {"next": {"after": "3"}})
    rest = (await hubspot.ask("POST", SEARCH, {"limit": 3, "after": "3"})).json
    assert len(rest["results"]) == 1
    assert "paging" not in rest


async def test_a_query_looks_at_names_and_addresses(hubspot: Account) -> None:
    assert await names(hubspot, {"query": "sons bob"}) == ["Bob"]
    assert await names(hubspot, {"query": "X.CO"}) == ["Ada", "Bob", "Cy", "Dee"]


async def test_an_archived_contact_is_not_found(hubspot: Account) -> None:
    await hubspot.ask("DELETE", f"{CONTACTS}/ada%40x.co?idProperty=email")
    assert await names(hubspot, {}) == ["Bob", "Cy", "Dee"]


ONE = {"propertyName": "email", "operator": "HAS_PROPERTY"}


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "9999", "limit": 10},
        {"query": "x" * 3001},
        {"sorts": ["email", "phone"]},
        {"sorts": ["nothing"]},
        {"filterGroups": [{"filters": [ONE]}] * 6},
        {"filterGroups": [{"filters": [ONE] * 7}]},
        {"filterGroups": [{"filters": [ONE] * 4}] * 5},
        {"filterGroups": [{"filters": [{"propertyName": "nothing", "operator": "EQ", "value": "1"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "1"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "IN", "values": []}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ"}]}]},
        {"filterGroups": {}},
    ],
)
async def test_a_search_that_cannot_be_is_refused(hubspot: Account, body: dict[str, Any]) -> None:
    assert_refused(await hubspot.ask("POST", SEARCH, body), 400, "VALIDATION_ERROR")

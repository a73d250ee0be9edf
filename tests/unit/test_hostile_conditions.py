"""Hostile conditions are refused with their place, or taken as the plain data that they are; nothing of them runs."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from api_steps import build_api, open_api_shop
from asgi import Answer, App, ask
from definition_steps import CHECKS
from hostile import EXPLOSIVE, EXPRESSIONS, NAUGHTY, REFUSED, SQL, TAKEN, TEXTS
from obverse.adapters.definition_files.yaml_documents import read_documents
from obverse.adapters.definition_files.yaml_text import as_yaml
from obverse.core import json_values
from obverse.core.conditions import BadCondition, compiled, parse
from obverse.core.conditions.parsing import comparable
from obverse.core.conditions.sql.reading import parse_sql
from obverse.core.conditions.sql.writing import as_sql
from obverse.core.documents.checking import check
from obverse.core.flaws import Flaw
from reading import identify

NAMES = {"attribute", "consent", "group", "event", "page", "step"}
ELSEWHERE = {"trait's value", "identifier"}
"""A file looks at its own traits alone, and says what kinds of identifiers there are somewhere else."""
EVERYBODY = {"ne", "page"}
"""Places where whoever has nothing of the kind is meant."""
SOME = tuple(dict.fromkeys((*NAUGHTY[::9], "", *EXPRESSIONS, *SQL, *EXPLOSIVE)))
"""What is sent through the whole API; all of them are read elsewhere here."""


@pytest.fixture
async def api() -> AsyncIterator[App]:
    async with open_api_shop() as shop:
        yield build_api(shop)


async def preview(api: App, body: Any) -> Answer:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(api, "/v1/audiences/preview", method="POST", body=sent)


def is_refused(answer: Answer, *begins: str) -> bool:
    """Whether a condition was refused with a place."""
    told = answer.json
    assert len(told["detail"]) < 3000
    return bool(
        answer.status == 400
        and told["type"].endswith("invalid-condition")
        and told["detail"].startswith(begins or ("where", "line "))
    )


@pytest.mark.parametrize("place", TAKEN)
async def test_what_is_plain_data_is_counted_as_plain_data(api: App, place: str) -> None:
    for text in SOME:
        answer = await preview(api, {"where": TAKEN[place](text), "overlaps": False})
        if not text and place in NAMES:
            assert is_refused(answer, "where"), text
            continue
        assert answer.status == 200, (text, answer.body)
        assert answer.json["count"] == (1 if place in EVERYBODY else 0), text
        again = await preview(api, {"sql": answer.json["sql"], "overlaps": False})
        assert (again.status, again.json["condition"]) == (200, answer.json["condition"]), text


@pytest.mark.parametrize("place", REFUSED)
async def test_what_means_nothing_in_its_place_is_refused(api: App, place: str) -> None:
    for text in SOME:
        assert is_refused(await preview(api, {"where": REFUSED[place](text)}), "where"), text


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "attribute.a = {}",
        "attribute.{} = 1",
        "{}.a = 1",
        "attribute.a IN ({})",
        "attribute.a LIKE {}",
        "did({})",
        "did('a', {} => 1)",
        "did('a', times => {})",
        "did('a', within => {})",
        "did('a', where => {})",
        "sequence({}, step('a'))",
        "attribute.a > now() - INTERVAL {}",
    ],
)
async def test_sql_with_anything_in_any_place_is_read_as_data_or_refused(api: App, around: str) -> None:
    for text in SOME:
        answer = await preview(api, {"sql": around.replace("{}", text), "overlaps": False})
        assert answer.status == 200 or is_refused(answer, "line ", "where"), (text, answer.body)


@pytest.mark.parametrize(
    "op", ["regex", "matches", "regexp", "~", "like", "expression", "sql", "raw", "eval", "$where"]
)
async def test_there_is_no_operator_that_runs_anything(api: App, op: str) -> None:
    assert is_refused(await preview(api, {"where": {"op": op, "attribute": "a", "value": "(a+)+$"}}), "where.op")


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"op": "did", "type": []}, "where.type"),
        ({"op": "did", "type": {"$ne": ""}, "event": "a"}, "where.type"),
        ({"op": "did", "event": ["a"]}, "where.event"),
        ({"op": "did", "event": "a", "times": 1.5}, "where.times"),
        ({"op": "did", "event": "a", "times": {"at_least": 10**15}}, "where.times.at_least"),
        ({"op": "did", "event": "a", "times": True}, "where.times"),
        ({"op": ["eq"]}, "where.op"),
        ({"op": "eq", "attribute": ["a"], "value": 1}, "where"),
        ({"op": "eq", "attribute": "a" * 1001, "value": 1}, "where"),
        ({"op": "eq", "attribute": "a", "value": "a" * 1001}, "where.value"),
        ({"op": "eq", "attribute": "a", "value": [10**15, [1e300]]}, "where.value"),
        ({"op": "eq", "attribute": "a", "value": {"a": 1e300}}, "where.value"),
        ({"op": "in", "attribute": "a", "value": [1e300]}, "where.value"),
        ({"op": "exists", "attribute": "a", "x" * 100_000: 1}, "where.x"),
        ({"op": "x" * 100_000}, "where.op"),
        ({"op": "and", "of": [{"op": "exists", "attribute": "a"}] * 501}, "where.of[499]"),
        ({"op": "sequence", "steps": [{"event": "a"}] * 11}, "where.steps"),
    ],
)
async def test_what_is_too_much_or_of_another_kind_is_refused_with_its_place(api: App, tree: Any, place: str) -> None:
    assert is_refused(await preview(api, {"where": tree}), place)


@pytest.mark.parametrize(
    "sql",
    [
        "did('a', at_least => 1e999999999)",
        "did('a', times => 1e99999999)",
        "attribute.a = as_json('{\"a\": 1e999999999}')",
        "attribute.a = as_json('" + "[" * 300 + "]" * 300 + "')",
        "attribute.a > now() - INTERVAL '1' day to second",
        "attribute.a > now() - INTERVAL",
        "((" * 400 + "trait.orders = 1" + "))" * 400,
        "did(" * 2000 + "'a'" + ")" * 2000,
        "CASE WHEN " * 1000,
        "attribute.a IN (" * 1000,
        "NOT " * 4000 + "audience.big_spenders",
        "attribute.a = " + "-" * 19_000 + "1",
        "/*" * 9000,
    ],
)
async def test_sql_that_would_take_for_ever_is_refused_at_once(api: App, sql: str) -> None:
    began = time.perf_counter()
    assert is_refused(await preview(api, {"sql": sql}), "line ")
    assert time.perf_counter() - began < 10


def nested(levels: int) -> bytes:
    """A body whose condition nests so deep."""
    return b'{"where":' + b'{"op":"not","of":' * levels + b"1" + b"}" * levels + b"}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (nested(52), 400),
        (nested(14_000), 400),
        (nested(60_000), 413),
        (b"[" * 1_000_000, 413),
        (b'{"where":' + b"[" * 200_000, 400),
        (b'{"where":{"op":"eq","attribute":"a","value":' + b"[" * 300 + b"]" * 300 + b"}}", 400),
        (b'{"where":{"op":"eq","attribute":"a","value":' + b"9" * 6000 + b"}}", 400),
        (b'{"where":{"op":"eq","attribute":"a","value":1e999999999}}', 400),
        (b'{"where":{"op":"eq","attribute":"a","value":NaN}}', 400),
        (b'{"where":{"op":"\xff"}}', 400),
        (b'{"where":{"op":"exists","attribute":"\\ud800"}}', 400),
        (b"", 400),
    ],
)
async def test_a_body_that_is_too_much_is_refused_at_once(api: App, body: bytes, status: int) -> None:
    began = time.perf_counter()
    answer = await preview(api, body)
    assert (answer.status, answer.json["status"]) == (status, status), answer.body
    assert time.perf_counter() - began < 5


async def test_a_list_of_very_many_values_is_plain_data(api: App) -> None:
    values = [f"x{number}" for number in range(20_000)]
    found = await preview(api, {"where": {"op": "in", "attribute": "email", "value": [*values, "Ada@Example.com"]}})
    assert (found.status, found.json["count"]) == (200, 1)


def flaws_of(where: Any) -> list[Flaw]:
    """What is said of an audience's file with this condition."""
    tree = {"version": "obverse/v1", "kind": "audience", "metadata": {"name": "a"}, "spec": {"where": where}}
    documents, flaws = read_documents(as_yaml(tree).encode(), "a.yml")
    return [*flaws, *check(documents, CHECKS).flaws]


@pytest.mark.parametrize("place", [one for one in (*TAKEN, *REFUSED) if one not in ELSEWHERE])
def test_in_a_file_it_is_taken_or_refused_with_its_line(place: str) -> None:
    made: Callable[[str], Any] = (TAKEN | REFUSED)[place]
    for text in TEXTS:
        found = flaws_of(made(text))
        assert bool(found) == (place in REFUSED or (not text and place in NAMES)), (text, found)
        assert len(found) <= 3, (text, found)
        assert all(one.line >= 5 and one.column > 1 and one.what for one in found), (text, found)


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), ([1], [True]), ({"a": 1}, {"a": True}), ([[0]], [[False]])]
)
def test_true_is_not_1_wherever_it_stands(one: Any, other: Any) -> None:
    trees = [{"op": "eq", "attribute": "a", "value": value} for value in (one, other)]
    conditions = [parse(tree) for tree in trees]
    assert conditions[0] != conditions[1]
    for condition, value in zip(conditions, (one, other), strict=True):
        assert parse_sql(as_sql(condition)) == condition
        for actual, holds in ((value, True), (other if value is one else one, False)):
            assert compiled(condition, lambda *_, actual=actual: lambda _: actual)(None, 0) is holds


async def test_who_is_counted_for_true_is_not_who_is_counted_for_1() -> None:
    async with open_api_shop() as shop:
        await shop.fold(identify(3, '{"vip": true}', user_id="b-1"), identify(4, '{"vip": true}', user_id="b-2"))
        await shop.fold(identify(5, '{"vip": 1}', user_id="b-3"))
        await shop.checkpoint()
        trees = [{"op": "eq", "attribute": "vip", "value": value} for value in (1, True)]
        found = await preview(build_api(shop), {"where": {"op": "or", "of": trees}})
    assert (found.json["count"], [part["count"] for part in found.json["node"]["of"]]) == (3, [1, 2])


def test_numbers_are_compared_by_their_worth_wherever_they_stand() -> None:
    condition = parse({"op": "eq", "attribute": "a", "value": [{"a": 0.1, "b": 2}]})
    actual = json_values.decode(b'[{"b": 2.00, "a": 0.10}]')
    assert compiled(condition, lambda *_: lambda _: actual)(None, 0)


def test_a_value_that_nests_very_deep_is_judged() -> None:
    """Whoever sends it must not stop the fold."""
    actual = json_values.decode(b"[" * 950 + b"]" * 950)
    condition = parse({"op": "eq", "attribute": "a", "value": [1]})
    assert not compiled(condition, lambda *_: lambda _: actual)(None, 0)
    assert comparable([[1.5]]) == [[Decimal("1.5")]]


def test_a_number_beyond_reach_is_there_and_equals_nothing() -> None:
    for sent in (b"1e70", b"[1e70]", b'{"a": [1e70]}', b"1" + b"0" * 70):
        actual = json_values.decode(sent)
        for tree, holds in (
            ({"op": "exists"}, True),
            ({"op": "eq", "value": [None]}, False),
            ({"op": "eq", "value": {"a": [None]}}, False),
            ({"op": "in", "value": [None, [None], 1]}, False),
            ({"op": "ne", "value": 1}, True),
            ({"op": "gt", "value": 1}, False),
        ):
            condition = parse({"attribute": "a", **tree})
            assert compiled(condition, lambda *_, actual=actual: lambda _: actual)(None, 0) is holds


def test_a_number_without_end_is_refused_with_its_place() -> None:
    with pytest.raises(BadCondition, match=r"where\.times: .* is no number of times"):
        parse({"op": "did", "event": "a", "times": 10**3000})

"""SQL conditions are read as trees, and trees written as SQL; what is no condition is refused, and none is ever run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condition_steps import NOW, PEOPLE, TREES, Someone, look
from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import ANYTHING
from obverse.core.conditions import BadCondition, Condition, as_tree, compiled, parse
from obverse.core.conditions.sql.reading import parse_sql
from obverse.core.conditions.sql.writing import as_sql

NAUGHTY = json.loads((Path(__file__).parent.parent / "data/blns/blns.json").read_text())


@pytest.mark.parametrize(
    ("sql", "tree"),
    [
        ("trait.orders >= 2", {"op": "gte", "trait": "orders", "value": 2}),
        ("WHERE trait.orders >= 2", {"op": "gte", "trait": "orders", "value": 2}),
        ("2 <= trait.orders", {"op": "gte", "trait": "orders", "value": 2}),
        ("Trait.orders <> -1.50", {"op": "ne", "trait": "orders", "value": -1.5}),
        ("attribute.\"odd \"\"name\" = 'it''s'", {"op": "eq", "attribute": 'odd "name', "value": "it's"}),
        ("attribute.city IN ('Wien', 'Bern')", {"op": "in", "attribute": "city", "value": ["Wien", "Bern"]}),
        ("attribute.city NOT IN ('Wien')", {"op": "not", "of": {"op": "in", "attribute": "city", "value": ["Wien"]}}),
        ("attribute.city LIKE '%ie%'", {"op": "contains", "attribute": "city", "value": "ie"}),
        ("attribute.city LIKE 'Wi%'", {"op": "starts_with", "attribute": "city", "value": "Wi"}),
        ("attribute.city LIKE '%en'", {"op": "ends_with", "attribute": "city", "value": "en"}),
        ("attribute.share LIKE '100\\%'", {"op": "eq", "attribute": "share", "value": "100%"}),
        ("attribute.city IS NULL", {"op": "not", "of": {"op": "exists", "attribute": "city"}}),
        ("attribute.city IS NOT NULL", {"op": "exists", "attribute": "city"}),
        ("attribute.vegan IS TRUE", {"op": "eq", "attribute": "vegan", "value": True}),
        ("attribute.vegan", {"op": "eq", "attribute": "vegan", "value": True}),
        ("attribute.tags = as_json('[\"a\",1]')", {"op": "eq", "attribute": "tags", "value": ["a", 1]}),
        ("consent.mail", {"op": "eq", "consent": "mail", "value": True}),
        ("NOT consent.mail", {"op": "not", "of": {"op": "eq", "consent": "mail", "value": True}}),
        ("consent.mail = FALSE", {"op": "eq", "consent": "mail", "value": False}),
        ("audience.vip", {"op": "member", "audience": "vip"}),
        ("audience.vip = FALSE", {"op": "not", "of": {"op": "member", "audience": "vip"}}),
        ('group."acme inc"', {"op": "member", "group": "acme inc"}),
        ("identifier.email LIKE '%@acme.com'", {"op": "ends_with", "identifier": "email", "value": "@acme.com"}),
        ("trait.seen > now() - INTERVAL '30 days'", {"op": "within_last", "trait": "seen", "value": "30 days"}),
        ("trait.seen < NOW() - interval '2 weeks'", {"op": "longer_ago", "trait": "seen", "value": "14 days"}),
        (
            "trait.spent BETWEEN 1 AND 2",
            {
                "op": "and",
                "of": [{"op": "gte", "trait": "spent", "value": 1}, {"op": "lte", "trait": "spent", "value": 2}],
            },
        ),
        (
            "trait.a = 1 AND trait.b = 2 AND (trait.c = 3 OR trait.d = 4)",
            {
                "op": "and",
                "of": [
                    {"op": "eq", "trait": "a", "value": 1},
                    {"op": "eq", "trait": "b", "value": 2},
                    {
                        "op": "or",
                        "of": [{"op": "eq", "trait": "c", "value": 3}, {"op": "eq", "trait": "d", "value": 4}],
                    },
                ],
            },
        ),
        ("did('Order Completed')", {"op": "did", "event": "Order Completed"}),
        ("did(type => 'page')", {"op": "did", "type": "page"}),
        (
            "did('Viewed', at_least => 2, within => '7 days', where => property.price > 100)",
            {
                "op": "did",
                "event": "Viewed",
                "times": {"at_least": 2},
                "within": "7 days",
                "where": {"op": "gt", "property": "price", "value": 100},
            },
        ),
        (
            "sequence(step('Viewed', times => 2, within => '7 days'), absence('Bought', within => '1 hour'))",
            {
                "op": "sequence",
                "steps": [
                    {"event": "Viewed", "times": 2, "within": "7 days"},
                    {"event": "Bought", "not": True, "within": "1 hour"},
                ],
            },
        ),
    ],
)
def test_sql_says_what_a_tree_says(sql: str, tree: Any) -> None:
    assert parse_sql(sql) == parse(tree)


@pytest.mark.parametrize("name", ["select", "NOT", "order", "from", "null", "case", "Group"])
def test_a_name_may_be_a_word_of_sql(name: str) -> None:
    for tree in (
        {"op": "eq", "attribute": name, "value": 1},
        {"op": "member", "audience": name},
        {"op": "within_last", "trait": name, "value": "7 days"},
        {"op": "did", "event": name, "where": {"op": "exists", "property": name}},
    ):
        condition = parse(tree)
        assert parse_sql(as_sql(condition)) == condition


@pytest.mark.parametrize(
    ("sql", "place", "advice"),
    [
        ("", "line 1, column 1", "expected one condition"),
        ("trait.a = 1; DROP TABLE customer_profiles", "line 1, column 1", "expected one condition, not 2"),
        ("DROP TABLE customer_profiles", "line 1", "is no condition"),
        ("SELECT 1", "line 1", "is no condition"),
        ("trait.a = (SELECT password FROM users)", "line 1", "is no value"),
        ("trait.a IN (SELECT 1)", "line 1, column 7", "IN wants a list of values"),
        ("EXISTS (SELECT 1)", "line 1", "is no condition"),
        ("pg_sleep(10)", "line 1", "there is no function pg_sleep()"),
        ("trait.a = pg_read_file('/etc/passwd')", "line 1", "is no value"),
        ("trait.a ~ '(a+)+$'", "line 1", "is no condition"),
        ("trait.a SIMILAR TO 'a'", "line 1", "is no condition"),
        ("trait.a LIKE 'a%b'", "line 1", "LIKE knows 'text%'"),
        ("trait.a LIKE 'a_'", "line 1", "LIKE knows 'text%'"),
        ("trait.a ILIKE 'a'", "line 1", "is no condition"),
        ("lifetime_value > 5", "line 1", "is nothing to look at; use trait.NAME"),
        ("customer.a = 1", "line 1", "is nothing to look at"),
        ("public.trait.a = 1", "line 1", "is nothing to look at"),
        ("property.a = 1", "line 1", "is nothing to look at"),
        ("trait.a = trait.b", "line 1", "is no value"),
        ("trait.a + 1 = 2", "line 1", "is nothing to look at"),
        ("trait.a = 1 AND\n  trait.b = null", "line 2", "use `op: exists`"),
        ("trait.a = 1 AND\n  trait.b >", "line 2", "this is no SQL condition"),
        ("trait.a > TRUE", "line 1", "compares numbers or texts"),
        ("trait.a > now()", "line 1", "is no value"),
        ("trait.a = now() - INTERVAL '1 day'", "line 1", "by < or >"),
        ("trait.a > now() - INTERVAL '1 month'", "line 1", "write a number and a unit"),
        ("audience.vip > 5", "line 1", "NOT audience.NAME"),
        ("did()", "line 1", "name the event"),
        ("did('a', 2)", "line 1", "name the event first"),
        ("did('a', within => '1 day', within => '2 days')", "line 1", "is given twice"),
        ("did('a', where => trait.b = 1)", "line 1", "use property.NAME"),
        ("did('a', where => did('b'))", "line 1", "there is no function did()"),
        ("did('a', sinse => '1 day')", "line 1", "unknown here"),
        ("did('a', at_least => 1.5)", "line 1", "no number of times"),
        ("sequence(did('a'), did('b'))", "line 1", "made of step() and absence()"),
        ("sequence(step('a'))", "line 1", "a list of 2 to 10 steps"),
        ("trait.a = as_json('{')", "line 1", "not readable as JSON"),
        ("'unfinished", "line 1, column 1", "cannot be read as SQL"),
        ("trait.a = 1e999999999999999999999", "line 1", "no number"),
        ("(" * 5000 + "trait.a = 1" + ")" * 5000, "line 1", ""),
        ("NOT " * 4000 + "audience.a", "line 1", ""),
        (" AND ".join(["trait.a = 1"] * 3000), "line 1, column 1", "20000 at most"),
        ("trait.a = 1 -- '", "", ""),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(sql: str, place: str, advice: str) -> None:
    if not place:
        assert parse_sql(sql) == parse({"op": "eq", "trait": "a", "value": 1})
        return
    with pytest.raises(BadCondition) as caught:
        parse_sql(sql)
    message = str(caught.value)
    assert message.startswith(place)
    assert advice in message
    assert len(message) < 1500


@LAWS
@given(TREES)
def test_a_tree_written_as_sql_is_read_as_the_same_tree(tree: dict[str, Any]) -> None:
    condition = parse(tree)
    assert parse_sql(as_sql(condition)) == flat(condition)


@LAWS
@given(TREES, PEOPLE)
def test_both_forms_say_the_same_of_everybody(tree: dict[str, Any], one: Someone) -> None:
    condition = parse(tree)
    verdicts = [compiled(form, look)(one, NOW) for form in (condition, parse_sql(as_sql(condition)))]
    assert verdicts[0] is verdicts[1]


def flat(condition: Condition) -> Condition:
    """The condition without joints of one part: SQL has no way to write them."""
    tree = as_tree(condition)

    def flattened(node: dict[str, Any]) -> dict[str, Any]:
        if node["op"] == "not":
            return {"op": "not", "of": flattened(node["of"])}
        if node["op"] not in {"and", "or"}:
            return node
        parts = [flattened(part) for part in node["of"]]
        return parts[0] if len(parts) == 1 else {"op": node["op"], "of": parts}

    return parse(flattened(tree))


@LAWS
@given(st.text(max_size=60) | ANYTHING.map(str) | st.sampled_from(NAUGHTY))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse_sql(text)
    except BadCondition:
        return
    assert parse_sql(as_sql(condition)) == condition


def test_a_naughty_text_is_a_value_and_nothing_else() -> None:
    for text in filter(None, NAUGHTY):
        for subject in ("trait", "attribute"):
            tree = {"op": "eq", subject: text, "value": text}
            assert as_tree(parse_sql(as_sql(parse(tree)))) == tree

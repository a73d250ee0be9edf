"""Queries that give traits: what may be asked, what a definition says, and what an answer does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_steps import WEB, Installation, collecting
from obverse.core.definitions import BadDefinition, Trait
from obverse.core.documents.traits import trait
from obverse.core.identity import IdentityRules, id_name, identifiers
from obverse.core.queries import BadQuery, Told, event_of
from obverse.core.queries.answers import MOST_BYTES, Found, compare, read_answer
from obverse.core.queries.reading import LONGEST, read_query
from obverse.core.spans import HOUR

GOOD = "select user_id, count(*) as value from event_stream group by 1"


# What may be asked.


@pytest.mark.parametrize(
    "sql",
    [
        GOOD,
        "SELECT user_id, SUM((properties ->> 'revenue')::numeric) AS value FROM person_events GROUP BY user_id; -- all",
        (
            "with a as (select user_id, 1 as n from event_stream), b as (select * from a) "
            "select user_id, n as value from b union all select 'ada', 2"
        ),
        (
            "with recursive t as (select 1 as n union all select n + 1 from t where n < 5) "
            "select n as user_id, n as value from t"
        ),
        "select profile_id, min(since) as value from audience_members where audience = 'vip' group by 1",
        "select e.email, e.value from (select attributes ->> 'email' as email, 1 as value from customer_profiles) as e",
        "select user_id, (array_agg(name order by timestamp desc))[1] as value from event_stream group by 1",
        (
            "select user_id, percentile_cont(0.5) within group (order by event_id) as value from event_stream "
            "where timestamp > now() - interval '30 days' and properties @> '{\"a\": 1}' group by 1 having count(*) > 2"
        ),
        "select user_id, x as value from event_stream, lateral jsonb_array_elements_text(properties -> 'tags') as x",
        "select * from (select group_id as user_id, attributes -> 'size' as value from groups) as one",
    ],
)
def test_what_reads_may_be_asked_and_is_read_the_same_again(sql: str) -> None:
    once = read_query(sql)

    assert read_query(once) == once


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "line 1, column 1: expected one statement, not 0; write one SELECT"),
        (f"{GOOD}; select 1", "expected one statement, not 2"),
        ("select (", "line 1, column 8: this is no SQL near '('"),
        ("select 'a", "this cannot be read as SQL (TokenError)"),
        ("select " + "(" * 9000 + "1" + ")" * 9000, "this cannot be read as SQL (RecursionError)"),
        ("x" * (LONGEST + 1), f"{LONGEST + 1} characters; {LONGEST} at most"),
        ("delete from event_stream", "this is no SELECT"),
        ("insert into groups values (1)", "this is no SELECT"),
        ("drop table event_stream", "this is no SELECT"),
        ("copy event_stream to '/tmp/x'", "this is no SELECT"),
        ("do $$ begin end $$", "this is no SELECT"),
        ("set role postgres", "this is no SELECT"),
        ("values ('ada', 1)", "this is no SELECT"),
        ("with a as (delete from groups returning *) select user_id, 1 as value from a", "is no part of a query that"),
        ("select user_id, 1 as value into x from event_stream", "`INTO x` is no part of a query that only reads"),
        (f"{GOOD} for update", "`FOR UPDATE` is no part of"),
        ("select user_id, $1 as value from event_stream", "line 1, column 18: `$1` is a parameter"),
        ("select user_id, :a as value from event_stream", "is a parameter"),
        (
            "select user_id, 1 as value from sessions",
            "line 1, column 33: there is no table 'sessions' to read; use aud",
        ),
        ("select user_id, 1 as value from event_strem", "'event_strem' to read (did you mean event_stream?)"),
        ('select user_id, 1 as value from "Event_Stream"', "there is no table 'Event_Stream'"),
        ("select user_id, 1 as value from public.event_stream", "write tables without their schema"),
        ("select user_id, 1 as value from pg_catalog.pg_authid", "write tables without their schema"),
        # A name that WITH gives stands for the query only where PostgreSQL sees it so.
        ("with pg_shadow as (select * from pg_shadow) select 1 as user_id, 1 as value from pg_shadow", "'pg_shadow'"),
        ("with a as (select * from b), b as (select 1) select 1 as user_id, 1 as value from a", "no table 'b'"),
        ("select 1 as user_id, value from (with pg_user as (select 1) select 1 as value) x, pg_user", "'pg_user'"),
        ("select pg_sleep(9) as user_id, 1 as value", "line 1, column 8: function 'pg_sleep' cannot be used here"),
        ('select "pg_sleep"(9) as user_id, 1 as value', "function 'pg_sleep' cannot be used"),
        ("select pg_catalog.pg_sleep(9) as user_id, 1 as value", "write functions without their schema"),
        ("select pg_catalog.lower('a') as user_id, 1 as value", "write functions without their schema"),
        ("select * from pg_read_file('/etc/passwd')", "function 'pg_read_file'"),
        ("select * from dblink('x', 'y') as t(user_id text, value int)", "function 'dblink'"),
        ("select * from read_csv('/etc/passwd')", "function 'read_csv'"),
        ("select lo_import('/etc/passwd') as user_id, 1 as value", "function 'lo_import'"),
        ("select set_config('a', 'b', false) as user_id, 1 as value", "function 'set_config'"),
        ("select query_to_xml('drop table x', true, true, '') as user_id, 1 as value", "function 'query_to_xml'"),
        ("select current_user as user_id, 1 as value", "function 'current_user'"),
        ("select nextval('x') as user_id, 1 as value", "function 'nextval'"),
        ("select user_id from event_stream", "it gives user_id; it must give two columns: a kind of identifier"),
        ("select user_id, 1 as value, 2 as x from groups", "it gives user_id, value, x; it must give two columns"),
        ("select 1 as value, 2 as value", "it gives value, value; it must give"),
        ("select user_id, name from groups", "it gives user_id, name; it must give"),
    ],
)
def test_what_does_not_only_read_what_it_may_is_told_with_its_place(sql: str, said: str) -> None:
    with pytest.raises(BadQuery) as caught:
        read_query(sql)

    assert said in str(caught.value)
    assert str(caught.value).startswith("line ")


# What a definition says.


def defined(**spec: Any) -> Trait:
    return trait("spent", "", spec, {})


def test_a_definition_says_what_is_asked_and_how_often() -> None:
    one = defined(sql=GOOD, every="1 hour")

    assert one.query is not None
    assert (one.query.sql, one.query.every) == (read_query(GOOD), HOUR)
    assert (one.type, one.event, one.key) == ("trait", "spent", "sql:spent:00000000")
    again = defined(sql=GOOD + " -- said otherwise", every="2 hours", engine="postgres").query
    assert again is not None
    assert again.digest == one.query.digest


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sql": GOOD}, "spec: Object missing required field `every`; a trait with `sql` has `every`"),
        ({"sql": 5, "every": "1 hour"}, "spec.sql: Expected `str`, got `int`"),
        (
            {"sql": GOOD, "every": "soon"},
            "spec.every: 'soon' is no span of a minute or more; write a number and a unit",
        ),
        ({"sql": GOOD, "every": "59 seconds"}, "spec.every: '59 seconds' is no span of a minute or more"),
        ({"sql": GOOD, "every": "1 hour", "engine": "spark"}, "spec.engine: Invalid enum value 'spark'"),
        ({"sql": "drop table x", "every": "1 hour"}, "spec.sql: line 1, column 1: this is no SELECT"),
        *(
            (
                {"sql": GOOD, "every": "1 hour", field: value},
                f"spec: Object contains unknown field `{field}`; a trait w",
            )
            for field, value in {"aggregate": "count", "event": "x", "where": {}, "window": {}, "property": "x"}.items()
        ),
    ],
)
def test_a_definition_that_cannot_be_used_is_told_with_what_to_write(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(BadDefinition) as caught:
        defined(**spec)

    assert str(caught.value).startswith(said)


# What an answer says.

RULES = IdentityRules()


def test_an_answer_says_whose_value_is_what() -> None:
    rows = [(" Ada@Example.COM ", 12), ("bob@example.com", None), ("eve@example.com", {"a": [1]})]
    found = read_answer(("email", "value"), rows, RULES)
    assert found == Found(
        {"email:ada@example.com": b"12", "email:bob@example.com": None, "email:eve@example.com": b'{"a":[1]}'}
    )
    assert read_answer(("value", "user_id"), [(True, 42)], RULES).values == {"user_id:42": b"true"}
    profile = id_name(bytes(15) + b"\x0a")
    assert read_answer(("profile_id", "value"), [(profile[3:].upper(), 1)], RULES).values == {profile: b"1"}


def test_rows_that_say_nothing_of_use_are_counted_and_doubted() -> None:
    rows = [(None, 1), ("", 1), ("null", 1), (True, 1), ("ada", 1), ("bob", 1), ("ada", 1), ("ada", 2)]
    long = ("eve", "x" * MOST_BYTES)
    found = read_answer(("user_id", "value"), [*rows, long], RULES)
    assert (found.values, found.doubted) == ({"user_id:bob": b"1"}, {"user_id:ada", "user_id:eve"})
    assert found.counts == {"unusable": 5, "twice": 3}
    assert read_answer(("profile_id", "value"), [("42", 1)], RULES).counts == {"unusable": 1}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((), "it gives no column; it must give two columns"),
        (("user_id", "amount"), "it gives user_id, amount; it must give two columns"),
        (("userid", "value"), "column 'userid' is no kind of identifier; use profile_id, user_id, email"),
    ],
)
def test_an_answer_of_other_columns_is_told(columns: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadQuery, match=said):
        read_answer(columns, [], RULES)


NAMES = st.sampled_from("abcdef")
VALUES = st.dictionaries(NAMES, st.sampled_from([b"1", b"2"]))


@given(VALUES, st.dictionaries(NAMES, st.sampled_from([b"1", b"2", None])), st.sets(NAMES))
def test_what_moves_is_what_differs_and_of_what_is_doubted_nothing(
    before: dict[str, bytes], values: dict[str, bytes | None], doubted: set[str]
) -> None:
    values = {name: value for name, value in values.items() if name not in doubted}
    moves = compare(Found(values, doubted), before)

    after = {name: value for name, value in {**before, **moves.given}.items() if name not in moves.gone}
    said = {name: value for name, value in values.items() if value is not None}
    assert after == {**{name: value for name, value in before.items() if name in doubted}, **said}
    assert all(before.get(name) != value for name, value in moves.given.items())


# The event that gives a value.


@pytest.mark.parametrize("identifier", ["user_id:42", "email:ada@example.com", "anonymous_id:a-1", "android.id:a:b"])
def test_its_event_shows_the_identifier_and_no_other(identifier: str) -> None:
    event = event_of(Told(trait="spent", run=3, at=5, identifier=identifier, value=b'{"email":"eve@example.com"}'))

    assert identifiers(event, RULES) == (identifier,)
    assert (event.type, event.name, event.source, event.timestamp) == ("trait", "spent", "obverse", 5)
    assert event.message_id.startswith("trait:spent:3:")
    assert "ada" not in event.message_id


def test_nobody_outside_can_send_one() -> None:
    async def test(here: Installation) -> None:
        sent = {"type": "trait", "userId": "ada", "name": "spent", "properties": {"values": [9]}}
        answer = await here.take({"batch": [sent]}, WEB)
        assert answer.events == []
        (rejected,) = await here.rejected()
        assert (rejected.code, await here.events()) == ("unknown_type", [])
        assert "'trait'; use one of alias, group, identify" in rejected.reason

    collecting(test)

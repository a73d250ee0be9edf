"""What columns are taken for: their names, their types; and what is asked when nobody can tell."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load_steps import mapped, write
from obverse.core import json_values
from obverse.core.loads import BadMapping, BadType, Column, Wishes, from_tree, guessed, to_tree
from obverse.core.loads.values import converter, guess, guess_time


@pytest.mark.parametrize(
    ("values", "types"),
    [
        (["1", "-20", ""], ["integer"]),
        (["1", "2.50"], ["decimal"]),
        (["1,250.90", "3"], ["decimal:1,234.56"]),
        (["1.250,90", "3"], ["decimal:1.234,56"]),
        (["3,5"], ["decimal:1.234,56"]),
        (["yes", "No"], ["boolean"]),
        (["0", "1"], ["integer"]),
        (["01067", "99423"], ["text"]),
        (["2024-05-31"], ["date:YYYY-MM-DD"]),
        (["2024-05-31T10:00:00Z", "2024-05-31 11:00"], ["time:iso"]),
        (["31.05.2024"], ["date:DD.MM.YYYY"]),
        (["31.05.2024 10:00"], ["time:DD.MM.YYYY hh:mm"]),
        (["5/31/2024", "1/2/2024"], ["date:MM/DD/YYYY"]),
        (["31/5/2024", "1/2/2024"], ["date:DD/MM/YYYY"]),
        (["1/2/2024"], ["date:DD/MM/YYYY", "date:MM/DD/YYYY"]),
        (["12345678901234567890"], ["text"]),
        (["1e5"], ["text"]),
        (["2024-02-31"], ["text"]),
        (["", " "], ["text"]),
        ([], ["text"]),
    ],
)
def test_a_type_is_what_all_values_have(values: list[str], types: list[str]) -> None:
    assert guess(values) == types


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9), min_size=1
    )
)
def test_decimals_stay_exact_however_they_are_written(values: list[Decimal]) -> None:
    point = [f"{one:.2f}" for one in values]
    grouped = [f"{one:,.2f}" for one in values]
    comma = [text.translate({ord(","): ".", ord("."): ","}) for text in grouped]
    for spec, texts in (("decimal", point), ("decimal:1,234.56", grouped), ("decimal:1.234,56", comma)):
        reads = converter(spec)
        assert reads is not None
        assert [json_values.decode(bytes(reads(text))) for text in texts] == values
        assert all(found.startswith("decimal") for found in guess(texts))


@given(st.dates(min_value=date(1000, 1, 1)))
def test_dates_are_read_as_they_were_written(day: date) -> None:
    for spec, form in {"DD.MM.YYYY": "%d.%m.%Y", "MM/DD/YYYY": "%m/%d/%Y", "YYYY/MM/DD": "%Y/%m/%d"}.items():
        reads = converter(f"date:{spec}")
        assert reads is not None
        assert reads(day.strftime(form)) == day.isoformat()


def test_times_without_a_zone_are_where_it_is_said_they_are() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for spec, text in (("time:DD.MM.YYYY hh:mm", "31.05.2024 10:00"), ("time:iso", "2024-05-31T10:00")):
        reads = converter(spec, berlin)
        assert reads is not None
        assert reads(text) == "2024-05-31T08:00:00Z"
    reads = converter("time:iso", berlin)
    assert reads is not None
    assert reads("2024-05-31T10:00:00Z") == "2024-05-31T10:00:00Z"


@pytest.mark.parametrize(
    ("spec", "text", "instant"),
    [
        ("time:seconds", "1717149600", "2024-05-31T10:00:00Z"),
        ("time:seconds", "1717149600.5", "2024-05-31T10:00:00.500000Z"),
        ("time:milliseconds", "1717149600000", "2024-05-31T10:00:00Z"),
        ("time:microseconds", "1717149600000001", "2024-05-31T10:00:00.000001Z"),
    ],
)
def test_times_may_be_counted_since_1970(spec: str, text: str, instant: str) -> None:
    reads = converter(spec)
    assert reads is not None
    assert reads(text) == instant
    assert guess_time([text]) == [spec]


@pytest.mark.parametrize("spec", ["money", "date", "date:YY", "time:hh:mm", "date:DD.DD.YYYY", "", "decimal:1"])
def test_a_type_that_there_is_not_is_told_with_those_that_there_are(spec: str) -> None:
    with pytest.raises(BadType, match=r"use text, integer|needs each of"):
        converter(spec)


@pytest.mark.parametrize(
    ("spec", "text", "reason"),
    [
        ("integer", "many", "'many' is no integer"),
        ("integer", "1" * 70, "is no integer"),
        ("decimal", "1,5", "is no decimal such as 1234.56"),
        ("boolean", "perhaps", "is no boolean"),
        ("date:DD.MM.YYYY", "32.1.2024", "is no date such as DD.MM.YYYY"),
        ("time:DD.MM.YYYY hh:mm", "1.1.2024 25:00", "is no time such as"),
        ("time:iso", "soon", "is no time such as 2024"),
        ("time:seconds", "soon", "is no number of seconds since 1970"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_told(spec: str, text: str, reason: str) -> None:
    reads = converter(spec)
    assert reads is not None
    with pytest.raises(ValueError, match=reason):
        reads(text)


def test_usual_names_are_known_and_others_stay(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "customer_id,E-mail,first name,PLAN,Updated At\n7,a@b.c,Ada,pro,2024-05-31 10:00\n")
    mapping = mapped(path)
    assert mapping.type == "identify"
    assert {name: column.to for name, column in mapping.columns.items()} == {
        "customer_id": "user_id",
        "E-mail": "email",
        "first name": "firstName",
        "PLAN": "PLAN",
        "Updated At": "timestamp",
    }


def test_a_name_of_an_event_makes_tracks_of_rows_whose_id_is_no_persons(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,user id,order date,total\n1,7,31.05.2024 10:00,5.00\n")
    mapping = mapped(path, event="Order Completed", message_id="id")
    assert mapping.type == "track"
    assert {name: (column.to, column.type) for name, column in mapping.columns.items()} == {
        "id": ("message_id", "text"),
        "user id": ("user_id", "text"),
        "order date": ("timestamp", "time:DD.MM.YYYY hh:mm"),
        "total": ("total", "decimal"),
    }


def test_whole_events_are_known_by_their_fields(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"type":"track","event":"A","userId":"1"}\n{"type":"page","anonymousId":"x"}\n')
    assert mapped(path).type == "events"


def test_what_nobody_can_tell_is_said_or_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user_id,birthday,count\n" + "1,1/2/2024,7\n" * 19 + "1,1/2/2024,unknown\n")
    columns = mapped(path).columns
    assert columns["birthday"] == Column("birthday", "text", "may be date:DD/MM/YYYY or date:MM/DD/YYYY")
    assert columns["count"] == Column("count", "text", "most are integer")
    path = write(tmp_path, "b.csv", "user_id,date\n1,1/2/2024\n")
    with pytest.raises(BadMapping, match=r"say which, --type \"date=time:DD/MM/YYYY\""):
        mapped(path, event="Seen")
    assert mapped(path, event="Seen", types={"date": "time:MM/DD/YYYY"}).columns["date"].type == "time:MM/DD/YYYY"


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"map": {"user_id": "Kunde"}}, "there is no column 'Kunde'; there are"),
        ({"map": {"user_id": "user-id"}}, "did you mean 'user_id'"),
        ({"types": {"nothing": "text"}}, "there is no column 'nothing'"),
        ({"skip": ["nothing"]}, "there is no column 'nothing'"),
        ({"message_id": "nothing"}, "there is no column 'nothing'"),
        ({"skip": ["user_id", "email"]}, "no column says whose a row is"),
        ({"type": "track"}, "no column names what happened"),
        ({"types": {"plan": "money"}}, "column 'plan': there is no type 'money'"),
        ({"map": {"email": "plan"}}, "columns 'email' and 'plan' are both email"),
        ({"zone": "Berlin"}, "there is no time zone 'Berlin'"),
        ({"at": "yesterday"}, "'yesterday' is no time"),
        ({"map": {"timestamp": "plan"}}, "its values are no times"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_told(tmp_path: Path, wishes: dict[str, object], reason: str) -> None:
    path = write(tmp_path, "a.csv", "user_id,email,plan\n1,a@b.c,pro\n")
    with pytest.raises(BadMapping, match=reason):
        mapped(path, **wishes)


@pytest.mark.parametrize("wishes", [{"event": "Seen\udcff"}, {"event": "Seen", "map": {"ti\udce9r": "plan"}}])
def test_words_that_are_not_utf_8_are_told(tmp_path: Path, wishes: dict[str, object]) -> None:
    path = write(tmp_path, "a.csv", "user_id,email,plan\n1,a@b.c,pro\n")
    with pytest.raises(BadMapping, match="is not UTF-8: write it as UTF-8"):
        mapped(path, **wishes)


def test_a_mapping_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'user_id,email,price\n1,a@b.c,"1,50"\n')
    mapping = mapped(path, event="Seen", skip=["email"], at="2024-01-01")
    assert from_tree(to_tree(mapping), ["user_id", "email", "price"]) == mapping


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (None, "this is no mapping"),
        ([], "this is no mapping"),
        ({"kind": "trait", "type": "identify"}, "this is no mapping"),
        ({"type": "sale"}, "Invalid enum value 'sale'"),
        ({"type": "identify", "colums": {}}, "unknown field `colums`"),
        ({"type": "identify", "columns": {"a": {"to": 7}}}, r"Expected `str \| null`, got `int`"),
        ({"type": "identify", "columns": {"b": {"to": "user_id"}}}, "there is no column 'b'"),
        ({"type": "events", "columns": {"a": {"type": "txt"}}}, "column 'a': there is no type 'txt'"),
        ({"type": "identify", "columns": {"a": {"type": "date:"}}}, "column 'a': there is no type 'date:'"),
        *(
            ({"type": "identify", "columns": {"a": {"to": "timestamp", "type": kind}}}, f"and {kind} is no time")
            for kind in ("integer", "decimal:1.234,56", "boolean")
        ),
    ],
)
def test_a_mapping_that_is_none_is_told_with_its_place(tree: object, reason: str) -> None:
    with pytest.raises(BadMapping, match=reason):
        from_tree(tree, ["a"])


def test_no_rows_give_a_mapping_of_texts() -> None:
    assert guessed(["email"], [], Wishes()).columns == {"email": Column("email")}

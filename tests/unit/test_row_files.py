"""Files of rows as spreadsheets, databases and warehouses write them."""

from __future__ import annotations

import tracemalloc
from collections import deque
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from load_steps import events_of, read, write
from obverse.adapters.row_files import UnreadableFile, digest_of_file, open_rows

ROWS = [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Bob, the\nbuilder"}]
CSV = 'id,name\n1,Ada\n2,"Bob, the\nbuilder"\n'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_dialect_of_csv_is_found_out(tmp_path: Path, delimiter: str, end: str) -> None:
    text = f'id{delimiter}name{end}1{delimiter}Ada{end}{end}2{delimiter}"Bob, the\nbuilder"{end}'
    rows = read(write(tmp_path, "a.csv", text))
    assert [dict(row.cells) for row in rows] == ROWS
    assert [row.line for row in rows] == [2, 4]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a", "a.txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding_is_found_out(tmp_path: Path, name: str, encoding: str) -> None:
    path = write(tmp_path, name, "id,name\n1,Ada\n2,Zoë\n3,Łucja\n".encode(encoding))
    assert [row.cells["name"] for row in read(path)] == ["Ada", "Zoë", "Łucja"]


def test_what_is_read_as_latin_1_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,name\n1,Zoë\n2,Jürgen\n".encode("latin-1"))
    rows = open_rows(path)
    assert "read as Latin-1" in rows.notes[0]
    assert [row.cells["name"] for row in rows.rows()] == ["Zoë", "Jürgen"]
    assert [row.cells["name"] for row in read(path, encoding="cp850")] != ["Zoë", "Jürgen"]


def test_a_delimiter_may_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a:b\n1:2\n")
    assert dict(read(path, delimiter=":")[0].cells) == {"a": "1", "b": "2"}


def test_columns_without_a_name_have_one_by_their_place(tmp_path: Path) -> None:
    assert list(open_rows(write(tmp_path, "a.csv", "id,,name\n1,2,3\n")).columns) == ["id", "column_2", "name"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz", "a.json", "a"])
def test_json_lines_keep_their_types(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, '\ufeff{"a": 1.10, "b": "x"}\n\n{"b": null, "c": [1]}')
    rows = open_rows(path)
    assert list(rows.columns) == ["a", "b", "c"]
    found = list(rows.rows())
    assert [row.line for row in found] == [1, 3]
    assert [
        {name: bytes(cell) for name, cell in row.cells.items() if isinstance(cell, msgspec.Raw)} for row in found
    ] == [
        {"a": b"1.10", "b": b'"x"'},
        {"b": b"null", "c": b"[1]"},
    ]


def parquet(folder: Path, table: dict[str, Any]) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table(table), path, row_group_size=2)
    return path


def test_parquet_keeps_its_types_nested_ones_too(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        {
            "user_id": pa.array([7, 8, None]),
            "total": pa.array([Decimal("12.50"), None, Decimal("1.00")]),
            "share": pa.array([0.5, float("nan"), None]),
            "when": pa.array([datetime(2024, 5, 31, 10, tzinfo=UTC)] * 3),
            "local": pa.array([datetime(2024, 5, 31, 10, 0, 0, 5, UTC).replace(tzinfo=None)] * 3),
            "day": pa.array([date(2024, 5, 31)] * 3),
            "tags": pa.array([["a"], [], None]),
            "address": pa.array([{"city": "Berlin", "zip": {"code": "10115"}}, None, None]),
            "scores": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
            "raw": pa.array([b"text", b"\xff\xfe", None]),
            "email": pa.array(["a@b.c", "007", "d@e.f"]),
        },
    )
    rows = list(open_rows(path).rows())
    assert [row.line for row in rows] == [1, 2, 3]
    told = [msgspec.json.decode(bytes(row.original)) for row in rows if isinstance(row.original, bytes)]
    assert told[0] == {
        "user_id": 7,
        "total": 12.5,
        "share": 0.5,
        "when": "2024-05-31T10:00:00Z",
        "local": "2024-05-31T10:00:00.000005Z",
        "day": "2024-05-31",
        "tags": ["a"],
        "address": {"city": "Berlin", "zip": {"code": "10115"}},
        "scores": {"a": 1},
        "raw": "text",
        "email": "a@b.c",
    }
    assert b'"total":12.50' in bytes(rows[0].original)  # type: ignore[arg-type]  # of JSON it is bytes
    assert told[1]["share"] is None
    assert told[1]["raw"] == "//4="
    assert told[1]["email"] == "007"
    assert "user_id" not in told[2]
    assert [event.get("userId") for event in events_of(path)] == ["7", "8", None]


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    one, same, other = (write(tmp_path, name, text) for name, text in (("a", CSV), ("b", CSV), ("c", CSV + "3,Cid\n")))
    assert digest_of_file(one) == digest_of_file(same) != digest_of_file(other)


def test_it_tells_how_far_it_has_read(tmp_path: Path) -> None:
    dice = Random(3)
    text = "id,name\n" + "".join(f"{dice.random()},Ada\n" for _ in range(100_000))
    for name in ("a.csv", "a.csv.gz"):
        rows = open_rows(write(tmp_path, name, text))
        reading = rows.rows()
        places = []
        while list(islice(reading, 20_000)):
            places.append(rows.position)
        assert places == sorted(places)
        assert 0 < places[0] < 0.5
        assert places[-1] == 1


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    first, line = ("id,name\n", "1,Ada\n") if name == "a.csv" else ("", '{"id":1,"name":"Ada"}\n')
    path = write(tmp_path, name, first + line * 30_000)

    def peak(rows: int) -> int:
        tracemalloc.start()
        deque(islice(open_rows(path).rows(), rows), maxlen=0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is imported
    assert peak(30_000) < peak(5_000) + 100_000


def test_a_mended_reject_file_is_read_without_what_we_have_said_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,name,line,column,reason\n1,Ada,17,name,bad\n2,Bob\n")
    rows = read(path)
    assert [dict(row.cells) for row in rows] == [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Bob"}]
    path = write(
        tmp_path, "a.jsonl", '{"id":1,"rejected":{"line":17,"column":"name","reason":"bad"}}\n{"id":2,"rejected":1}\n'
    )
    assert [sorted(row.cells) for row in read(path)] == [["id"], ["id", "rejected"]]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path, {"a": [1]})
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnreadableFile, match=r"pip install 'obverse\[warehouse\]'"):
        open_rows(path)


def test_each_reading_begins_at_the_beginning(tmp_path: Path) -> None:
    rows = open_rows(write(tmp_path, "a.csv", CSV))
    first, second = rows.rows(), rows.rows()
    assert next(first).cells == next(second).cells

"""Files that nobody should have made: each tells line and reason, nothing crashes, and nothing fills the memory."""

from __future__ import annotations

import gzip
import tracemalloc
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from load_steps import flaws_of, read, write
from obverse.adapters.row_files import UnreadableFile, open_rows
from obverse.adapters.row_files.row_file import MOST

NOISE = Random(7).randbytes(200_000)


def test_a_nul_makes_no_row(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"id,name\n1,A\0da\n2,Bob\n")
    assert flaws_of(path) == [(2, "holds the character NUL, which no text has; take it out")]
    assert read(path)[1].cells == {"id": "2", "name": "Bob"}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_of_a_hundred_megabytes_is_passed_over_in_little_memory(tmp_path: Path, name: str) -> None:
    path, part = tmp_path / name, b"x" * (1 << 20)
    before, after = (b"id,name\n1,Ada\n", b"2,Bob\n") if name == "a.csv" else (b'{"id":"1"}\n', b'{"id":"2"}\n')
    with path.open("wb") as file:
        file.write(before + b'{"a":"')
        for _ in range(100):
            file.write(part)
        file.write(b'"}\n' + after)
    tracemalloc.start()
    found = read(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20 * MOST
    assert [row.flaw is None for row in found] == [True, False, True]
    ((line, reason),) = flaws_of(path)
    assert line == (3 if name == "a.csv" else 2)
    assert reason.startswith(f"more than {MOST}")


def test_a_quote_that_is_never_closed_costs_the_rows_it_swallows_and_says_so(tmp_path: Path) -> None:
    rest = "".join(f"{number},name {number}\n" for number in range(100_000))
    path = write(tmp_path, "a.csv", 'id,name\n1,"Ada\n' + rest)
    (line, reason), *more = flaws_of(path)
    assert line == 2
    assert "are one record" in reason
    assert "is there a quote that is never closed?" in reason
    assert not more
    good = [row for row in read(path) if row.flaw is None]
    assert good[-1].cells["id"] == "99999"


def test_a_quote_that_is_open_at_the_end_of_the_file_makes_no_row_of_what_it_swallows(tmp_path: Path) -> None:
    hint = "the file ends within quotes; is there a quote that is never closed?"
    path = write(tmp_path, "a.csv", 'id,name\n0,Eve\n1,"Ada\n2,Bob\n')
    assert flaws_of(path) == [(3, f"lines 3 to 4 are one record: {hint}")]
    assert [row.cells for row in read(path) if row.flaw is None] == [{"id": "0", "name": "Eve"}]
    assert flaws_of(write(tmp_path, "b.csv", 'id,name\n1,"Ada')) == [(2, hint)]
    # Closed, with or without an end of the line, it is a row.
    for end in ('"', '"\n', '"\r', '"\n\n'):
        (row,) = read(write(tmp_path, "c.csv", 'id,name\n1,"Ada\nBob' + end))
        assert row.cells == {"id": "1", "name": "Ada\nBob"}
    with pytest.raises(UnreadableFile, match="line 1: lines 1 to 2 are one record"):
        open_rows(write(tmp_path, "d.csv", 'id,"name\n1,Ada\n'))


def test_bytes_of_another_encoding_cost_one_row(tmp_path: Path) -> None:
    good = "".join(f"{number},Zoë\n" for number in range(100))
    path = write(tmp_path, "a.csv", ("id,name\n" + good).encode() + "100,Jürgen\n".encode("latin-1") + b"101,Eve\n")
    ((line, reason),) = flaws_of(path)
    assert line == 102
    assert reason.startswith("character 6 of the line is not UTF-8; save the file in one encoding")
    assert read(path)[-1].cells == {"id": "101", "name": "Eve"}


def test_ragged_rows_are_told_by_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,b,c\n1,2\n1,2,3\n1,2,3,4\n\n1\n")
    hint = "; is a delimiter or a quote missing or left over?"
    assert flaws_of(path) == [
        (2, "there are 2 fields, and 3 columns" + hint),
        (4, "there are 4 fields, and 3 columns" + hint),
        (6, "there is 1 field, and 3 columns" + hint),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "is empty: its first line should name the columns"),
        ("a.csv", b" \n\n", "is empty"),
        ("a.jsonl", b"\n", "is empty: it should have one JSON object a line"),
        ("a.csv", b"email,name,email\na,b,c\n", "line 1: columns 1 and 3 are both called 'email'; rename one"),
        ("a.csv", b"ada@example.com,Ada\nbob@example.com,Bob\n", "looks like a value, not like the name of a column"),
        ("a.csv", NOISE, "is no text: .* control characters"),
        ("a.csv", b"PK\x03\x04" + NOISE, "is no text"),
        ("a.csv", b"\xff\xfe" + NOISE, "is no text"),
        ("a.csv", b"a" * (MOST + 10) + b",b\n1,2\n", "line 1: more than 1048576 characters"),
        ("a.jsonl", b'[{"a": 1}]', "is one JSON list; write one object a line"),
        ("a.jsonl", b"id,name\n1,2\n", "is no JSON; it should have one JSON object a line"),
        ("a.jsonl", b"PAR1" + NOISE, "is Parquet: name it so"),
        ("a.jsonl", b'{\n  "a": 1\n}\n', "none of its first lines is a JSON object"),
        ("a.parquet", b"id,name\n1,2\n", "is no Parquet file: it does not begin with PAR1"),
        ("a.parquet", b"", "is no Parquet file"),
        ("a.parquet", b"PAR1" + NOISE, "is no whole Parquet file"),
        ("a.parquet", b"PAR1" + NOISE + b"\x10\x00\x00\x00PAR1", "is no whole Parquet file"),
    ],
)
def test_a_file_that_holds_no_rows_says_why(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        open_rows(write(tmp_path, name, content))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UnreadableFile, match="cannot be read"):
            open_rows(path)


def test_an_encoding_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="there is no encoding 'utf-9'"):
        read(write(tmp_path, "a.csv", "a,b\n1,2\n"), encoding="utf-9")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "hz", "idna", "punycode", "undefined"])
def test_an_encoding_in_which_the_file_cannot_be_read_is_told(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "a.csv", b"id,name\n1,Zo\xeb ~{\n2,Bob\n")
    with pytest.raises(UnreadableFile, match=f"cannot be read as {encoding}"):
        read(path, encoding=encoding)


def test_a_delimiter_of_two_characters_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="the delimiter '::' is more than one character"):
        read(write(tmp_path, "a.csv", "a::b\n1::2\n"), delimiter="::")


def test_names_of_columns_alone_are_no_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv", "id,email\n")) == []


def test_a_packed_file_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    whole = gzip.compress(b"id,name\n" + b"".join(b"%d,Ada\n" % number for number in range(200_000)))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    rows = open_rows(path).rows()
    first = list(islice(rows, 10_000))
    assert first[-1].line == 10_001
    with pytest.raises(UnreadableFile, match=r"is packed with gzip, and broken: .* bring the whole file here"):
        deque(rows, maxlen=0)


def test_json_that_is_none_costs_its_line(tmp_path: Path) -> None:
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    lines = [b'{"id": 1}', b'{"id": NaN}', b'{"id": "\xff"}', b"[1]", b'"text"', deep, b'{"id": 2}', b'{"id": 3, "na']
    path = write(tmp_path, "a.jsonl", b"\n".join(lines))
    assert [(line, reason.split(":")[0].split(";")[0]) for line, reason in flaws_of(path)] == [
        (2, "no JSON"),
        (3, "byte 9 is not UTF-8"),
        (4, 'expected one JSON object, such as {"email"'),
        (5, 'expected one JSON object, such as {"email"'),
        (6, "nested too deep"),
        (8, "no JSON"),
    ]
    assert [row.line for row in read(path) if row.flaw is None] == [1, 7]


def test_noise_never_crashes(tmp_path: Path) -> None:
    dice = Random(11)
    alphabet = [
        b",",
        b'"',
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"{",
        b"}",
        b"a",
        b"1",
        b"=",
        b"\xc3\xab",
        b"\\",
        b":",
        b"[",
        b"PAR1",
    ]
    for round_ in range(100):
        content = b"".join(dice.choices(alphabet, k=dice.randrange(1, 60)))
        for name in ("a.csv", "a.jsonl", "a.parquet", "a"):
            path = write(tmp_path, f"{round_}{name}", content)
            with suppress(UnreadableFile):
                assert all(row.line >= 1 for row in open_rows(path).rows())

"""What the cutter of a job in Spark keeps beside the checkpoint, and the rows that it makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

import spark_parts
from obverse.adapters.spark.cutting import KEPT_FILES, CutterFiles, CutterLost, cut
from obverse.adapters.spark.submitting import write_library


def words(folder: Path) -> dict[str, Any]:
    return {"checkpoint": folder.as_uri(), "workspace": "main", "hosted": spark_parts.__name__}


def batch(first: int, *slices: list[tuple[int, dict[int, int]]]) -> pa.RecordBatch:
    """Records of `routed`, as Spark gives them."""
    places = list(range(first, first + len(slices)))
    return pa.RecordBatch.from_pydict({"offset": places, "value": [msgspec.msgpack.encode(one) for one in slices]})


def numbers(rows: list[pa.RecordBatch]) -> list[tuple[int, int, int, int]]:
    """Bucket, place, step and the number of each slice."""
    return [
        (row["bucket"], row["place"], row["step"], msgspec.msgpack.decode(row["record"])[1])
        for one in rows
        for row in one.to_pylist()
    ]


def test_slices_are_numbered_on_where_the_last_micro_batch_ended(tmp_path: Path) -> None:
    first = list(cut(words(tmp_path), [batch(0, [(3, {}), (1, {})], [(3, {})])]))
    assert numbers(first) == [(3, 0, 0, 0), (1, 0, 1, 1), (3, 1, 0, 2)]
    second = list(cut(words(tmp_path), [batch(2, [(0, {})]), batch(3, [(1, {})])]))
    assert numbers(second) == [(0, 2, 0, 3), (1, 3, 0, 4)]


def test_a_micro_batch_that_is_done_again_is_cut_the_same(tmp_path: Path) -> None:
    parts = [batch(0, [(0, {})], [(0, {}), (1, {})]), batch(2, [(0, {})]), batch(3, [(1, {})])]
    found = [numbers(list(cut(words(tmp_path), [one]))) for one in parts]
    for again in (0, 1, 2, 1, 0):
        assert numbers(list(cut(words(tmp_path), [parts[again]]))) == found[again]


def test_an_attempt_that_ends_half_way_keeps_nothing(tmp_path: Path) -> None:
    big = [(0, dict.fromkeys(range(40000), 2**31))] * 10
    attempt = cut(words(tmp_path), [batch(0, big, big), batch(2, big)])
    next(attempt)
    del attempt
    assert numbers(list(cut(words(tmp_path), [batch(0, [(0, {})])]))) == [(0, 0, 0, 0)]


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    assert list(cut(words(tmp_path), [])) == []


def test_a_file_that_is_gone_is_not_passed_over(tmp_path: Path) -> None:
    files = CutterFiles(tmp_path.as_uri())
    files.keep(50, b"fifty")
    with pytest.raises(CutterLost, match=r"00050 to 0+50, and none for 7 of `routed`: restore the folder"):
        files.before(7)


def test_the_latest_file_before_an_offset_counts_and_old_ones_go(tmp_path: Path) -> None:
    files = CutterFiles(tmp_path.as_uri())
    for following in range(10, 10 * KEPT_FILES + 100, 10):
        files.keep(following, b"%d" % following)
    assert files.before(10 * KEPT_FILES + 5) == b"%d" % (10 * KEPT_FILES)
    kept = sorted(path.name for path in (tmp_path / "cutter").iterdir())
    assert len(kept) == KEPT_FILES
    assert int(kept[-1]) == 10 * KEPT_FILES + 90


def test_what_executors_import_is_in_the_library_and_needs_little(tmp_path: Path) -> None:
    library = tmp_path / "library.zip"
    write_library(library, [Path(spark_parts.__file__)])
    program = f"""
import sys
sys.path.insert(0, {str(library)!r})
import spark_parts
from obverse.adapters.spark import cutting, folding, hosted, shelf
assert all({str(library)!r} in one.__file__ for one in (spark_parts, cutting, folding, hosted, shelf))
hosted.open_cutter("main", b"")
hosted.machines("main", ())
print(*{{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    theirs = set(done.stdout.split()) - {"__main__", "obverse", "spark_parts"}
    assert not theirs & {"asyncpg", "pydantic", "structlog", "aiohttp", "confluent_kafka", "pyspark"}
    assert {"msgspec", "zstandard", "pyarrow"} <= theirs

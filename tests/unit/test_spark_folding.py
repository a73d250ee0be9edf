"""A bucket's part of a micro-batch in Spark: order, the shelf that writes late, and machines that stay awake."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

import spark_parts
from obverse.adapters.spark.folding import MOVE, SLICE, Arrival, Folding, Leaving, State
from obverse.adapters.spark.shelf import LateShelf
from spark_parts import Folded, Move, Slice


class Kept:
    """What a state store keeps of one bucket; `StateMap` and `Mark` at once."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.mark: bytes | None = None
        self.writes: list[Mapping[bytes, bytes | None]] = []
        self.reads = 0

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        return list(self.values.items())

    def state(self) -> State:
        return State(Values(self), Marked(self))

    def copy(self) -> Kept:
        other = Kept()
        other.values, other.mark = dict(self.values), self.mark
        return other


class Values:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def read(self, key: bytes) -> bytes | None:
        self._kept.reads += 1
        return self._kept.values.get(key)

    def write(self, entries: Mapping[bytes, bytes | None]) -> None:
        self._kept.writes.append(entries)
        for key, value in entries.items():
            if value is None:
                self._kept.values.pop(key, None)
            else:
                self._kept.values[key] = value

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        return self._kept.entries()


class Marked:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def read(self) -> bytes | None:
        return self._kept.mark

    def write(self, value: bytes) -> None:
        self._kept.mark = value


KEYS = some.sampled_from([b"a", b"b", b"c"])
DEEDS = some.one_of(
    some.tuples(some.just("put"), KEYS, some.binary(max_size=3)),
    some.tuples(some.just("remove"), KEYS, some.just(b"")),
    some.tuples(some.just("write"), some.just(b""), some.just(b"")),
)


@given(some.lists(DEEDS))
def test_a_shelf_that_writes_late_holds_what_one_that_writes_at_once_would(
    deeds: list[tuple[str, bytes, bytes]],
) -> None:
    kept, plain = Kept(), dict[bytes, bytes]()
    shelf = LateShelf(Values(kept))
    for deed, key, value in deeds:
        if deed == "put":
            shelf.put(key, value)
            plain[key] = value
        elif deed == "remove":
            shelf.remove(key)
            plain.pop(key, None)
        else:
            shelf.write()
        assert [shelf.get(one) for one in (b"a", b"b", b"c")] == [plain.get(one) for one in (b"a", b"b", b"c")]
    assert dict(shelf.scan()) == plain == kept.values


def test_what_is_put_many_times_is_written_once() -> None:
    kept = Kept()
    shelf = LateShelf(Values(kept))
    for value in range(50):
        shelf.put(b"a", bytes([value]))
    assert not kept.writes
    shelf.write()
    shelf.write()
    assert kept.writes == [{b"a": bytes([49])}]


@pytest.fixture
def folding(tmp_path: Path) -> Folding:
    return made(tmp_path)


def made(folder: Path) -> Folding:
    words = {
        "checkpoint": folder.as_uri(),
        "workspace": "main",
        "hosted": spark_parts.__name__,
        "trait_modules": [],
        "topics": {"folded": "to.folded", "moves": "to.moves"},
    }
    return Folding(words)


def slice_of(number: int, amounts: dict[int, int]) -> Arrival:
    return Arrival(SLICE, 0, number, 0, msgspec.msgpack.encode(Slice(number, amounts)))


def move_of(number: int, amount: int) -> Arrival:
    return Arrival(MOVE, 1, number, 0, msgspec.msgpack.encode(Move(2, number, 10, amount)))


def folded(leavings: Iterator[Leaving]) -> list[Folded]:
    return [msgspec.msgpack.decode(one.value, type=Folded) for one in leavings if one.topic == "to.folded"]


def test_moves_come_first_and_slices_in_the_order_in_which_they_were_routed(folding: Folding) -> None:
    arrivals = [slice_of(8, {1: 1}), move_of(2, 1), slice_of(3, {1: 1}), move_of(1, 1)]
    found = folded(folding.fold(3, arrivals, Kept().state()))
    assert [one.cut for one in found] == [None, None, 3, 8]
    assert [one.number for one in found] == [0, 1, 2, 3]


def test_what_goes_to_another_bucket_is_keyed_by_it(folding: Folding) -> None:
    leavings = list(folding.fold(3, [slice_of(0, {20: 5})], Kept().state()))
    assert [(one.topic, one.key) for one in leavings] == [
        ("to.folded", b"\0\0\0\3"),
        ("to.moves", b"\0\0\0\4"),
    ]


def test_a_machine_stays_awake_over_the_state_that_it_left(folding: Folding) -> None:
    kept = Kept()
    list(folding.fold(3, [slice_of(0, {1: 5})], kept.state()))
    kept.reads = 0
    found = folded(folding.fold(3, [slice_of(1, {1: 5})], kept.state()))
    assert found[0].totals == {1: 10}
    assert kept.reads == 0


def test_a_machine_is_made_anew_where_the_state_is_not_the_one_that_it_left(folding: Folding) -> None:
    kept = Kept()
    list(folding.fold(3, [slice_of(0, {1: 5})], kept.state()))
    before = kept.copy()
    # A micro-batch that was folded, and not committed: it is done again over the state before it …
    list(folding.fold(3, [slice_of(1, {1: 100})], kept.state()))
    again = folded(folding.fold(3, [slice_of(1, {1: 100})], before.state()))
    assert again[0].totals == {1: 105}
    # … and what was folded elsewhere meanwhile is seen.
    before.values[b"total 1"] = (7).to_bytes(8, "big")
    before.mark = b"another"
    assert folded(folding.fold(3, [slice_of(2, {1: 1})], before.state()))[0].totals == {1: 8}


def test_a_machine_that_failed_is_not_used_again(folding: Folding) -> None:
    kept = Kept()
    list(folding.fold(3, [slice_of(5, {1: 5})], kept.state()))
    with pytest.raises(AssertionError, match="slice 2 came late"):
        list(folding.fold(3, [slice_of(2, {1: 5})], kept.state()))
    assert folded(folding.fold(3, [slice_of(6, {1: 1})], kept.state()))[0].totals == {1: 6}


def test_machines_of_two_checkpoints_are_two(folding: Folding, tmp_path: Path) -> None:
    list(folding.fold(3, [slice_of(5, {1: 5})], Kept().state()))
    other = made(tmp_path / "other")
    assert folded(other.fold(3, [slice_of(0, {1: 1})], Kept().state()))[0].totals == {1: 1}


@pytest.fixture
def collector() -> Iterator[Any]:
    """The garbage collector, left as it was."""
    threshold = gc.get_threshold()
    yield gc
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("collector")
def test_after_a_task_the_collector_does_not_look_at_all_that_is_awake(folding: Folding) -> None:
    seen = set()
    for _ in range(200):
        folding.rest()
        seen.add(gc.get_freeze_count() > 0)
    assert seen == {True, False}

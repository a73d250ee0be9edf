"""Records of Kinesis as we write them: what is read back is what was written, or is known not to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.adapters.kinesis.assembly import Assembly, Held, Missing
from obverse.adapters.kinesis.records import (
    FORMAT,
    HEAD_BYTES,
    MAGIC,
    MOST_PARTITIONS,
    RECORD_BYTES,
    Foreign,
    Kind,
    Part,
    Place,
    claim,
    pack,
    read,
    unpack,
)
from obverse.adapters.kinesis.shards import Shard, following, oldest
from obverse.contracts.event_log_steps import noise
from obverse.ports.event_log import Batch

PLACE = Place("main", "events", 3)


def head(first: int = 7, count: int = 2, epoch: int = 5) -> Part:
    return Part(kind=Kind.PART, partition=PLACE.partition, epoch=epoch, first=first, count=count, appended_at=11)


# One record.


@given(st.binary(max_size=3000), st.integers(1, 400))
def test_what_was_packed_comes_back(records: bytes, part_bytes: int) -> None:
    parts = [read("main", "events", data) for data in pack(PLACE, head(), records, part_bytes=part_bytes)]
    assert [(one.number, one.of) for one in parts if isinstance(one, Part)] == [
        (n, len(parts)) for n in range(len(parts))
    ]
    bodies = [one.body for one in parts if isinstance(one, Part)]
    assert all(
        isinstance(one, Part) and (one.first, one.end, one.epoch, one.appended_at) == (7, 9, 5, 11) for one in parts
    )
    assert unpack(bodies) == ("", records)


def test_no_record_is_larger_than_kinesis_takes() -> None:
    sizes = [len(data) + len(str(MOST_PARTITIONS)) for data in pack(PLACE, head(), noise(1, 3_000_000))]
    assert len(sizes) == 3
    assert max(sizes) < RECORD_BYTES


@given(st.data())
def test_a_changed_bit_is_never_overlooked(data: st.DataObject) -> None:
    (record,) = pack(PLACE, head(), b"some records")
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    changed = bytearray(record)
    changed[bit // 8] ^= 1 << bit % 8
    found = read("main", "events", bytes(changed))
    if bit < 8 * HEAD_BYTES:
        assert isinstance(found, Foreign), "of a head that was changed nothing is believed"
    else:
        assert isinstance(found, Part)
        assert (found.first, found.count) == (7, 2)
        assert "checksum" in found.damage


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    assert isinstance(read("main", "events", data), Foreign)
    (record,) = pack(PLACE, head(), b"some records")
    found = read("main", "events", record[: len(data)])
    assert isinstance(found, Foreign) or found.damage


def test_a_record_of_another_log_is_not_ours() -> None:
    for data in (claim(PLACE, 5), *pack(PLACE, head(), b"x")):
        assert isinstance(read("main", "events", data), Part)
        assert isinstance(read("other", "events", data), Foreign)
        assert isinstance(read("main", "changes", data), Foreign)


def test_what_claims_to_be_huge_is_not_unpacked() -> None:
    (bomb,) = pack(PLACE, head(), bytes(200_000_000))
    part = read("main", "events", bomb)
    assert isinstance(part, Part)
    assert "claims to hold more" in unpack([part.body])[0]
    assert unpack([b""])[0]


def test_partitions_are_evenly_spaced_and_none_moves_when_there_are_more() -> None:
    keys = [Place("main", "events", number).hash_key for number in range(MOST_PARTITIONS)]
    assert len(set(keys)) == MOST_PARTITIONS
    assert all(0 < key < 2**128 for key in keys)
    for count in (1, 2, 4, 8, 64, 256):
        assert sorted(key * count >> 128 for key in keys[:count]) == list(range(count))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0", "1 bytes that were not written by a log of ours"),
        (MAGIC + bytes([FORMAT + 1]) + bytes(100), "written in format 02, which this version cannot read"),
        (MAGIC + bytes([FORMAT]) + b"short", "its 10 bytes are less than a head has"),
        (MAGIC + bytes([FORMAT]) + bytes(200), "the checksum does not fit its head, or it belongs to another log"),
        (claim(Place("other", "events", 0), 1), "the checksum does not fit its head, or it belongs to another log"),
    ],
)
def test_what_is_not_ours_says_why(data: bytes, reason: str) -> None:
    assert read("main", "events", data) == Foreign(reason)


# One partition.


History = tuple[list[bytes], list[tuple[int, bytes]], list[int]]
"""What stands in a shard, what was appended (first offset, records), and by which epoch."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    """What stands in a shard: things twice, late, half written or by who had been followed; and what was appended."""
    stored: list[bytes] = []
    appended: list[tuple[int, bytes]] = []
    epochs: list[int] = []
    older: list[bytes] = []
    """What an appender that was followed may still send."""
    end = 0
    for epoch in range(1, draw(st.integers(1, 4)) + 1):
        stored.append(claim(PLACE, epoch))
        stored += draw(st.lists(st.sampled_from(older), max_size=2)) if older else []
        copies: list[bytes] = []
        for number in range(draw(st.integers(0, 4))):
            count = draw(st.integers(1, 3))
            body = f"{epoch} {number} ".encode() * draw(st.integers(1, 9)) + noise(number, 30)
            parts = pack(PLACE, head(end, count, epoch), body, part_bytes=draw(st.sampled_from([20, 1000])))
            again = draw(st.lists(st.sampled_from(parts), max_size=2))
            # In any order, but that a copy of what is here already may come at any time.
            order = draw(st.permutations([*parts, *again]))
            late = draw(st.lists(st.sampled_from(copies), max_size=2)) if copies else []
            others = draw(st.lists(st.sampled_from(older), max_size=2)) if older else []
            foreign = draw(st.lists(st.sampled_from([b"rubbish", claim(Place("main", "events", 4), 9)]), max_size=1))
            mixed = list(order)
            for one in [*late, *others, *foreign]:
                mixed.insert(draw(st.integers(0, len(mixed))), one)
            stored += mixed
            copies += parts
            appended.append((end, body))
            epochs.append(epoch)
            end += count
        older += copies
        # It never came to an end with its last one; the next one takes its offset.
        left = pack(PLACE, head(end, 2, epoch), noise(epoch, 90), part_bytes=30)
        stored += left[: draw(st.integers(0, len(left) - 1))]
        older += [*left, claim(PLACE, epoch)]
    return stored, appended, epochs


def assembled(assembly: Assembly, stored: list[bytes]) -> list[Batch]:
    held = [Held("shard", str(number), data) for number, data in enumerate(stored, start=1)]
    return [batch for one in held if (batch := assembly.take(one, owner=False)) is not None]


@given(histories(), st.data())
def test_what_was_appended_is_read_once_and_in_order(history: History, data: st.DataObject) -> None:
    stored, appended, epochs = history
    batches = assembled(Assembly(PLACE, 0), stored)
    assert [(batch.first, batch.body) for batch in batches] == appended
    assert not any(batch.damage for batch in batches)
    assert [one.first for one in batches[1:]] == [one.end for one in batches[:-1]]
    if batches:
        place = data.draw(st.integers(0, len(batches) - 1))
        mark = data.draw(st.integers(batches[place].first, batches[place].end - 1))
        assert assembled(Assembly(PLACE, mark), stored) == batches[place:], "a mark brings the batch that holds it"
        # And so does a start at the position that was noted of it, though its parts are mixed with others.
        start = next(
            n
            for n, one in enumerate(stored)
            if isinstance(part := read("main", "events", one), Part)
            and (part.kind, part.partition, part.first, part.epoch)
            == (Kind.PART, 3, batches[place].first, epochs[place])
        )
        assert assembled(Assembly(PLACE, mark, epochs[place]), stored[start:]) == batches[place:]
    # Who is to append next learns where that ends.
    seen = Assembly(PLACE, 1 << 62)
    assert assembled(seen, stored) == []
    assert (seen.expected or 0) == (batches[-1].end if batches else 0)


def test_what_is_missing_is_told_again_and_again() -> None:
    groups = [pack(PLACE, head(first), b"body")[0] for first in (0, 2, 4)]
    assembly = Assembly(PLACE, 0)
    assert len(assembled(assembly, groups[:1])) == 1
    for _ in range(2):
        with pytest.raises(Missing, match="4 follows where 2 was due"):
            assembled(assembly, groups[2:])
    assert len(assembled(assembly, groups[1:])) == 2
    with pytest.raises(Missing, match="4 follows where None was due"):
        assembled(Assembly(PLACE, 1), groups[2:])
    assert len(assembled(Assembly(PLACE, 4), [groups[0], groups[2]])) == 1, "a gap before the mark is nobody's matter"


def test_a_damaged_part_damages_its_group_unless_a_sound_copy_comes_in_time() -> None:
    parts = pack(PLACE, head(0), noise(1, 100), part_bytes=40)
    damaged = parts[1][:-1] + bytes([parts[1][-1] ^ 1])
    (batch,) = assembled(Assembly(PLACE, 0), [parts[0], damaged, *parts[2:]])
    assert (batch.first, batch.count, batch.body) == (0, 2, b"")
    assert batch.damage == "events partition 3, offsets 0 to 1: the checksum does not fit the stored bytes"
    assert batch.stored == b"".join(one[HEAD_BYTES:] for one in (parts[0], damaged, *parts[2:]))
    (batch,) = assembled(Assembly(PLACE, 0), [parts[0], damaged, *parts[1:]])
    assert batch.body == noise(1, 100)


def test_what_is_not_ours_is_told_by_the_one_whose_it_is() -> None:
    assembly = Assembly(PLACE, 2)
    sound = Held("shard-1", "7", pack(PLACE, head(0), b"body")[0])
    rubbish = Held("shard-1", "8", b"rubbish", 42)
    assert assembly.take(rubbish, owner=True) is None, "it stands before the mark"
    assert assembly.take(sound, owner=True) is None
    assert assembly.take(rubbish, owner=False) is None
    batch = assembly.take(rubbish, owner=True)
    assert batch is not None
    assert (batch.first, batch.count, batch.appended_at) == (2, 0, 11)
    assert batch.damage == "shard-1, sequence number 8: 7 bytes that were not written by a log of ours"


# Which shard.


def test_a_partition_goes_from_its_oldest_shard_to_what_follows_it() -> None:
    shards = {
        one.name: one
        for one in (
            Shard("0", 0, 49),
            Shard("1", 50, 99),
            Shard("2", 0, 24, frozenset({"0"})),
            Shard("3", 25, 49, frozenset({"0"})),
            Shard("4", 25, 99, frozenset({"3", "1"})),
        )
    }

    def way(key: int) -> list[str]:
        found, shard = [], oldest(shards, key)
        while shard is not None:
            found.append(shard.name)
            shard = following(shards, shard.name, key)
        return found

    assert [way(key) for key in (0, 24, 25, 49, 50, 99)] == [
        ["0", "2"],
        ["0", "2"],
        ["0", "3", "4"],
        ["0", "3", "4"],
        ["1", "4"],
        ["1", "4"],
    ]
    del shards["0"], shards["3"]
    assert [way(key) for key in (0, 25, 50)] == [["2"], ["4"], ["1", "4"]]
    assert way(100) == []

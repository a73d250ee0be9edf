"""What buckets are told by records that anybody with a hand in Kafka could write, and what comes of wrong ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from buckets import MemoryShelf
from engine_parts import memory_parts
from obverse.adapters._buckets import items
from obverse.adapters._buckets.cutting import Cutter, RoutedGap, place_of
from obverse.adapters._buckets.definitions import Reading
from obverse.adapters._buckets.hosted import HostedSettings
from obverse.adapters._buckets.items import Folded, Moved, Shown, Tick, Told, bucket_of
from obverse.adapters._buckets.kept import Kept
from obverse.adapters._buckets.machine import BucketMachine
from obverse.adapters._kafka.records import Kind, Record, pack, write
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.apps.installed_parts import parts_of
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core import codec
from obverse.core.changes import ATTRIBUTE, Change
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents import portable
from obverse.core.documents.written import document
from obverse.settings import Settings

TRAIT = {
    "version": "obverse/v1",
    "kind": "trait",
    "metadata": {"name": "orders"},
    "spec": {"aggregate": "count", "event": "Order Completed"},
}
KINDS = {"count": "obverse.core.traits.numbers:Count"}


def tick(first: int = 0, keep: int = 0) -> Tick:
    return Tick(now=1, first=first, events={0: first}, decisions=0, routed=0, keep=keep)


def turn(first: int = 0) -> bytes:
    events = tell(seed=1, people=3, events=6)
    work = [(place % 2, Told(bytes(16), 0, place, event)) for place, event in enumerate(events)]
    return items.write_turn(first, 4, work, partition=0, events_end=6)[1]


class TestRecords:
    def test_items_keep_their_numbers_in_the_order_of_routing(self) -> None:
        (_, head, rest), (before, second, _) = items.turns_of(turn() + turn(6))
        assert (head.count, head.end, before, second.first) == (6, 6, 7, 6)
        assert len(items.items_of(head, rest)) == 6
        cut = [items.read(record) for _, record in items.slices_of(turn())]
        assert [one.numbers for one in cut if isinstance(one, items.Slice)] == [[0, 2, 4], [1, 3, 5]]

    @pytest.mark.parametrize("body", [b"x", b"\xc6\0\0\0\5hello", b"\xc6" + bytes(4)])
    def test_what_was_not_routed_is_told(self, body: bytes) -> None:
        with pytest.raises(codec.UnreadableRecord, match="bytes"):
            list(items.turns_of(body))

    @pytest.mark.parametrize("record", [b"", b"Z", b"M\xff", b"S" + bytes(16) + b"\xff"])
    def test_a_machine_refuses_what_is_neither_slice_nor_move(self, record: bytes) -> None:
        machine = BucketMachine(0, MemoryShelf({}), workspace="main", read=lambda *_: Definitions())
        with pytest.raises(codec.UnreadableRecord):
            machine.take(record)

    @pytest.mark.parametrize("record", [b"", b"\xff", msgspec.msgpack.encode([99, 0, []])])
    def test_a_keeper_refuses_what_is_nothing_that_was_folded(self, record: bytes) -> None:
        with pytest.raises(codec.UnreadableRecord):
            items.read_folded(record)

    def test_a_move_that_nobody_waits_for_changes_nothing(self) -> None:
        shelf = MemoryShelf({})
        machine = BucketMachine(0, shelf, workspace="main", read=lambda *_: Definitions())
        moved = Moved(-1, bytes(16), b"rubbish", back=True)
        assert machine.take(items.write_move(moved)) == (b"", [])
        assert b"w" not in shelf.kept

    def test_everybody_has_one_bucket(self) -> None:
        assert {bucket_of(bytes([n]) * 16, 8) for n in range(256)} == set(range(8))


class TestCutting:
    PLACE = place_of("main")

    def record(self, first: int, body: bytes, count: int = 7) -> bytes:
        return write(self.PLACE, Record(kind=Kind.DATA, epoch=0, first=first, count=count, body=pack(body)))

    def claimed(self) -> Cutter:
        cutter = Cutter(self.PLACE)
        assert cutter.cut(0, write(self.PLACE, Record(kind=Kind.CLAIM, epoch=0, first=0))) == []
        return cutter

    def test_what_counts_is_cut_once_and_another_goes_on_with_what_was_kept(self) -> None:
        cutter = self.claimed()
        assert [bucket for bucket, _ in cutter.cut(1, self.record(0, turn()))] == [0, 1]
        other = Cutter(self.PLACE, cutter.kept())
        assert other.cut(2, self.record(0, turn())) == [], "it comes again"
        assert len(other.cut(3, self.record(7, turn(6)))) == 2

    def test_what_others_wrote_is_passed_over(self) -> None:
        assert self.claimed().cut(1, b"rubbish") == []

    def test_what_is_missing_or_damaged_stops_it(self) -> None:
        with pytest.raises(RoutedGap, match="should follow"):
            self.claimed().cut(1, self.record(7, turn(6)))
        damaged = self.record(0, turn())[:-1] + b"\0"
        with pytest.raises(RoutedGap, match="restore"):
            self.claimed().cut(1, damaged)


class TestDefinitions:
    def read(self, kinds: dict[str, str], trusted: tuple[str, ...] = ("obverse.core.traits.",)) -> Definitions:
        return Reading(trusted)(1, portable.write([document(TRAIT)], kinds))

    def test_they_come_as_they_were_written(self) -> None:
        assert [one.name for one in self.read(KINDS).traits] == ["orders"]
        assert Reading()(1, b"").traits == ()

    def test_what_is_on_its_way_is_folded_beside(self) -> None:
        coming = {**TRAIT, "metadata": {"name": "views"}, "spec": {"aggregate": "count", "event": "Product Viewed"}}
        written = portable.write([document(TRAIT)], KINDS, (7, [document(TRAIT), document(coming)]))
        read = Reading()(2, written)
        assert [one.name for one in read.traits] == ["orders"]
        assert ([one.name for one in read.beside], read.beside_version) == (["views"], 7)

    @pytest.mark.parametrize(
        ("kinds", "reason"),
        [
            ({"count": "os:system"}, "does not trust"),
            ({"count": "obverse.core.traits_of_others:Count"}, "does not trust"),
            ({"count": "obverse.core.traits.none:Count"}, "not installed"),
            ({"count": "obverse.core.traits.numbers:None"}, "not installed"),
            ({}, "is not known"),
        ],
    )
    def test_what_cannot_be_used_is_told(self, kinds: dict[str, str], reason: str) -> None:
        with pytest.raises(BadDefinition, match=reason):
            self.read(kinds)

    def test_what_is_none_is_told(self) -> None:
        with pytest.raises(BadDefinition, match="no definitions"):
            Reading()(1, b"{")


class TestKept:
    def folded(self, *done: int, keeps: tuple[int, ...] = ()) -> Folded:
        return Folded(bucket=0, done=list(done), ticks=[(one, tick(one, one + 1)) for one in keeps])

    def test_nothing_is_due_while_an_item_before_is_missing(self) -> None:
        kept = Kept(0)
        kept.take(self.folded(0, 2, 3, keeps=(3,)))
        assert kept.due() is None
        kept.take(self.folded(1))
        due = kept.due()
        assert due is not None
        assert (due.tick.first, kept.base) == (3, 3)

    def test_nothing_is_due_before_all_buckets_have_told_their_rows(self) -> None:
        kept = Kept(0)
        told = Folded(bucket=0, done=[0, 1], ticks=[(1, tick(1, 3))])
        kept.take(told)
        assert (kept.reached is not None, kept.due()) == (True, None)
        kept.take(Folded(bucket=1, done=[2]))
        assert kept.due() is not None

    def test_a_tick_without_rows_is_reached_and_not_due(self) -> None:
        kept = Kept(0)
        kept.take(Folded(bucket=0, done=[0, 1], ticks=[(1, tick(1))]))
        assert kept.reached is not None
        assert not kept.is_due

    def test_a_change_is_told_once_its_profile_was_shown_with_it(self) -> None:
        one, changes = bytes(16), [Change(bytes(16), ATTRIBUTE, "orders", f"event-{number}") for number in range(3)]
        kept = Kept(0)
        first = Folded(
            bucket=0, done=[0, 1], changes=[(0, changes[0]), (1, changes[1])], shown=[Shown(0, one, (), b"")]
        )
        assert kept.take(first).changes == changes[:1]
        second = Folded(bucket=0, done=[2], changes=[(2, changes[2])], shown=[Shown(2, one, (), b"")])
        assert kept.take(second).changes == changes[1:]

    def test_changes_of_whoever_was_merged_away_are_told_with_that(self) -> None:
        one, change = bytes(16), Change(bytes(16), ATTRIBUTE, "orders", "event-1")
        kept = Kept(0)
        assert kept.take(Folded(bucket=0, done=[0], changes=[(0, change)])).changes == []
        merged = Folded(bucket=0, done=[1], absorbed=[(1, one, b"keeper----------")])
        assert kept.take(merged).changes == [change]

    def test_no_change_is_left_out_when_everything_is_kept(self) -> None:
        kept, change = Kept(0), Change(bytes(16), ATTRIBUTE, "orders", "event-1")
        kept.take(Folded(bucket=0, done=[0], changes=[(0, change)]))
        kept.take(self.folded(1, keeps=(1,)))
        due = kept.due()
        assert due is not None
        assert due.changes == [change]

    def test_what_comes_again_is_no_news(self) -> None:
        kept, event = Kept(0), tell(seed=1, people=1, events=1)[0]
        told = Folded(bucket=0, done=[0], events=[(0, bytes(16), 0, 0, event)], shown=[Shown(0, bytes(16), (), b"")])
        assert len(kept.take(told).shown) == 1
        kept.take(told)
        kept.take(self.folded(1, keeps=(1,)))
        due = kept.due()
        assert due is not None
        assert len(due.events) == 1
        assert kept.take(told).shown == [], "the store has it"


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"buckets": 0}, "buckets"), ({"topic_partitions": 0}, "topic_partitions"), ({"buckets": 5000}, "4096")],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        HostedSettings(**change)


def test_without_kafka_it_says_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"event_log\.kafka\.servers"):
        HostedSettings().log()


def test_an_installation_whose_engine_folds_elsewhere_has_workers_apart() -> None:
    embedded = parts_of(Settings())
    assert set(embedded) == {"collector", "worker", "api", "sandbox"}
    grown = parts_of(Settings.model_validate({"engine": {"adapter": "flink"}}))
    assert set(grown) - set(embedded) == {"worker-identity", "worker-keep", "engine-flink"}
    flows = [flow for part in grown.values() for flow in part.flows]
    assert len(flows) == len(set(flows)) == 9, "each flow runs once"


async def test_the_embedded_engine_does_not_do_half_of_it() -> None:
    parts = replace(await memory_parts(1, DEFINITIONS), keeps=False)
    with pytest.raises(ValueError, match="both flows"):
        await open_engine(EmbeddedSettings(), parts)

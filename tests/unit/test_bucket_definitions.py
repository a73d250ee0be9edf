"""What a bucket's machine does with definitions that change: each event is folded with those that hold at its place."""

from __future__ import annotations

from typing import Any

import pytest

from buckets import MemoryShelf
from obverse.adapters._buckets import items
from obverse.adapters._buckets.items import Decided, Defined, Fill, Item, Moved, Told
from obverse.adapters._buckets.machine import BucketMachine
from obverse.contracts.engine_backfill import NEWEST
from obverse.contracts.stories import DEFINITIONS
from obverse.core import profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions, arriving
from obverse.core.events import Event
from obverse.core.identity import Decision
from obverse.core.profiles import Profile

VERSION = 7
TO_COME = arriving.fresh(NEWEST, DEFINITIONS)
SETS = [DEFINITIONS, arriving.folding(DEFINITIONS, TO_COME, VERSION)]
(VIEWS,) = [one for one in TO_COME if one.name == "orders"]
ADA, BOB = bytes(15) + b"\0", bytes(15) + b"\1"
"""Of two buckets there are: Ada lives in the first, Bob in the second."""


def viewed(number: int) -> Event:
    at = 1_000_000 + number
    view = "Product Viewed"
    return Event(type="track", name=view, message_id=f"m{number}", source="web", received_at=at, timestamp=at)


def told(number: int) -> Told:
    return Told(ADA, 0, number, viewed(number))


def defined(place: int) -> Defined:
    return Defined(place + 1, b"%d" % place)


def decided(kind: Any, *absorbed: bytes, lent: tuple[bytes, ...] = ()) -> Decided:
    decision = Decision(
        kind=kind,
        profile=ADA,
        absorbed=absorbed,
        identifiers=(),
        edges=(),
        event=kind,
        stamp=Stamp(1, "web", kind),
        received_at=1,
    )
    return Decided(len(absorbed), decision, lent)


class Bucket:
    """One bucket's machine, made anew for each record."""

    def __init__(self) -> None:
        self.shelf = MemoryShelf({})
        self.number = 0
        self.done: list[int] = []

    def take(self, record: bytes) -> None:
        machine = BucketMachine(0, self.shelf, workspace="main", read=self.read, journal=0)
        folded, _ = machine.take(record)
        if folded:
            self.done += items.read_folded(folded).done

    def read(self, version: int, documents: bytes) -> Definitions:
        assert version > 0
        return SETS[int(documents)]

    def give(self, *work: Item) -> None:
        _, body = items.write_turn(self.number, 2, [(0, one) for one in work])
        self.number += len(work)
        ((_, record),) = items.slices_of(body)
        self.take(record)

    def ada(self) -> Profile:
        return profiles.unpack(self.shelf.kept[b"p" + ADA], SETS[1])

    @property
    def views(self) -> Any:
        return self.ada().traits.get(VIEWS.key)


def bob() -> bytes:
    one = Profile(BOB)
    event = viewed(99)
    profiles.apply(one, event, event.stamp, (0, 99), DEFINITIONS)
    return items.write_move(Moved(1, BOB, profiles.pack(one, DEFINITIONS)))


def test_definitions_wait_for_who_is_on_the_way_and_what_follows_waits_for_them() -> None:
    bucket = Bucket()
    bucket.give(defined(0), decided("create"), told(0), decided("merge", BOB, lent=(BOB,)), told(1), defined(1))
    bucket.give(told(2))
    assert bucket.done == [0, 1, 2]
    bucket.take(bob())
    assert bucket.done == [0, 1, 2, 3, 4, 5, 6]
    assert (bucket.ada().events, bucket.views) == (4, 1), "of what is to come the last event alone is folded"
    assert b"w" not in bucket.shelf.kept


def filled(merges: int = 0, since: dict[int, int] | None = None, version: int = VERSION) -> Fill:
    return Fill(ADA, version, merges, since, profiles.pack_traits({VIEWS.key: 5}, {VIEWS.key: VIEWS}))


def test_history_is_joined_once() -> None:
    bucket = Bucket()
    bucket.give(defined(0), decided("create"), told(0), defined(1), told(1), filled(), filled())
    assert (bucket.views, bucket.ada().filled) == (6, VERSION)


@pytest.mark.parametrize("fill", [filled(merges=1), filled(since={0: 4}), filled(version=VERSION - 1)])
def test_history_of_somebody_who_was_otherwise_then_is_left_out(fill: Fill) -> None:
    bucket = Bucket()
    bucket.give(defined(0), decided("create"), told(0), defined(1), told(1), fill)
    assert (bucket.views, bucket.ada().filled) == (1, 0)
    assert bucket.done[-1] == 5


def test_history_of_who_was_merged_away_is_left_out() -> None:
    bucket = Bucket()
    bucket.give(defined(0), defined(1), filled())
    assert bucket.done == [0, 1, 2]
    assert b"p" + ADA not in bucket.shelf.kept


def test_history_that_nothing_is_folded_beside_for_is_left_out() -> None:
    bucket = Bucket()
    bucket.give(defined(0), decided("create"), told(0), filled())
    assert VIEWS.key not in bucket.ada().traits

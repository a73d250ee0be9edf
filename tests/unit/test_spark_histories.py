"""What a batch job makes of its rows: the places of people, the events of log and archive, and the fold of both."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from obverse.adapters._archived_rows import to_table
from obverse.adapters._buckets.histories import Given, Person, Wanted
from obverse.adapters._kafka.records import Kind, Place, Record, pack, write
from obverse.adapters.spark.histories import records
from obverse.adapters.spark.histories.computing import (
    EVENTS,
    PLACES,
    RESULTS,
    archived,
    definitions_of,
    folded,
    logged,
    operator,
    places,
)
from obverse.adapters.spark.histories.records import Answer, Ask, chunks_of, given_of, read_ask, read_result
from obverse.contracts.stories import tell
from obverse.core import codec, profiles
from obverse.core.archives import Archived
from obverse.core.documents import portable
from obverse.core.documents.written import document
from obverse.core.events import Event

RUN, ADA, BOB = b"r" * 16, b"a" * 16, b"b" * 16
KINDS = {"count": "obverse.core.traits.numbers:Count"}
ORDERS = document(
    {
        "version": "obverse/v1",
        "kind": "trait",
        "metadata": {"name": "orders"},
        "spec": {"aggregate": "count", "event": "Order Completed"},
    }
)
WORDS: dict[str, Any] = {
    "workspace": "main",
    "run": base64.b64encode(RUN).decode(),
    "version": 7,
    "documents": base64.b64encode(portable.write([], KINDS, (7, [ORDERS]))).decode(),
    "trait_modules": [],
}
STORY = tell(seed=4, people=4, events=40)
BOUGHT = [place for place, one in enumerate(STORY) if one.name == "Order Completed"]


def rows(work: Any, shape: str, *batches: pa.RecordBatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for batch in operator(work, WORDS, shape)(batches):
        found += batch.to_pylist()
    return found


def stored(kind: Kind, first: int, events: Sequence[Event] = (), *, epoch: int = 0, damaged: bool = False) -> bytes:
    body = pack(codec.encode(events)) if events else b""
    record = Record(kind=kind, epoch=epoch, first=first, count=len(events), body=body)
    written = write(Place("main", "events", 1), record)
    return written[:-1] + bytes([written[-1] ^ 1]) if damaged else written


def topic(*values: bytes, at: int = 0) -> pa.RecordBatch:
    offsets = range(at, at + len(values))
    return pa.RecordBatch.from_pydict({"partition": [1] * len(values), "offset": list(offsets), "value": list(values)})


class TestEvents:
    def test_the_log_gives_what_counts_of_the_calls_that_are_asked_for(self) -> None:
        claim, first, second = (
            stored(Kind.CLAIM, 0),
            stored(Kind.DATA, 0, STORY[:20]),
            stored(Kind.DATA, 20, STORY[20:]),
        )
        others = stored(Kind.CLAIM, 20, epoch=2)
        void = stored(Kind.DATA, 20, STORY[:20])
        found = rows(logged, EVENTS, topic(claim, first), topic(others, void, b"rubbish", at=2))
        assert [(one["log_partition"], one["log_offset"]) for one in found] == [(1, at) for at in BOUGHT if at < 20]
        again = rows(logged, EVENTS, topic(claim, first, first, second))
        assert [one["log_offset"] for one in again] == BOUGHT
        assert records.event_of(again[0]["record"]) == STORY[BOUGHT[0]]

    def test_what_is_damaged_or_gone_is_left_out(self) -> None:
        claim, second = stored(Kind.CLAIM, 0), stored(Kind.DATA, 20, STORY[20:])
        damaged = stored(Kind.DATA, 0, STORY[:20], damaged=True)
        later = [at for at in BOUGHT if at >= 20]
        assert [one["log_offset"] for one in rows(logged, EVENTS, topic(claim, damaged, second))] == later
        assert [one["log_offset"] for one in rows(logged, EVENTS, topic(second, at=5))] == later

    def test_the_archive_gives_the_same(self) -> None:
        table = to_table(1, [Archived(place, 0, one) for place, one in enumerate(STORY)])
        found = rows(archived, EVENTS, *table.to_batches(max_chunksize=7))
        assert [(one["log_partition"], one["log_offset"]) for one in found] == [(1, at) for at in BOUGHT]
        assert [records.event_of(one["record"]) for one in found] == [STORY[at] for at in BOUGHT]


def person(profile: bytes, offsets: Iterable[int], event: Event | None = None) -> Person:
    return Person(profile, 2, {1: 40}, [(1, at, event) for at in offsets])


def sent(*people: Person, run: bytes = RUN) -> pa.RecordBatch:
    values = [records.write(chunk) for one in people for chunk in chunks_of(run, one)]
    return pa.RecordBatch.from_pydict({"value": pa.array(values, pa.binary())})


def joined(given: Sequence[dict[str, Any]], *, without: Iterable[int] = ()) -> pa.RecordBatch:
    """As Spark joins places with events: each with its event, if it was found."""
    gone = set(without)
    for one in given:
        place = one["log_offset"]
        one["record"] = None if place in gone else codec.encode([STORY[place]])
    return pa.RecordBatch.from_pylist(
        list(given),
        schema=pa.schema(
            [
                ("profile", pa.binary()),
                ("number", pa.int64()),
                ("log_partition", pa.int32()),
                ("log_offset", pa.int64()),
                ("basis", pa.binary()),
                ("event", pa.binary()),
                ("record", pa.binary()),
            ]
        ),
    )


def results(*batches: pa.RecordBatch) -> list[records.Result]:
    read = [read_result(one["value"]) for one in rows(folded, RESULTS, *batches)]
    return [one for one in read if one is not None]


def counted(result: records.Result) -> Given:
    given = given_of(result)
    assert given is not None
    return given


class TestFold:
    def test_each_is_given_what_their_events_make(self) -> None:
        given = rows(places, PLACES, sent(person(ADA, BOUGHT[:5]), person(BOB, BOUGHT[5:])))
        ada, bob = results(joined(given[:3]), joined(given[3:]))
        alone = definitions_of(WORDS)
        key = next(iter(alone.trait_of_key))
        expected = [profiles.pack_traits({key: count}, alone.trait_of_key) for count in (5, len(BOUGHT) - 5)]
        assert counted(ada) == Given(ADA, 2, {1: 40}, expected[0])
        assert counted(bob) == Given(BOB, 2, {1: 40}, expected[1])

    def test_what_is_found_twice_counts_once(self) -> None:
        given = rows(places, PLACES, sent(person(ADA, BOUGHT[:4])))
        twice = [dict(one) for one in given for _ in range(2)]
        assert counted(results(joined(twice))[0]) == counted(results(joined(given))[0])

    def test_of_whom_something_is_missing_nothing_is_given(self) -> None:
        given = rows(places, PLACES, sent(person(ADA, BOUGHT[:4]), person(BOB, BOUGHT[4:])))
        ada, bob = results(joined(given, without=BOUGHT[1:3]))
        assert given_of(ada) is None
        assert (ada.missing, ada.partition, ada.offset) == (2, 1, BOUGHT[1])
        assert given_of(bob) is not None

    def test_of_whom_not_all_places_came_nothing_is_given(self) -> None:
        given = rows(places, PLACES, sent(person(ADA, BOUGHT[:4])))
        (ada,) = results(joined(given[:3]))
        assert (given_of(ada), ada.missing) == (None, 1)

    def test_an_event_that_a_tracking_plan_has_changed_comes_with_its_place(self) -> None:
        view = next(one for one in STORY if one.name == "Product Viewed")
        given = rows(places, PLACES, sent(person(ADA, BOUGHT[:3], event=view)))
        assert counted(results(joined(given))[0]).history == {}

    def test_what_others_asked_is_passed_over(self) -> None:
        rubbish = pa.RecordBatch.from_pydict({"value": pa.array([b"rubbish", None], pa.binary())})
        assert rows(places, PLACES, sent(person(ADA, BOUGHT), run=b"o" * 16), rubbish) == []


def test_a_person_of_many_events_is_sent_in_parts() -> None:
    one = person(ADA, range(120_000))
    chunks = list(chunks_of(RUN, one))
    assert [(chunk.first, len(chunk.offsets)) for chunk in chunks] == [(0, 50_000), (50_000, 50_000), (100_000, 20_000)]
    assert [at for chunk in chunks for at in chunk.offsets] == list(range(120_000))


@pytest.mark.parametrize("value", [None, b"", b"\xff", records.write(Answer(RUN))[:-3]])
def test_what_is_no_ask_and_no_answer_is_passed_over(value: bytes | None) -> None:
    assert read_ask(value) is None
    assert read_result(value) is None


def test_asks_and_answers_come_as_they_were_sent() -> None:
    ask = Ask(RUN, Wanted(7, b"documents", {0: 5, 1: 0}), 3, 9)
    assert read_ask(records.write(ask)) == ask
    answer = Answer(RUN, "no room", 1, 2)
    assert read_ask(records.write(answer)) == answer

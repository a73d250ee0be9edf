"""How benchmarks send and count: every answer is told once, and what would mislead is called a flaw."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from typing import Any, cast

import pytest

from obverse.adapters.definition_files import read_folder
from obverse.apps.bench import known
from obverse.apps.bench.definitions_made import MOST_TRAITS, made_audiences, made_traits
from obverse.apps.bench.doors import Doors
from obverse.apps.bench.fold import Folded, _unused, bench_fold
from obverse.apps.bench.installed import Installed
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed, Watch, histogram, machine, spread
from obverse.apps.bench.marks import Marks
from obverse.apps.bench.messages_written import _found
from obverse.apps.bench.phases import Phase
from obverse.apps.bench.reads import Reads
from obverse.apps.bench.sender import FAILED, Sender, _Connection
from obverse.apps.bench.trial import DEFINITIONS, Trial
from obverse.core.conditions import as_tree, nodes
from obverse.core.conditions.parsing import SUBJECTS
from obverse.core.people import People
from obverse.core.traits.windows import Windowed
from obverse.wiring import trait_kinds

ACCEPTED = b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"success":true}'
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}"


class Wire(asyncio.Transport):
    """A connection's other end, which keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        """Nobody looks whether it is."""


def connected() -> tuple[Sender, _Connection, Wire]:
    sender, wire = Sender("127.0.0.1", 80, connections=1), Wire()
    connection = _Connection(sender)
    connection.connection_made(wire)
    return sender, connection, wire


def test_each_answer_is_told_once_whole_or_in_parts() -> None:
    sender, connection, wire = connected()
    told: list[int] = []
    head = sender.head("POST", "/v1/batch", b"a: b\r\n")
    for body in (b"1", b"22", b"333", b"4444"):
        sender.send(head, body, told.append)
    assert wire.written == [b"POST /v1/batch HTTP/1.1\r\nhost: 127.0.0.1\r\na: b\r\ncontent-length: 1\r\n\r\n1"]
    connection.data_received(ACCEPTED)
    connection.data_received(ACCEPTED)  # known again by its bytes
    assert told == [200, 200]
    for part in (REFUSED[:20], REFUSED[20:50], REFUSED[50:]):
        assert told == [200, 200]
        connection.data_received(part)
    connection.data_received(ACCEPTED)
    assert told == [200, 200, 429, 200]
    assert [request.rpartition(b"\r\n")[2] for request in wire.written] == [b"1", b"22", b"333", b"4444"]


def test_refusals_that_do_not_say_when_to_come_again_are_counted_each_time() -> None:
    explained = REFUSED.replace(b"content", b"Retry-After: 1\r\ncontent")
    away = REFUSED.replace(b"429 Too Many Requests", b"503 Service Unavailable")
    sender, connection, _ = connected()
    told: list[int] = []
    for answer in (explained, explained, REFUSED, explained, REFUSED, away, ACCEPTED, ACCEPTED):
        sender.send(b"", b"", told.append)
        connection.data_received(answer)
    assert told == [429, 429, 429, 429, 429, 503, 200, 200]
    assert sender.unexplained == 3


async def test_a_broken_connection_is_told_too() -> None:
    sender, connection, _ = connected()
    answer = sender.post("/v1/batch", b"", b"{}")
    sender.close()
    connection.connection_lost(None)
    assert await answer == FAILED


class Refusing:
    """Doors that answer with these statuses, one after another."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []

    def send(self, body: bytes) -> asyncio.Future[int]:
        self.bodies.append(body)
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(self.statuses.pop(0) if self.statuses else 200)
        return answer


async def test_people_who_were_refused_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_PAUSE", 0)
    doors = Refusing(429, FAILED, 503, 429)
    assert await known.make_known(cast("Doors", doors), Load(people=1200)) == 1200
    assert len(doors.bodies) == 3 + 4
    assert len(set(doors.bodies)) == 3


async def test_people_who_cannot_be_made_known_end_the_benchmark() -> None:
    with pytest.raises(BenchFailed, match="answered 400"):
        await known.make_known(cast("Doors", Refusing(400)), Load(people=10))


def test_a_generator_that_cannot_keep_up_is_a_flaw() -> None:
    phase = Phase(rate=1000, seconds=10)
    phase.began, phase.ended = 100.0, 110.0
    phase.statuses.update({200: 495})
    assert phase.lacks(batch=20) == []
    phase.ended = 110.2
    assert phase.lacks(batch=20) == ["only 971 events a second were sent, 1000 were asked"]


def test_what_was_not_accepted_is_a_flaw() -> None:
    phase = Phase(rate=1000, seconds=10)
    for status in (200, 200, 429, 0):
        phase.answered(0.0, status)
    assert (len(phase.accepted), len(phase.refused), phase.failed) == (2, 1, 2)
    assert phase.failures() == ["2 batches were not answered 200"]
    assert phase.told_statuses() == {"0": 1, "200": 2, "429": 1}


@pytest.mark.parametrize(
    ("stored", "distinct", "flaws"),
    [
        (40, 40, []),
        (39, 39, ["40 accepted, 39 stored, 39 of them distinct"]),
        (41, 40, ["40 accepted, 41 stored, 40 of them distinct"]),
        (40, 39, ["40 accepted, 40 stored, 39 of them distinct"]),
    ],
)
def test_what_is_not_stored_or_twice_is_a_flaw(stored: int, distinct: int, flaws: list[str]) -> None:
    trial = Trial(Load(), cast("Installed", None), cast("Doors", None), Watch({}), {}, 0, 0.0)
    trial.stored, trial.distinct = stored, distinct
    assert trial.losses(accepted=40) == flaws


def test_latencies_are_told_in_milliseconds() -> None:
    seconds = [number / 10_000 for number in range(10_000, 0, -1)]
    assert spread(seconds) == {"p50_ms": 500.1, "p99_ms": 990.1, "p999_ms": 999.1}
    assert sum(histogram(seconds).values()) == 10_000
    assert histogram([0.0001, 0.00010001, 0.00011, 0.00012]) == {"0.10": 1, "0.11": 2, "0.12": 1}


def test_the_benchmarks_compute_a_trait_of_eight_kinds_and_three_audiences() -> None:
    definitions = read_folder(DEFINITIONS, trait_kinds())
    assert {type(trait.kind) for trait in definitions.traits} < {type(kind) for kind in trait_kinds().values()}
    assert len({type(trait.kind) for trait in definitions.traits}) == 8
    assert (len(definitions.traits), len(definitions.audiences)) == (8, 3)


async def test_the_fold_is_measured_over_profiles_that_have_all_they_should() -> None:
    figures = await bench_fold(profiles=1000, events=1500)
    assert figures["flaws"] == []
    assert (figures["profiles"], figures["events"], figures["traits_per_event"]) == (1000, 1500, 4)
    assert figures["each_profile"] == {"identifiers": 3, "attributes": 8, "traits": 8, "audiences": 3}
    assert "us_per_event_by_trait" not in figures
    assert min(figures["events_per_second"], figures["us_per_event"]) > 0
    assert isinstance(figures["bytes_per_profile"], int)  # of so few it may be anything


async def test_traits_over_windows_are_computed_beside_and_each_definition_is_told_apart() -> None:
    figures = await bench_fold(profiles=1000, events=1500, folded=Folded(windowed=7), each=1)
    assert figures["flaws"] == []
    assert figures["each_profile"]["traits"] == 15
    assert figures["traits_per_event"] > 4
    assert len(figures["us_per_event_by_trait"]) == 15
    assert figures["us_per_event_by_trait"].keys() >= {"orders", "windowed_1", "windowed_7"}
    assert len(figures["us_per_event_by_audience"]) == 3


async def test_so_many_traits_and_audiences_as_are_asked_for_are_folded_with_and_told_one_by_one() -> None:
    figures = await bench_fold(profiles=1000, events=200, folded=Folded(traits=12, audiences=20), each=1)
    assert figures["flaws"] == []
    assert (figures["traits"], figures["audiences"]) == (12, 20)
    assert len(figures["us_per_event_by_trait"]) == 12
    assert len(figures["us_per_event_by_audience"]) == 20
    assert "us_per_event_of_all" in figures


def test_what_is_made_for_the_fold_is_of_every_sort() -> None:
    """Fifty traits and a hundred audiences, none twice: of every kind, window and test that there is."""
    traits = made_traits(42)
    audiences = made_audiences(97, traits)
    assert {one.name.split(".")[1] for one in traits} == set(trait_kinds())
    for name in trait_kinds():
        of_kind = [one for one in traits if one.name.split(".")[1] == name]
        assert {(isinstance(one.kind, Windowed), one.where is not None) for one in of_kind} >= {
            (False, False),
            (True, False),
            (False, True),
        }
    assert len({one.key for one in traits}) == 42
    assert len({str(as_tree(one.where)) for one in audiences}) == 97
    found = [node for one in audiences for node in nodes(one.where)]
    looked_at = {getattr(node, "subject", type(node).__name__) for node in found}
    assert looked_at >= {*SUBJECTS, "audience", "group", "Did", "Steps", "Every", "Some", "Not"}
    assert len({one.key for one in made_traits(MOST_TRAITS - 8)}) == MOST_TRAITS - 8


def test_a_trait_that_nobody_has_is_a_flaw_of_the_figure() -> None:
    nobody = People("bench", read_folder(DEFINITIONS, trait_kinds()))
    flaws = list(_unused(nobody))
    assert "nobody has the trait orders" in flaws
    assert len(flaws) == 8 + 3


def test_messages_of_marked_people_are_counted_once_and_timed_from_their_event() -> None:
    marks = Marks(accepted=3, due={"marked-0": 10.0, "marked-1": 11.0, "marked-2": 12.0})
    found = _found([("marked-0", 10.25), ("marked-1", 11.5), ("marked-1", 11.75), ("somebody", 1.0)], marks)
    assert found.figures() == {"messages": 2, "outbox_p50_ms": 500.0, "outbox_p99_ms": 500.0}
    assert found.flaws() == ["1 marked people have no message", "1 marked people have two messages"]


def test_reads_that_were_not_answered_are_a_flaw() -> None:
    reads = Reads(Load(reads=2), Counter({200: 1, 503: 1}), array("d", [0.004]), sent=2)
    assert reads.figures() == {
        "reads": 2,
        "read_p50_ms": 4.0,
        "read_p99_ms": 4.0,
        "read_statuses": {"200": 1, "503": 1},
    }
    assert reads.flaws() == ["1 reads were not answered 200"]
    assert Reads(Load()).figures() == {}


def test_figures_say_what_machine_and_python_they_are_of() -> None:
    told = machine()
    assert set(told) == {"cores", "cpu", "memory_gib", "kernel", "python", "python_loop_ns"}
    assert 0 < told["python_loop_ns"] < 10_000
    assert told["memory_gib"] > 0

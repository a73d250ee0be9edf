"""What `obverse bench engine` folds, what it drops, and how its figures are computed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from obverse.adapters._buckets import items
from obverse.adapters._buckets.engine import BucketedEngine, BucketedSettings
from obverse.adapters._buckets.shelves import Outcome
from obverse.adapters.definition_files import read_folder
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_store import MemoryStoreSettings
from obverse.adapters.runtime.system import SystemRuntime
from obverse.apps.bench.engine import _flaws
from obverse.apps.bench.engine.alone import DroppingStore
from obverse.apps.bench.engine.asked import Asked
from obverse.apps.bench.engine.cores import on_cores, shared_out
from obverse.apps.bench.engine.course import Course, Look, look, steady_figures, threads_figures
from obverse.apps.bench.engine.dropping import LETTER, LINE, Dropping, done_of, told
from obverse.apps.bench.engine.events import happening, known
from obverse.apps.bench.engine.machine_alone import profiled
from obverse.apps.bench.engine.pacing import Paced
from obverse.apps.bench.engine.routing import Filled, NotedLog, Turns, parts_over
from obverse.apps.bench.machine import BenchFailed, heaps_mb
from obverse.apps.bench.trial import DEFINITIONS
from obverse.core import codec
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Stream
from obverse.ports.profile_store import Checkpoint, ProfileRow
from obverse.wiring import trait_kinds

ASKED = Asked(engine="flink", events=3000, people=300, rate=1000, seconds=1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"engine": "embedded", "cores": 2}, "the embedded engine folds on one core"),
        ({"engine": "embedded", "profile": True}, "see `obverse bench fold --each`"),
        ({"engine": "spark", "cores": 4096}, f"--cores 4096, and this machine has {len(os.sched_getaffinity(0))}"),
    ],
)
def test_what_cannot_be_had_is_told(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(BenchFailed, match=words):
        Asked(**wrong)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "embedded", "--cores", "2"], "the embedded engine folds on one core: ask for --cores 1"),
        (["--engine", "storm"], "storm"),
        (["--events", "10"], "or equal to 1000"),
        (["--users", "nobody"], "nobody"),
        (["--new", "60"], "or equal to 25"),
    ],
)
def test_wrong_options_are_told_without_a_traceback(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "obverse.apps.cli", "bench", "engine", *arguments]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_everybody_is_known_first_by_three_identifiers_and_no_event_comes_twice() -> None:
    first = list(known(ASKED))
    assert [one.type for one in first] == ["identify"] * 300
    events = list(islice(happening(ASKED), 3000))
    assert len({one.message_id for one in [*first, *events]}) == 3300
    assert [one.received_at for one in events] == sorted(one.received_at for one in events)
    assert list(islice(happening(ASKED), 3000)) == events


@pytest.mark.parametrize("new", [0.0, 2.0])
def test_a_share_of_the_events_is_of_new_devices_which_sign_in_soon_after(new: float) -> None:
    asked, people = replace(ASKED, new=new), People("main", _definitions())
    for one in known(asked):
        people.fold(one, (0, 0))
    assert len(people.profiles) == 300
    decisions = [
        folded.decision for one in islice(happening(asked), 6000) if (folded := people.fold(one, (0, 0))).decision
    ]
    # Each needs one when it comes, and one when it signs in; the last ones are away still.
    assert len(decisions) == pytest.approx(6000 * new / 100 * (2 - 1 / 6), rel=0.25)
    assert sum(bool(one.absorbed) for one in decisions if one is not None) == pytest.approx(
        6000 * new / 100 * (1 - 1 / 6), rel=0.3
    )
    assert len(people.profiles) < 300 + 40


def _definitions() -> Definitions:
    return read_folder(DEFINITIONS, trait_kinds())


class Machine:
    """Tells what it was given; a move tells nothing."""

    def take(self, record: bytes) -> Outcome:
        if record[:1] == b"M":
            return Outcome(b"", [(1, b"back")])
        read = items.read(record)
        assert isinstance(read, items.Slice)
        return Outcome(items.write_folded(items.Folded(bucket=3, done=read.numbers)), [])


def slice_of(first: int, count: int) -> bytes:
    some: Iterable[tuple[int, items.Item]] = [(3, items.Follow(b"p" * 16, 1, 1, ())) for _ in range(count)]
    ((bucket, record),) = items.slices_of(items.write_turn(first, 16, some)[1])
    assert bucket == 3
    return record


def test_what_was_folded_is_dropped_up_to_an_item_and_passed_on_from_there() -> None:
    machine = Dropping(Machine(), until=100)
    course = Course()
    moved = machine.take(b"M")
    assert moved == Outcome(b"", [(1, b"back")])
    for first in (0, 60):
        folded, moves = machine.take(slice_of(first, 40))
        assert (folded[:1], len(folded), moves) == (LETTER, LINE.size, [])
        course.see(folded)
    assert (course.done, course.seen) == (80, [])
    assert course.told_bytes > 80
    assert course.began is not None
    whole, _ = machine.take(slice_of(100, 2))
    assert done_of(whole) == items.read_folded(whole).done == [100, 101]
    course.see(whole)
    assert course.done == 80
    assert [record for _, record in course.seen] == [whole]


def test_the_job_is_told_what_to_open_and_what_to_drop() -> None:
    found: dict[str, Any] = {}
    exec(told("obverse.adapters.flink.folding", 42), found)
    assert (found["HOSTED"], found["UNTIL"]) == ("obverse.adapters.flink.folding", 42)


def test_figures_are_of_the_steady_part_and_of_the_engines_own_processes() -> None:
    begun = Look(at=10.0, done=100, machine=1.0, told_bytes=0, cpu={"kafka-1": 5.0, "task": 2.0}, threads={"task": 1.0})
    ended = Look(
        at=14.0,
        done=8100,
        machine=1.4,
        told_bytes=800_000,
        cpu={"kafka-1": 6.0, "task": 3.0, "manager": 0.6},
        threads={"task": 1.2, "new": 0.4, "idle": 0.0},
    )
    figures = steady_figures(begun, ended, events_each=0.5, engine={"task": 1, "manager": 2})
    assert figures == {
        "events_per_second": 1000,
        "events_per_second_per_core": 2500,
        "steady": {
            "events": 4000,
            "seconds": 4.0,
            "engine_cpu_seconds": 1.6,
            "engine_cores_busy": 0.4,
            "cpu_us_per_event": {"kafka-1": 250.0, "task": 250.0, "manager": 150.0},
            "machine_us_per_event": 100.0,
            "folded_bytes_per_event": 200,
        },
    }
    assert threads_figures(begun, ended, events=4000) == {"new": 100.0, "task": 50.0}


def test_who_is_done_between_two_looks_has_no_figures_and_is_told_what_to_do() -> None:
    seen = Look(at=1.0, done=2200, machine=0.0, told_bytes=0, cpu={"worker": 0.9}, threads={})
    with pytest.raises(BenchFailed, match="say more --events"):
        steady_figures(seen, replace(seen, at=1.003), events_each=1.0, engine={"worker": 1})


def test_heaps_and_threads_are_told_of_processes_and_their_children() -> None:
    command = [sys.executable, "-c", "input()", "-Xmx1g", "-Xmx64m"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert heaps_mb({"worker_1": child.pid, "gone": 2**22 + 1}) == {"worker_1": [64]}
        found = look(Course(done=3), {"worker_1": child.pid}, {"worker_1": child.pid})
        child.communicate(b"\n")
    assert found.done == 3
    assert found.cpu.keys() == {"worker_1"}
    (thread,) = found.threads
    assert thread.startswith("worker: ")


def test_an_engine_has_its_own_cores_and_all_else_what_is_left() -> None:
    whole = os.sched_getaffinity(0)
    cores = shared_out(1)
    assert len(cores.engine) == 1
    assert cores.others == (whole - cores.engine or whole)
    assert shared_out(len(whole)).others == whole
    with on_cores(cores.engine):
        assert os.sched_getaffinity(0) == cores.engine
    assert os.sched_getaffinity(0) == whole


def test_what_is_visible_counts_from_when_it_was_given_to_the_log() -> None:
    turns = Turns(begun=[0.5, 2.0, 3.0], first=[0, 100, 110], end=120)
    assert [turns.at(number) for number in (0, 99, 100, 109, 110)] == [0.5, 0.5, 2.0, 2.0, 3.0]
    paced = Paced(began=1.0, due=[1.0, 8.5], ends=[10, 20])
    course = Course(seen=[(2.25, _folded(90, 99, 100)), (3.5, _folded(110, 111, 119))])
    paced.read(course, turns, 100)
    paced.read(course, turns, 100)  # what was read is not read again
    # Before the steady part, or of the backlog, is one each that does not count.
    assert paced.items == 4
    assert list(paced.visible) == [0.5, 0.5, 0.5]


def _folded(*numbers: int) -> bytes:
    return items.write_folded(items.Folded(bucket=1, done=list(numbers)))


def test_the_embedded_engine_is_measured_from_when_an_append_was_due() -> None:
    paced = Paced(began=1.0, due=[1.0, 2.0, 3.0], ends=[110, 120, 130])
    paced.read_steps(Course(steps=[(1.5, 115), (2.25, 120), (4.0, 130)]))
    assert list(paced.visible) == [0.25, 1.0]
    assert paced.figures()["visible_p99_ms"] == 1000.0


def test_a_generator_that_was_late_is_a_flaw() -> None:
    assert Paced(late=0.05).flaws() == []
    assert Paced(late=0.3).flaws() == ["the generator was 300 ms late once: the machine is busy"]


def test_what_would_mislead_is_a_flaw() -> None:
    steady = {"seconds": 6.0, "engine_cores_busy": 0.9}
    assert _flaws(ASKED, steady, 0) == []
    assert _flaws(ASKED, {"seconds": 0.5, "engine_cores_busy": 0.2}, 16) == [
        "the steady part took 0.5 s, which is too short: ask for more --events than 3000",
        "the engine had 0.2 of 1 cores: others use the machine, so believe CPU alone",
        "16 items were folded again: a task failed meanwhile",
    ]


async def test_a_store_that_drops_keeps_the_marks_alone() -> None:
    store = DroppingStore(MemoryStoreSettings(), SystemRuntime())
    writer = await store.open_writer(WRITER)
    people = People("main", _definitions())
    (first, *_) = known(ASKED)
    people.fold(first, (0, 0))
    rows = [ProfileRow.of(one, people.definitions) for one in people.profiles.values()]
    await writer.commit(Checkpoint(marks={Stream.EVENTS: {0: 7}}, profiles=rows))
    assert writer.marks == {Stream.EVENTS: {0: 7}}
    assert (await store.overview()).profiles == 0
    await writer.close()
    assert (await store.open_writer(WRITER)).marks == {Stream.EVENTS: {0: 7}}


async def test_what_was_routed_is_noted_and_its_fold_is_profiled() -> None:
    runtime = SystemRuntime()
    log = await open_event_log(MemoryLogSettings(), runtime)
    filled = Filled(log, await log.open_appender(Stream.EVENTS), runtime)
    settings = BucketedSettings()
    parts = await parts_over(NotedLog(log, filled.turns), runtime)
    filled.router = BucketedEngine(settings, parts, lambda: pytest.fail("nothing is kept here"))
    await filled.fill([list(known(ASKED)), list(islice(happening(ASKED), 1000))])
    try:
        await filled.route()
        assert filled.turns.first[0] == 0
        assert filled.turns.end > 1000 + 2 * 300
        assert filled.turns.begun == sorted(filled.turns.begun)
        figures = await profiled(log, range(1, filled.turns.end))
    finally:
        await filled.close()
    assert figures["items"] > 1000
    assert figures["us_per_item"] > 0
    assert any("/core/profiles/" in one["function"] for one in figures["functions"])


async def test_what_is_sent_at_a_pace_arrives_when_it_is_sent() -> None:
    runtime = SystemRuntime()
    log = await open_event_log(MemoryLogSettings(), runtime)
    filled, paced, began = Filled(log, await log.open_appender(Stream.EVENTS), runtime), Paced(), runtime.now()
    events = list(islice(happening(ASKED), 30))
    await paced.send(filled, [events[:10], events[10:20], events[20:]])
    reader = await log.open_reader(Stream.EVENTS, {0: 0})
    arrived = [
        (one.message_id, one.received_at)
        for batch in await reader.next()
        for one in codec.Decoder(Event).decode(batch.count, batch.body)
    ]
    assert [name for name, _ in arrived] == [one.message_id for one in events]
    assert began <= arrived[0][1] < arrived[10][1] < arrived[20][1] <= runtime.now()
    assert (paced.ends, len(paced.due), filled.appended) == ([10, 20, 30], 3, 30)
    assert paced.due[1] - paced.due[0] == pytest.approx(0.02)

"""Queries give traits when they are due: what differs is sent, what is wrong is told, and others go on."""

from __future__ import annotations

import pytest
from msgspec import structs

from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.core import documents, profiles
from obverse.core.identity import id_text
from obverse.core.queries import BadQuery
from obverse.core.queries.reading import read_query
from obverse.flows.sql_traits import MOST_WAITING
from obverse.ports.outcomes import Unreachable
from obverse.ports.sql_runner import Rows
from people_steps import event as page
from reading import document
from sql_trait_steps import HOUR, SIZE, SPENT, Place, defined, placed


def test_values_become_traits_and_only_what_differs_is_sent() -> None:
    async def test(place: Place) -> None:
        flow = place.flow()
        place.says(("ada", 120), ("bob", 5))
        worker = await place.runs.open_worker()
        assert await flow.turn(worker) == 1
        assert len(await place.arrive()) == 2
        assert (place.value("user_id:ada"), place.value("user_id:bob"), place.value("user_id:eve")) == (120, 5, None)
        assert place.members() == [place.person("user_id:ada")]

        await place.runtime.sleep(HOUR - 1)
        place.says(("ada", 99), ("bob", 5), ("eve", 100))
        assert await flow.turn(worker) == 0
        await place.runtime.sleep(1)
        assert await flow.turn(worker) == 1
        assert sorted(one.user_id or "" for one in await place.arrive()) == ["ada", "eve"]
        assert (place.value("user_id:ada"), place.value("user_id:eve")) == (99, 100)
        assert place.members() == [place.person("user_id:eve")]

        # Who is not there any more, or has null, has no value.
        await place.runtime.sleep(HOUR)
        place.says(("ada", None))
        await flow.turn(worker)
        assert len(await place.arrive()) == 3
        assert [place.value(f"user_id:{who}") for who in ("ada", "bob", "eve")] == [None, None, None]
        assert place.members() == []
        await place.runtime.sleep(HOUR)
        await flow.turn(worker)
        assert await place.arrive() == []
        assert flow.vitals.records == {"given": 4, "same": 1, "gone": 3}

        # Of what people do, nothing is counted for it.
        computed = [profiles.computed_traits(one, place.definitions) for one in place.people.profiles.values()]
        assert {one.get("everything") or 0 for one in computed} == {0}

    placed(test)


def test_a_restart_runs_nothing_that_is_not_due_and_a_changed_query_at_once() -> None:
    async def test(place: Place) -> None:
        place.says(("ada", 1))
        place.says(("ada", 2), sql=SIZE)
        for _ in range(3):
            work = place.runtime.spawn("flow", place.flow().run())
            await place.runtime.sleep(100)
            await work.stop()
        assert place.runner.asked == [SPENT]

        place.definitions = defined(spent=SIZE)
        work = place.runtime.spawn("flow", place.flow().run())
        await place.runtime.sleep(3 * HOUR - 500)
        await work.stop()
        assert place.runner.asked == [SPENT, SIZE, SIZE, SIZE]
        await place.arrive()
        assert place.value("user_id:ada") == 2

    placed(test)


def test_one_runs_them_at_a_time() -> None:
    async def test(place: Place) -> None:
        place.says(("ada", 1))
        works = [place.runtime.spawn(f"flow {number}", place.flow().run()) for number in range(3)]
        await place.runtime.sleep(HOUR + 10)
        assert place.runner.asked == [SPENT, SPENT]
        for work in works:
            await work.stop()

    placed(test)


def test_without_a_query_nobody_becomes_the_worker() -> None:
    async def run(runtime: SimulatedRuntime) -> None:
        place = Place(runtime, documents.read([], {}))
        flow = place.flow()
        work = runtime.spawn("flow", flow.run())
        await runtime.sleep(10)
        assert not place.runs.turn.locked()
        assert flow.vitals.failure is None
        await work.stop()

    simulate(1, run)


def test_a_query_that_fails_is_told_and_others_go_on() -> None:
    async def test(place: Place) -> None:
        flow = place.flow()
        place.says(("ada", 7))
        place.runner.answers[SIZE] = BadQuery("it takes longer than 60 seconds; ask for less")
        work = place.runtime.spawn("flow", flow.run())
        await place.runtime.sleep(10)
        await place.arrive()
        assert place.value("user_id:ada") == 7
        said = "trait 'size': it takes longer than 60 seconds; ask for less"
        assert (flow.vitals.failure, flow.vitals.interruptions) == (said, 1)
        assert [one.flaw for one in await place.runs.latest()] == [said.partition(": ")[2], None]

        # It is told after a restart too, is asked again when it is due, and is well once it works.
        await work.stop()
        flow = place.flow()
        work = place.runtime.spawn("flow", flow.run())
        await place.runtime.sleep(10)
        assert (flow.vitals.failure, place.runner.asked.count(SIZE)) == (said, 1)
        place.says(("ada", 1), sql=SIZE)
        await place.runtime.sleep(HOUR)
        assert (flow.vitals.failure, place.runner.asked.count(SIZE)) == (None, 2)
        await work.stop()

    placed(test, size=SIZE, spent=SPENT)


def test_who_runs_one_query_is_away_and_others_go_on() -> None:
    async def test(place: Place) -> None:
        flow = place.flow()
        place.says(("ada", 7))
        place.runner.answers[SIZE] = Unreachable("the server closed the connection")
        work = place.runtime.spawn("flow", flow.run())
        await place.runtime.sleep(10)
        await place.arrive()
        assert place.value("user_id:ada") == 7
        assert (flow.vitals.failure, place.runner.asked.count(SPENT)) == ("the server closed the connection", 1)
        assert place.runner.asked.count(SIZE) > 1
        (waiting,) = flow.vitals.queues.waiting("sql_traits", place.runtime.now())
        assert (waiting.queue, waiting.count) == ("queries", 1)
        assert 9 < (waiting.seconds or 0) <= 10

        place.says(("ada", 1), sql=SIZE)
        await place.runtime.sleep(10)
        assert (flow.vitals.failure, {one.trait for one in await place.runs.latest()}) == (None, {"size", "spent"})
        (waiting,) = flow.vitals.queues.waiting("sql_traits", place.runtime.now())
        assert (waiting.count, waiting.seconds) == (0, None)
        await work.stop()

    placed(test, size=SIZE, spent=SPENT)


def test_each_is_asked_of_its_engine_and_at_once_when_that_changes() -> None:
    async def test(place: Place) -> None:
        place.says(("ada", 1))
        place.duckdb.answers[SPENT] = Rows(("user_id", "value"), [("ada", 2)])
        flow, worker = place.flow(), await place.runs.open_worker()
        await flow.turn(worker)
        await place.arrive()
        assert place.value("user_id:ada") == 1

        spec = {"sql": SPENT, "every": "1 hour", "engine": "duckdb"}
        place.definitions = documents.read([document("trait", "spent", **spec)], {})
        assert place.definitions.traits[0].spec == spec
        await place.runtime.sleep(1)
        assert await flow.turn(worker) == 1
        await place.arrive()
        assert (place.value("user_id:ada"), place.runner.asked, place.duckdb.asked) == (2, [SPENT], [SPENT])

    placed(test)


def test_a_flaw_that_shows_when_it_runs_has_the_place_where_somebody_wrote_it() -> None:
    async def test(place: Place) -> None:
        written = "select user_id,\n   nope as value from event_stream"
        place.definitions = defined(spent=written)
        sql = read_query(written)
        place.runner.answers[sql] = BadQuery("PostgreSQL says: no column nope", at=sql.index("nope"))
        flow, worker = place.flow(), await place.runs.open_worker()
        await flow.turn(worker)
        (run,) = await place.runs.latest()
        assert run.flaw == "line 2, column 4: PostgreSQL says: no column nope"

    placed(test)


def test_how_long_a_run_took_is_noted() -> None:
    async def test(place: Place) -> None:
        place.says(("ada", 1))

        async def wait() -> None:
            if place.faulty.asked[-1:] == ["ask_events"]:
                await place.runtime.sleep(2.5)

        place.faulty.between = wait
        await place.flow().turn(await place.runs.open_worker())
        (run,) = await place.runs.latest()
        assert run.took is not None
        assert run.took >= 2_500_000

    placed(test)


def test_nonsense_is_counted_and_changes_nobody() -> None:
    async def test(place: Place) -> None:
        await place.fold(page("tie", user_id="eve", anonymous_id="a-1"))
        worker = await place.runs.open_worker()
        flow = place.flow()
        place.says(("ada", 1), ("bob", 2), ("eve", 3))
        await flow.turn(worker)
        await place.arrive()
        before = len(place.people.profiles)

        await place.runtime.sleep(HOUR)
        place.says(("ada", 8), ("ada", 9), ("nobody", 1), (None, 1), ("null", 1), ("bob", "x" * 20_000), ("eve", 3))
        await flow.turn(worker)
        assert await place.arrive() == []
        (run,) = await place.runs.latest()
        assert (run.flaw, run.counts) == (None, {"unusable": 3, "twice": 2, "unknown": 1, "same": 1})

        for columns in (("user", "value"), ("user_id",), ("user_id", "value", "more")):
            await place.runtime.sleep(HOUR)
            place.runner.answers[SPENT] = Rows(columns, [("ada",) * len(columns)])
            await flow.turn(worker)
            assert "user_id" in (flow.vitals.failure or "")
            assert await place.arrive() == []
        assert [place.value(f"user_id:{who}") for who in ("ada", "bob", "eve")] == [1, 2, 3]
        assert len(place.people.profiles) == before

    placed(test)


def test_two_rows_of_two_identifiers_of_one_person_are_believed_in_nothing() -> None:
    async def test(place: Place) -> None:
        await place.fold(page("tie", user_id="eve", anonymous_id="a-1"))
        person = place.person("user_id:eve")
        flow, worker = place.flow(), await place.runs.open_worker()
        place.says((id_text(person.id), 4), column="profile_id")
        await flow.turn(worker)
        (event,) = await place.arrive()
        assert (place.value("user_id:eve"), event.user_id, event.anonymous_id) == (4, "eve", None)

        # Told of by another identifier: the value is that one's, and the former row is no reason to take it away.
        await place.runtime.sleep(HOUR)
        place.says(("a-1", 6), column="anonymous_id")
        await flow.turn(worker)
        assert len(await place.arrive()) == 1
        assert place.value("user_id:eve") == 6
        assert [*await worker.given("spent")] == ["anonymous_id:a-1"]

        await place.fold(page("tie again", user_id="eve", anonymous_id="a-2"))
        for rows in ((("a-1", 6), ("a-2", 7)), (("a-1", 8), ("a-2", 7))):
            await place.runtime.sleep(HOUR)
            place.says(*rows, column="anonymous_id")
            await flow.turn(worker)
            assert await place.arrive() == []
        assert place.value("user_id:eve") == 6
        (run,) = await place.runs.latest()
        assert run.counts == {"twice": 2}

    placed(test)


def test_a_run_that_is_cut_off_is_done_again_and_what_was_noted_is_not_sent_again() -> None:
    async def test(place: Place) -> None:
        names = [f"u-{number:04}" for number in range(700)]
        await place.fold(*(page(name, user_id=name) for name in names))
        place.says(*((name, 1) for name in names))
        flow, worker = place.flow(), await place.runs.open_worker()

        async def cut() -> None:
            if place.faulty.asked.count("ask_events") == 1:
                place.faulty.failure = Unreachable("gone")

        place.faulty.between = cut
        with pytest.raises(Unreachable):
            await flow.turn(worker)
        place.faulty.failure, place.faulty.between = None, None
        assert len(await place.arrive()) == 500
        # In the meantime the query has come to say something else.
        await place.runtime.sleep(1)
        place.says(*((name, 2) for name in names))
        assert await flow.turn(worker) == 1
        await place.arrive()
        assert {place.value(f"user_id:{name}") for name in names} == {2}

    placed(test)


def test_a_run_waits_for_the_log_and_tells_if_that_takes_nothing() -> None:
    async def test(place: Place) -> None:
        names = [f"u-{number:04}" for number in range(3000)]
        await place.fold(*(page(name, user_id=name) for name in names))
        place.says(*((name, 1) for name in names))
        flow = place.flow()
        work = place.runtime.spawn("flow", flow.run())
        await place.runtime.sleep(30)
        waiting = await place.store.waiting_events(limit=10_000)
        assert MOST_WAITING < len(waiting) <= MOST_WAITING + 500
        assert flow.vitals.failure is None
        await place.runtime.sleep(60)
        assert "collector" in (flow.vitals.failure or "")
        for _ in range(10):
            await place.arrive()
            await place.runtime.sleep(10)
        assert {place.value(f"user_id:{name}") for name in names} == {1}
        assert flow.vitals.failure is None
        await work.stop()

    placed(test)


def test_what_was_appended_is_forgotten_after_a_day() -> None:
    async def test(place: Place) -> None:
        flow, worker = place.flow(), await place.runs.open_worker()
        place.says(("ada", 1))
        await flow.turn(worker)
        (event,) = await place.arrive()
        await place.runtime.sleep(23 * HOUR)
        await flow.turn(worker)
        assert await place.store.ask_event(structs.replace(event)) is False
        await place.runtime.sleep(2 * HOUR)
        await flow.turn(worker)
        assert await place.store.ask_event(structs.replace(event)) is True

    placed(test)


def test_of_a_trait_that_is_gone_nothing_is_remembered_but_how_often_it_was_run() -> None:
    async def test(place: Place) -> None:
        flow, worker = place.flow(), await place.runs.open_worker()
        place.says(("ada", 1))
        await flow.turn(worker)
        (first,) = await place.arrive()
        whole, place.definitions = defined(size=SIZE, spent=SPENT), defined(size=SIZE)
        place.says(("bob", 1), sql=SIZE)
        await flow.turn(worker)
        assert await worker.given("spent") == {}
        place.definitions = whole
        await place.runtime.sleep(1)
        assert await flow.turn(worker) == 1
        again = [one for one in await place.store.waiting_events(limit=10) if one.name == "spent"]
        assert [one.user_id for one in again] == ["ada"]
        assert again[0].message_id != first.message_id

    placed(test)


def test_while_the_clock_is_set_back_it_waits_since_an_older_value_would_not_hold() -> None:
    async def test(place: Place) -> None:
        flow, worker = place.flow(), await place.runs.open_worker()
        place.says(("ada", 1))
        await flow.turn(worker)
        await place.arrive()
        place.runtime.skew = -600
        place.definitions = defined(spent=SIZE)
        place.says(("ada", 2), sql=SIZE)
        assert await flow.turn(worker) == 0
        await place.runtime.sleep(601)
        assert await flow.turn(worker) == 1
        await place.arrive()
        assert place.value("user_id:ada") == 2

    placed(test)

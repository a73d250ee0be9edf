"""The load of the benchmarks: who acts, and what is sent, is what the figures say of it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice, pairwise
from random import Random
from typing import Any

import pytest

from obverse.apps.bench.bodies import bodies, introductions
from obverse.apps.bench.load import Load
from obverse.apps.bench.patterns import A_MINUTE, EACH, Users, active, session_seconds, sessions, uniform, zipf

NOON = 1_767_268_800.0
"""2026-01-01T12:00:00Z."""


def batches(load: Load, count: int, clock: float = NOON) -> list[list[dict[str, Any]]]:
    return [json.loads(body)["batch"] for body in islice(bodies(load, b"run-7", lambda: clock), count)]


def test_an_active_person_sends_25_events_a_minute() -> None:
    rate, known = 625, 10_000
    at_once = active(rate, known)
    assert at_once == 1500
    minute = Counter(islice(sessions(at_once, known), rate * 60))
    # After the first of 25 turns, each hands one in 125 over.
    replaced = 24 * 1500 // 125
    assert len(minute) == 1500 + replaced
    assert max(minute.values()) == 25
    assert sum(count == 25 for count in minute.values()) == 1500 - replaced


def test_each_session_has_125_events_in_five_minutes_and_then_another_takes_over() -> None:
    at_once, turns = 250, 4 * EACH
    assert EACH / A_MINUTE == 5
    places: dict[int, list[int]] = {}
    for number, person in enumerate(islice(sessions(at_once, 100_000), at_once * turns)):
        places.setdefault(person, []).append(number)
    # Those who are active at first had begun before, and those at the end have not finished.
    assert {len(numbers) for numbers in places.values()} == set(range(1, EACH + 1))
    whole = [numbers for numbers in places.values() if len(numbers) == EACH]
    assert len(whole) == (turns - EACH + 1) * at_once / EACH
    assert {later - earlier for numbers in whole for earlier, later in pairwise(numbers)} == {at_once}


def test_handovers_are_spread_evenly() -> None:
    at_once, turns = 1000, 2 * EACH
    people = sessions(at_once, 50_000)
    before = list(islice(people, at_once))
    assert len(set(before)) == at_once
    for _ in range(turns):
        turn = list(islice(people, at_once))
        changed = [place for place, (old, new) in enumerate(zip(before, turn, strict=True)) if old != new]
        assert len(changed) == at_once // EACH
        assert {later - earlier for earlier, later in pairwise(changed)} == {EACH}
        assert len(set(turn)) == at_once
        before = turn


@pytest.mark.parametrize(("at_once", "known"), [(1, 1), (7, 7), (90, 100), (300, 301), (240, 7919)])
def test_nobody_is_active_twice_at_once(at_once: int, known: int) -> None:
    people = sessions(at_once, known)
    for _ in range(2 * EACH):
        assert len(set(islice(people, at_once))) == at_once
    assert set(islice(sessions(at_once, known), at_once * EACH * (known // at_once + 2))) == set(range(known))


def test_zipf_draws_the_kth_a_kth_as_often_as_the_first() -> None:
    known, draws = 1000, 200_000
    counts = Counter(islice(zipf(known, Random(3)), draws))
    total = sum(1 / rank for rank in range(1, known + 1))
    assert set(counts) <= set(range(known))
    for rank, (_, count) in enumerate(counts.most_common(20), 1):
        assert count == pytest.approx(draws / total / rank, rel=0.06)
    rare = sum(count for _, count in counts.most_common()[100:])
    assert rare == pytest.approx(draws / total * sum(1 / rank for rank in range(101, known + 1)), rel=0.02)


def test_uniform_draws_all_alike() -> None:
    counts = Counter(islice(uniform(50, Random(3)), 100_000))
    assert set(counts) == set(range(50))
    assert min(counts.values()) == pytest.approx(2000, rel=0.1)
    assert max(counts.values()) == pytest.approx(2000, rel=0.1)


@pytest.mark.parametrize("users", ["sessions", "zipf", "uniform"])
@pytest.mark.parametrize("size", [1, 20, 2500])
def test_every_event_has_an_id_a_person_and_a_time_of_its_own(users: Users, size: int) -> None:
    load = Load(rate=1000, batch=size, people=500, users=users)
    sent = batches(load, 1 + 60 // size)
    assert {len(batch) for batch in sent} == {size}
    events = [event for batch in sent for event in batch]
    assert len({event["messageId"] for event in events}) == len(events)
    assert {event["messageId"].startswith("run-7-") for event in events} == {True}
    assert all(len({event["timestamp"] for event in batch}) == size for batch in sent)
    people = load.who(Random(load.rate))
    if users == "sessions":
        assert [event["userId"] for event in events] == [f"person-{one}" for one in islice(people, len(events))]
    assert {int(event["userId"].removeprefix("person-")) for event in events} <= set(range(500))
    for event in events[:50]:
        assert event["type"] == "track"
        assert event["event"] in {"Order Completed", "Product Added"}
        assert {"order_id", "sku", "quantity", "price", "revenue", "currency", "name"} == event["properties"].keys()
        assert event["context"]["library"]["name"] == "obverse-bench"


def test_batches_differ_in_what_their_events_say() -> None:
    first, second = batches(Load(batch=20), 2)
    assert [event["properties"] for event in first] != [event["properties"] for event in second]
    orders = [event["event"] == "Order Completed" for batch in batches(Load(batch=20), 50) for event in batch]
    assert sum(orders) == len(orders) / 5


def test_a_batch_was_gathered_a_millisecond_an_event() -> None:
    (events,) = batches(Load(batch=3), 1, clock=NOON + 0.0015)
    assert [event["timestamp"] for event in events] == [
        "2026-01-01T11:59:59.999Z",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01T12:00:00.001Z",
    ]
    (body,) = islice(bodies(Load(batch=3), b"run", lambda: NOON), 1)
    assert json.loads(body)["sentAt"] == "2026-01-01T12:00:00.000Z"


def test_people_are_introduced_by_three_identifiers_and_eight_attributes() -> None:
    events = json.loads(introductions(range(3, 6)))["batch"]
    assert [event["userId"] for event in events] == ["person-3", "person-4", "person-5"]
    assert {event["type"] for event in events} == {"identify"}
    assert [event["traits"]["email"] for event in events] == [f"person-{one}@example.com" for one in (3, 4, 5)]
    assert {len(event["traits"]) for event in events} == {8}
    assert len({event["anonymousId"] for event in events} | {event["messageId"] for event in events}) == 6


def test_a_load_tells_its_settings() -> None:
    assert Load(rate=50_000, people=1_000_000, users="sessions", seconds=60).told() == {
        "rate": 50_000,
        "batch": 20,
        "seconds": 60,
        "people": 1_000_000,
        "users": "sessions",
        "connections": 64,
        "log": "postgres",
        "engine": "embedded",
        "heavy": False,
        "marked": False,
        "closing": 0,
        "reads": 0,
        "roll": False,
        "active": 120_000,
        "session_s": 300.0,
    }
    assert Load(people=1000, users="zipf").told()["active"] == 1000
    assert "session_s" not in Load(people=1000, users="zipf").told()
    few = Load(rate=0, people=1000, users="sessions").told()
    assert (few["active"], few["session_s"]) == (500, 1.2)


@pytest.mark.parametrize("known", [2, 7, 100, 3001, 100_000])
def test_of_few_who_are_known_half_are_active_and_others_take_over(known: int) -> None:
    rate = 50_000
    at_once = active(rate, known)
    assert at_once == known // 2
    assert session_seconds(rate, known) == at_once * EACH / rate < 300
    met = set(islice(Load(rate=rate, people=known, users="sessions").who(Random(1)), at_once * EACH * 4))
    assert met == set(range(known))

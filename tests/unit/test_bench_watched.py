"""What `obverse bench backfill` says of people who are read while a trait is changed."""

from __future__ import annotations

from typing import Final

from obverse.apps.bench.watched import MOST, Judged, Reading, judge, sample, values_of

ADA: Final = [(False, False), (True, True), (True, False), (True, True)]
"""Her events: whether each is an order, and whether it is a dear one."""
VALUES: Final = {"ada": values_of(ADA), "bob": values_of([(True, True)])}


def reading(at: float, person: str, events: int, value: int, *, took: float = 0.1, status: int = 200) -> Reading:
    return Reading(person=person, due=at, sent=at, answered=at + took, status=status, events=events, value=value)


def judged(*readings: Reading) -> Judged:
    return judge(readings, VALUES, 1.0)


def test_the_old_value_first_and_then_the_new_one_is_as_it_should_be() -> None:
    found = judged(
        reading(0, "ada", 3, 2),
        reading(0.5, "bob", 1, 1),  # who has the same value by both
        reading(2, "ada", 4, 3),
        reading(3, "ada", 4, 2),
    )
    assert found.flaws() == []
    figures = found.figures()
    assert (figures["reads_old"], figures["reads_new"], figures["people_seen_to_swap"]) == (2, 1, 1)
    assert (figures["old_until_s"], figures["new_from_s"]) == (1.1, 2.1)


def test_a_value_that_nobody_may_see_is_told() -> None:
    old_and_new = reading(0, "ada", 4, 3), reading(9, "ada", 4, 2)
    for wrong in (reading(5, "ada", 4, 0), reading(5, "ada", 4, 4), reading(5, "ada", 9, 3)):
        assert judged(*old_and_new, wrong).flaws() == ["1 reads show neither the old nor the new value"]
    assert judged(*old_and_new, reading(5, "ada", 0, 0, status=503)).flaws() == ["1 reads were not answered 200"]


def test_whoever_asks_after_somebody_had_the_new_value_may_not_see_the_old_one() -> None:
    values = {"ada": VALUES["ada"], "eve": VALUES["ada"]}
    new = reading(2, "ada", 4, 2)
    under_way = reading(2.05, "eve", 4, 3, took=3)
    assert judge([reading(0, "eve", 4, 3), new, under_way], values, 1.0).flaws() == []
    late = reading(2.2, "eve", 4, 3)
    assert judge([new, late], values, 1.0).flaws() == ["1 reads show the old value after somebody had the new one"]


def test_who_saw_only_one_of_both_has_seen_no_swap() -> None:
    assert judged(reading(0, "ada", 4, 3)).flaws() == ["nobody was seen with the new value"]
    assert judged(reading(0, "ada", 4, 2)).flaws() == ["nobody was seen with the old value"]


def test_the_people_who_are_read_are_spread_over_all() -> None:
    assert sample(100_000)[:3] == ["person-0", "person-5000", "person-10000"]
    assert (len(sample(100_000)), len(sample(7)), len(sample(50))) == (MOST, 7, 17)

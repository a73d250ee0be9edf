"""Of the stream of changes only what somebody looks for is read; what is damaged hides nothing beside it."""

from __future__ import annotations

import pytest

from obverse.core import changes
from obverse.core.changes import Change
from obverse.flows.following import changes_in
from obverse.ports.event_log import Batch, Records

ADA, BOB = bytes(16), bytes([1] * 16)
ORDERS = Change(ADA, changes.TRAIT, "orders", "m1")
ENTERED = Change(BOB, changes.ENTERED, "buyers", "m2", 1)
NAMED = Change(ADA, changes.ATTRIBUTE, "prénom", "m3")


def batch(*told: Change, damage: str = "", cut: int = 0) -> Batch:
    (records,) = Records.of(told)
    body = records.body[: len(records.body) - cut]
    return Batch(partition=0, first=0, count=len(told), body=body, appended_at=0, damage=damage)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({"entered"}, [ENTERED]),
        ({"buyers"}, [ENTERED]),
        ({"prénom"}, [NAMED]),
        ({"orders", "prénom"}, [ORDERS, NAMED]),
        ({"email"}, []),
        (set(), []),
    ],
)
def test_batches_without_the_words_are_passed_over(words: set[str], found: list[Change]) -> None:
    assert changes_in([batch(ORDERS), batch(ENTERED), batch(NAMED)], words) == found


def test_a_batch_comes_whole() -> None:
    assert changes_in([batch(ORDERS, ENTERED)], {"entered"}) == [ORDERS, ENTERED]


def test_damage_is_told_and_hides_nothing_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    batches = [batch(ENTERED, damage="bits flipped"), batch(ENTERED, cut=1), batch(ENTERED)]
    assert changes_in(batches, {"entered"}) == [ENTERED]
    told = capsys.readouterr().out
    assert told.count("damaged batch of changes") == 2
    assert "bits flipped" in told

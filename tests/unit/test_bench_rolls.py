"""Answers around a roll and around checkpoints are told apart from all others, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from obverse.apps.bench.installed import Installed
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import BenchFailed
from obverse.apps.bench.phases import Phase
from obverse.apps.bench.rolls import Rolls, arrange_rolls

HERE = Installed(Path("nowhere"), "key", "", "", "", {}, 0.0)


def phase() -> Phase:
    """Ten answers a second for ten seconds from 100 on: 10 ms each, but 80 ms in the second around 105 and at 108."""
    one = Phase(rate=10, seconds=10)
    one.began, one.ended = 100.0, 110.0
    # The last come first, as answers that overtake others do.
    for number in reversed(range(100)):
        due = 100.05 + number / 10
        one.due.append(due)
        one.accepted.append(0.08 if 104.5 <= due < 105.5 or due > 108 else 0.01)
    return one


def test_answers_are_told_around_each_roll_around_checkpoints_and_elsewhere() -> None:
    rolls = Rolls(
        HERE, "one", 0, segment=105.0, partition=107.0, checkpoints=[(90.0, 95.0), (106.0, 106.9), (109.0, 109.2)]
    )
    told = rolls.figures(phase())
    assert told["rolls"]["log_segment"] == {"at_s": 5.0, "answers": 10, "p50_ms": 80, "p99_ms": 80, "p999_ms": 80}
    assert told["rolls"]["event_stream_partition"] == {
        "at_s": 7.0,
        "answers": 10,
        "p50_ms": 10,
        "p99_ms": 10,
        "p999_ms": 10,
    }
    # From 105.5 to 107.4 and from 108.5 to 109.7.
    checkpoints = told["checkpoints"]
    assert (checkpoints["at_s"], checkpoints["took_s"]) == ([6.9, 9.2], [0.9, 0.2])
    assert (checkpoints["answers"], checkpoints["p50_ms"], checkpoints["p99_ms"]) == (19 + 12, 10, 80)
    assert told["elsewhere"]["answers"] == 100 - 10 - 20 - 12
    assert rolls.flaws(phase()) == []


def test_what_did_not_happen_while_events_were_sent_is_a_flaw() -> None:
    rolls = Rolls(HERE, "one", 0, segment=99.0)
    assert rolls.figures(phase())["rolls"]["event_stream_partition"] == {"at_s": None, "answers": 0}
    assert rolls.figures(phase())["elsewhere"]["answers"] == 100
    assert rolls.flaws(phase()) == [
        "the log's segment did not roll over while events were sent",
        "no partition of event_stream rolled over while events were sent",
        "there was no checkpoint while events were sent",
    ]


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Load(log="kafka", seconds=60), "for the log in PostgreSQL"),
        (Load(engine="flink", seconds=60), "for the log in PostgreSQL"),
        (Load(seconds=3), "in the middle of 3 s"),
    ],
)
async def test_where_nothing_can_roll_over_it_is_said(load: Load, why: str) -> None:
    with pytest.raises(BenchFailed, match=why):
        await arrange_rolls(HERE, load)

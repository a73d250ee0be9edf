"""The same profiles, whatever the order, the split and the repetitions of the log."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given

from obverse.contracts.lattice import LAWS
from obverse.contracts.stories import DEFINITIONS as STORIES
from obverse.contracts.stories import tell
from obverse.contracts.trait_kind import DICE
from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from people_logs import logs
from people_steps import DEFINITIONS, new, told


def run(
    log: Sequence[Event],
    dice: Random,
    *,
    partitions: int = 1,
    kept: float = 0.0,
    definitions: Definitions = DEFINITIONS,
) -> People:
    """Fold a log that lies in so many partitions; with this chance a profile is written down and read again."""
    people, ends = new(definitions), [0] * partitions
    for one in log:
        partition = dice.randrange(partitions)
        folded = people.fold(one, (partition, ends[partition]))
        ends[partition] += 1
        if folded.profile is not None and dice.random() < kept:
            people.adopt(profiles.unpack(profiles.pack(folded.profile, definitions), definitions))
    return people


@LAWS
@given(logs(), DICE)
def test_any_order_any_split_and_any_repetition_give_the_same_profiles(log: list[Event], dice: Random) -> None:
    expected = told(run(log, dice))
    for partitions in (1, 2, 5):
        again = [*log, *dice.choices(log, k=dice.randrange(len(log) + 1))]
        dice.shuffle(again)
        assert told(run(again, dice, partitions=partitions)) == expected
        assert told(run(again, dice, partitions=partitions, kept=0.5)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_so_does_a_long_story(seed: int) -> None:
    log, dice = tell(seed=seed, people=5, events=250), Random(seed)
    expected = told(run(log, dice, definitions=STORIES))
    assert len(expected) >= 5
    again = dice.sample([*log, *log[::3]], len(log) + len(log[::3]))
    assert told(run(again, dice, partitions=3, kept=0.1, definitions=STORIES)) == expected


@LAWS
@given(logs(), DICE)
def test_every_identifier_has_one_profile_and_every_profile_its_connected_identifiers(
    log: list[Event], dice: Random
) -> None:
    people = run(log, dice)
    assert people.owners == {
        identifier: profile.id for profile in people.profiles.values() for identifier in profile.identifiers
    }
    groups: list[set[str]] = []
    for one in log:
        shown = set(people.shown(one))
        if shown:
            joined = [group for group in groups if group & shown]
            groups = [group for group in groups if not group & shown] + [shown.union(*joined)]
    assert {frozenset(group) for group in groups} == set(told(people))
    for profile in people.profiles.values():
        tied = {end for ends in profile.edges for end in ends}
        assert tied == (set(profile.identifiers) if len(profile.identifiers) > 1 else set())

"""What is remembered of events for conditions keeps the laws of every kind of trait, whatever is kept of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from obverse.contracts.trait_kind import TraitKindContract
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.occurrences import Occurrences


class TestAll(TraitKindContract):
    kind = Occurrences(1000)

    def values(self) -> SearchStrategy[Any]:
        return st.none()


class TestTheLatestTwo(TestAll):
    kind = Occurrences(2)


class TestThoseOfTheLastThreeMicroseconds(TestAll):
    kind = Occurrences(1000, 3)


class TestTheLatestThreeOfTheLastTwoMicroseconds(TestAll):
    kind = Occurrences(3, 2)


def test_what_is_beyond_both_bounds_is_forgotten() -> None:
    kind = Occurrences(3, 10)
    state = kind.start()
    for at in (1, 30, 5, 24, 25, 26, 19):
        state = kind.add(state, None, Stamp(at, "web", "m"))
    assert state == (25, 26, 30)
    assert kind.merge(state, (36,)) == (26, 30, 36)
    assert kind.merge(state, (50,)) == (50,)

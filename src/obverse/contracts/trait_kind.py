"""What every `TraitKind` must prove."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from obverse.contracts.lattice import LAWS
from obverse.core import json_values
from obverse.core.crdt.clock import Stamp
from obverse.core.traits.kind import Takes, TraitKind, is_approximate

Added = tuple[Any, Stamp]
"""What one event adds: a value (None where the kind takes none), and the event's stamp."""

STAMPS: Final[SearchStrategy[Stamp]] = st.builds(
    Stamp, st.integers(0, 5), st.sampled_from(["app", "web"]), st.text("ab", max_size=3)
)
"""Few, so that many are near each other."""

TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""Any text that JSON can carry."""

ODD_NUMBERS: Final = tuple(
    json_values.decode(text.encode())
    for text in (
        "0",
        "-0",
        "-0.0",
        "0E-7",
        "1e40",
        "1e41",
        "1e60",
        "1e-40",
        "1e999999",
        "-1E-999999",
        "9" * 60,
        "9" * 61,
        "1" + "0" * 4000,
        "0." + "1" * 60,
        "18446744073709551616",
        "-9223372036854775809",
    )
)
ODD_TEXTS: Final = (
    "",
    " ",
    "NaN",
    "sNaN1",
    "-Infinity",
    "inf",
    "null",
    "true",
    "-",
    "+",
    ".",
    "+-5",
    "--5",
    "1e5",
    "1_000",
    "1,5",
    " 1",
    "1 ",
    "1\n",
    "0x10",
    "\N{ARABIC-INDIC DIGIT THREE}",
    "\N{SUPERSCRIPT TWO}",
    "9" * 61,
    "\0",
    '"',
    "\N{PILE OF POO}",
)
SCALARS: Final[SearchStrategy[Any]] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(ODD_NUMBERS)
    | st.sampled_from(ODD_TEXTS)
    | TEXTS
)
ANYTHING: Final[SearchStrategy[Any]] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
"""Whatever `json_values.decode` may return."""
NO_NUMBERS: Final[SearchStrategy[Any]] = (
    st.none()
    | st.booleans()
    | st.sampled_from(ODD_TEXTS)
    | st.sampled_from([Decimal("1E+60"), Decimal("1E-41"), Decimal("1E+999999"), 10**60, -(10**60)])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(TEXTS, st.integers(), max_size=2)
)
"""Values that no kind can compute with as a number."""


DICE: Final = st.builds(Random, st.integers(0, 2**32))


def shuffled(events: Iterable[Added], dice: Random) -> list[Added]:
    """Return the events in another order."""
    return dice.sample(list(events), len(list(events)))


def folded(kind: TraitKind, events: Iterable[Added], state: Any = None) -> Any:
    """Add events as the fold does, to the empty state if none is given."""
    state = kind.start() if state is None else state
    for value, stamp in events:
        taken = kind.takes.of(value)
        if taken is not None or kind.takes is Takes.NOTHING:
            state = kind.add(state, taken, stamp)
    return state


class TraitKindContract:
    """
    Subclass, name the kind and the values that events bring, and every law is tested.

    The laws speak of readings: how a state looks inside is the kind's own affair.
    """

    kind: TraitKind

    @abstractmethod
    def values(self) -> SearchStrategy[Any]:
        """Decoded JSON as events bring it; None where the kind takes nothing. The more are alike, the more is found."""

    def unusable(self) -> SearchStrategy[Any]:
        """Values that leave a state as it was; None does so for every kind that takes values."""
        return st.nothing() if self.kind.takes is Takes.NOTHING else st.none()

    def events(self, most: int = 15) -> SearchStrategy[list[Added]]:
        """Return what some events add."""
        return st.lists(st.tuples(self.values(), STAMPS), max_size=most)

    def folded(self, events: Iterable[Added], state: Any = None) -> Any:
        """Add events, to the empty state if none is given."""
        return folded(self.kind, events, state)

    def reading(self, state: Any) -> bytes:
        """Return what a state reads as, as JSON text: 1, 1.0 and true are three readings."""
        return json_values.encode(self.kind.read(state))

    def kept(self, state: Any) -> Any:
        """Return the state as it comes back from where it was kept."""
        return self.kind.unpack(msgspec.msgpack.decode(msgspec.msgpack.encode(self.kind.pack(state))))

    def merged(self, events: Iterable[Added], dice: Random) -> Any:
        """Add events to some profiles, of which some get none, and merge these, any two at a time."""
        parts: list[list[Added]] = [[] for _ in range(dice.randint(1, 5))]
        for event in events:
            dice.choice(parts).append(event)
        states = [self.folded(part) for part in parts]
        while len(states) > 1:
            dice.shuffle(states)
            states.append(self.kind.merge(states.pop(), states.pop()))
        return states[0]

    @LAWS
    @given(st.data(), DICE)
    def test_adding_in_any_order_reads_the_same(self, data: DataObject, dice: Random) -> None:
        events = data.draw(self.events())
        assert self.reading(self.folded(shuffled(events, dice))) == self.reading(self.folded(events))

    @LAWS
    @given(st.data(), DICE)
    def test_merging_any_split_reads_as_adding_all(self, data: DataObject, dice: Random) -> None:
        events, later = data.draw(self.events()), data.draw(self.events(most=3))
        state = self.merged(events, dice)
        assert self.reading(state) == self.reading(self.folded(events))
        assert self.reading(self.folded(later, state)) == self.reading(self.folded([*events, *later]))

    @LAWS
    @given(st.data())
    def test_merging_with_the_empty_state_changes_nothing(self, data: DataObject) -> None:
        events = data.draw(self.events())
        whole = self.reading(self.folded(events))
        assert self.reading(self.kind.merge(self.folded(events), self.kind.start())) == whole
        assert self.reading(self.kind.merge(self.kind.start(), self.folded(events))) == whole

    @LAWS
    @given(st.data())
    def test_what_was_kept_reads_and_grows_as_if_it_had_not_been(self, data: DataObject) -> None:
        events, later = data.draw(self.events()), data.draw(self.events(most=5))
        assert self.reading(self.kept(self.folded(events))) == self.reading(self.folded(events))
        whole = self.reading(self.folded([*events, *later]))
        assert self.reading(self.folded(later, self.kept(self.folded(events)))) == whole
        merged = self.kind.merge(self.kept(self.folded(events)), self.kept(self.folded(later)))
        assert self.reading(merged) == whole

    @LAWS
    @given(st.data())
    def test_a_state_that_is_not_changed_in_place_stays_as_it_was(self, data: DataObject) -> None:
        if self.kind.in_place:
            pytest.skip("never: adding changes the state that it is given")
        state = self.kind.start()
        for value, stamp in data.draw(self.events()):
            before = self.reading(state)
            after = self.folded([(value, stamp)], state)
            assert self.reading(state) == before
            state = after

    @LAWS
    @given(st.data())
    def test_merging_states_that_are_not_changed_in_place_leaves_both_as_they_were(self, data: DataObject) -> None:
        if self.kind.in_place:
            pytest.skip("never: merging may change either state")
        one, other = self.folded(data.draw(self.events())), self.folded(data.draw(self.events()))
        before = self.reading(one), self.reading(other)
        self.kind.merge(one, other)
        assert (self.reading(one), self.reading(other)) == before

    @LAWS
    @given(st.data(), DICE)
    def test_whether_it_is_approximate_does_not_depend_on_order(self, data: DataObject, dice: Random) -> None:
        events = data.draw(self.events())
        state = self.folded(events)
        assert is_approximate(self.kind, self.merged(events, dice)) == is_approximate(self.kind, state)
        assert is_approximate(self.kind, self.kept(state)) == is_approximate(self.kind, state)

    @LAWS
    @given(st.data())
    def test_a_plain_state_is_what_it_reads_as(self, data: DataObject) -> None:
        if not self.kind.plain:
            pytest.skip("never: its states are read")
        state = self.folded(data.draw(self.events()))
        assert self.reading(state) == json_values.encode(state)

    @LAWS
    @given(st.data(), DICE)
    def test_a_value_it_cannot_use_leaves_the_state_as_it_was(self, data: DataObject, dice: Random) -> None:
        if self.kind.takes is Takes.NOTHING:
            pytest.skip("never: this kind takes no value")
        events = data.draw(self.events())
        unusable = data.draw(st.lists(st.tuples(self.unusable(), STAMPS), min_size=1, max_size=5))
        assert self.reading(self.folded(shuffled([*events, *unusable], dice))) == self.reading(self.folded(events))
        assert self.reading(self.folded(unusable)) == self.reading(self.kind.start())

    @LAWS
    @given(st.data(), DICE)
    def test_no_value_at_all_breaks_it(self, data: DataObject, dice: Random) -> None:
        values = st.none() if self.kind.takes is Takes.NOTHING else ANYTHING
        events = data.draw(st.lists(st.tuples(values, STAMPS), max_size=12))
        whole = self.reading(self.folded(events))
        assert self.reading(self.folded(shuffled(events, dice))) == whole
        assert self.reading(self.kept(self.folded(events))) == whole
        assert self.reading(self.merged(events, dice)) == whole

"""The window of message ids: held, in all that it does, against a dictionary."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.core.profiles.window import LEAST, Window, message_key
from obverse.core.profiles.window import SECONDS as DAY
from people_steps import event

KEYS = st.integers(0, 6).map(lambda one: bytes([one % 2]) * 7 + bytes([one]))
"""Few, and such that the end of one and the beginning of another are a third."""
SECOND = st.integers(0, 9)
STEPS = st.lists(
    st.tuples(st.just("note"), KEYS, SECOND)
    | st.tuples(st.just("forget"), KEYS)
    | st.tuples(st.just("take"), st.dictionaries(KEYS, SECOND, max_size=4))
    | st.tuples(st.just("pack"))
)


@LAWS
@given(STEPS)
def test_it_is_a_dictionary(steps: list[Any]) -> None:
    window, known = Window(), dict[bytes, int]()
    for step in steps:
        match step:
            case ("note", key, second):
                assert window.note(key, second) == (key not in known)
                known.setdefault(key, second)
            case ("forget", key):
                window.forget(key)
                known.pop(key, None)
            case ("take", other):
                window.take(Window.of(other))
                known = {key: max(some.get(key, -1) for some in (known, other)) for key in known | other}
            case _:
                window = Window(window.packed())
        assert (window.seconds(), len(window)) == (known, len(known))
        assert window == Window.of(dict(reversed(known.items())))
        for number in range(7):
            one = bytes([number % 2]) * 7 + bytes([number])
            assert (one in window) == (one in known)


@pytest.mark.parametrize("many", [3, 1023, 1024, 1025, 5000])
def test_however_many_there_are_each_is_known_once(many: int) -> None:
    keys = [message_key(event(f"m{number}")) for number in range(many)]
    window = Window()
    assert all(window.note(key, 1) for key in keys)
    packed = window.packed()
    assert len(packed) == 12 * many
    for one in (window, Window(packed), pickle.loads(pickle.dumps(window))):
        assert not any(one.note(key, 2) for key in keys)
        assert not any(left[4:] + right[:4] in one for left, right in pairwise(keys))
        assert one.packed() == packed
        one.forget(keys[0])
        assert keys[0] not in one
        assert one.note(keys[0], 3)


def test_what_lies_across_two_keys_is_none() -> None:
    window = Window.of({b"abcdefgh": 1, b"ijklmnop": 2})
    assert b"efghijkl" not in window
    assert window.note(b"efghijkl", 3)
    assert not window.note(b"efghijkl", 3)


def test_what_either_knows_stays_with_the_later_arrival_and_the_other_is_as_it_was() -> None:
    one, other = Window.of({b"a" * 8: 1, b"b" * 8: 5}), Window.of({b"a" * 8: 3, b"b" * 8: 2, b"c" * 8: 4})
    empty = Window()
    empty.take(other)
    one.take(other)
    assert one.seconds() == {b"a" * 8: 3, b"b" * 8: 5, b"c" * 8: 4}
    assert empty.note(b"d" * 8, 1)
    assert other.seconds() == {b"a" * 8: 3, b"b" * 8: 2, b"c" * 8: 4}


@pytest.mark.parametrize(("mine", "theirs"), [(3, 16), (3, 17), (1024, 16), (1025, 16), (1500, 1500)])
def test_however_many_two_windows_have_they_become_one(mine: int, theirs: int) -> None:
    """One by one if the other has few, else all at once."""
    one = {number.to_bytes(8): 5 for number in range(mine)}
    other = {number.to_bytes(8): number % 9 for number in range(mine - 2, mine - 2 + theirs)}
    window = Window.of(one)
    assert next(iter(one)) in window  # so that there is a set of many
    window.take(Window.of(other))
    assert window.seconds() == {key: max(one.get(key, -1), other.get(key, -1)) for key in one | other}
    assert all(key in window for key in one | other)
    assert not any(window.note(key, 1) for key in other)


def seen(seconds: Iterable[int]) -> Window:
    """Return a window with a message id in each of these seconds; the key is its place."""
    return Window.of({place.to_bytes(8): second for place, second in enumerate(seconds)})


def places(window: Window) -> set[int]:
    """Those that are left once it is trimmed."""
    recent = window.recent()
    window.trim()
    assert window.seconds() == recent
    return {int.from_bytes(key) for key in recent}


def test_it_keeps_a_day_and_at_least_the_latest_so_many() -> None:
    assert len(places(seen(range(LEAST + 100)))) == LEAST + 100  # all within a day
    assert places(seen([0] * 100 + [DAY * 5] * LEAST)) == set(range(100, LEAST + 100))
    assert len(places(seen([0] * LEAST))) == LEAST  # no more than so many are kept however old

    kept = seen([1, 2, *[DAY + 1] * LEAST, 1])
    assert {0, 1, LEAST + 2} <= places(kept)  # a day old to the second is still kept
    kept.note((9_999_999).to_bytes(8), DAY + 2)
    assert not {0, LEAST + 2} & places(kept)
    assert 1 in places(kept)


@given(st.binary(max_size=60).filter(lambda packed: len(packed) % 12))
def test_bytes_that_are_none_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="no window of message ids, which has 12 for each"):
        Window(packed)

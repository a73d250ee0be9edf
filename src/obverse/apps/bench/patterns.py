"""Who acts: the people of a load, one after another, each as a number below those who are known."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from math import gcd
from random import Random
from typing import Final, Literal

Users = Literal["sessions", "zipf", "uniform"]

A_MINUTE: Final = 25
"""Events of one active person."""
MINUTES: Final = 5
"""How long a person is active before another takes over."""
EACH: Final = A_MINUTE * MINUTES
"""Events of a person from the first to the last, then."""
_STRIDE: Final = 7919
"""Between those who follow each other, so that neighbours in time are none in memory."""


def active(rate: int, known: int) -> int:
    """
    How many are active at once, so that each sends `A_MINUTE` at `rate` events a second; half of the known at most.

    Where more would be needed, each sends more a minute, and so has an end the sooner: another takes over in any case.

    >>> active(50_000, 1_000_000), active(50_000, 100_000)
    (120000, 50000)
    """
    return max(1, min(known // 2, rate * 60 // A_MINUTE))


def session_seconds(rate: int, known: int) -> float:
    """
    How long a person is active, then: five minutes, if enough are known.

    >>> session_seconds(50_000, 1_000_000), session_seconds(50_000, 100_000)
    (300.0, 125.0)
    """
    return active(rate, known) * EACH / rate


def sessions(at_once: int, known: int) -> Iterator[int]:
    """
    Return people who are active for a while: each sends `EACH` events in equal steps, then another takes over.

    `at_once` are active, and take turns: a turn of all takes 2.4 seconds if the rate is that of `active`, so that the
    number of the event tells the person without a clock. In each turn one of `EACH` hands over, everywhere among the
    others; in the first one too, as if it had always been going on. Who hands over comes again once all the known
    have had their time.
    """
    return chain.from_iterable(_turns(at_once, known))


def _turns(at_once: int, known: int) -> Iterator[array[int]]:
    stride, begun = _stride(known), 0
    who = array("I", bytes(at_once * array("I").itemsize))

    def hand_over(turn: int) -> None:
        nonlocal begun
        places = range(-turn % EACH, at_once, EACH)
        begun, first = begun + len(places), begun
        who[places.start :: EACH] = array("I", (one * stride % known for one in range(first, begun)))

    for turn in range(EACH):
        hand_over(turn)
    turn = EACH
    while True:
        hand_over(turn)
        yield who
        turn += 1


def zipf(known: int, dice: Random) -> Iterator[int]:
    """
    Return people drawn at random, the k-th most active of them with a probability of 1/k to the first one's.

    Exact, by Walker's alias method: each of the known has a column of the same height, filled up by one other's excess.
    """
    stride = _stride(known)
    weights = array("d", bytes(8 * known))
    total = sum(1 / rank for rank in range(1, known + 1))
    for place in range(known):
        weights[place * stride % known] = known / total / (place + 1)
    others = array("I", range(known))
    low = [one for one in range(known) if weights[one] < 1]
    high = [one for one in range(known) if weights[one] >= 1]
    while low and high:
        one, giver = low.pop(), high[-1]
        others[one] = giver
        weights[giver] -= 1 - weights[one]
        if weights[giver] < 1:
            low.append(high.pop())
    return _drawn(weights, others, dice.random)


def _drawn(own: array[float], others: array[int], random: Callable[[], float]) -> Iterator[int]:
    count = len(own)
    while True:
        place = random() * count
        column = int(place)
        yield column if place - column < own[column] else others[column]


def uniform(known: int, dice: Random) -> Iterator[int]:
    """Return people drawn at random, all alike."""
    random = dice.random
    while True:
        yield int(random() * known)


def _stride(known: int) -> int:
    """A step that comes by all of the known before it comes by one of them again."""
    stride = _STRIDE
    while gcd(stride, known) > 1:
        stride += 1
    return stride


PATTERNS: Final[Mapping[str, Callable[[int, int, Random], Iterator[int]]]] = {
    "sessions": lambda rate, known, _: sessions(active(rate, known), known),
    "zipf": lambda _, known, dice: zipf(known, dice),
    "uniform": lambda _, known, dice: uniform(known, dice),
}
"""By name, the people of a load: of this many events a second, this many known, and these dice."""

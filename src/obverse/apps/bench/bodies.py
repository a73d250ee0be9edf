"""The bodies that the generator sends: as a shop's servers send them, and made at little cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Final

from obverse.apps.bench.load import Load

_POOL: Final = 4096
"""Different events of the shop, apart from whose they are and when."""
_MOST: Final = 2500
"""Events of the largest batch."""

CONTEXT: Final = b'{"library":{"name":"obverse-bench","version":"1"},"ip":"192.0.2.%d","page":{"path":"/p/%d"}}'
_PROPERTIES: Final = (
    b'{"order_id":"o-%d","sku":"%05d","quantity":%d,"price":%.2f,"revenue":%.2f,"currency":"GBP",'
    b'"name":"WHITE HANGING HEART T-LIGHT HOLDER %d"}'
)
_TRAITS: Final = (
    b'{"email":"person-%d@example.com","firstName":"Ada-%d","lastName":"Lovelace","phone":"+44 20 %08d",'
    b'"plan":"%b","city":"%b","newsletter":true,"createdAt":"2026-01-%02dT10:00:00.000Z"}'
)
_EVENT: Final = (
    b'{"type":"track","messageId":"%b-%%d-%d","userId":"person-%%d","anonymousId":null,"timestamp":"%%b",%%b}'
)
_IDENTIFY: Final = (
    b'{"type":"identify","messageId":"known-%d","userId":"person-%d","anonymousId":"%b","traits":%b,"context":%b}'
)


def happenings(count: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    """What happens in a shop: name, properties and context of an event each; one in five is an order."""
    for number in range(1, count + 1):
        properties = _PROPERTIES % (
            number,
            number * 7919 % 3000,
            number % 12 + 1,
            number % 4000 / 100,
            number * 31 % 9000 / 100,
            number % 97,
        )
        name = b"Order Completed" if number % 5 == 0 else b"Product Added"
        yield name, properties, CONTEXT % (number % 250, number % 500)


def traits_of(person: int) -> bytes:
    """Eight attributes of a person, as JSON text."""
    plan, city = (b"free", b"basic", b"pro")[person % 3], (b"London", b"Leeds", b"York", b"Bath")[person % 4]
    return _TRAITS % (person, person % 9973, person % 10**8, plan, city, person % 28 + 1)


def anonymous_id_of(person: int) -> bytes:
    """The id of a person's browser."""
    return b"00000000-0000-4000-8000-%012d" % person


def introductions(people: range) -> bytes:
    """The batch that makes these people known, by three identifiers each."""
    context = CONTEXT % (1, 1)
    events = (_IDENTIFY % (one, one, anonymous_id_of(one), traits_of(one), context) for one in people)
    return b'{"batch":[%b]}' % b",".join(events)


def bodies(load: Load, run: bytes, clock: Callable[[], float] = time.time) -> Iterator[bytes]:
    """
    Batches for ever, each event with its own id, person and time; `run` goes before every message id.

    A batch was gathered a millisecond an event. The rest of an event comes from a pool, each time from another place.
    """
    dice = Random(load.rate)  # noqa: S311 - a load that can be repeated
    ends = [b'"event":"%b","properties":%b,"context":%b,"integrations":{}' % one for one in happenings(_POOL)]
    ends += ends[:_MOST]
    # Written for a whole batch at once, which costs a third of what its events would cost one by one.
    events = b",".join(_EVENT % (run, place) for place in range(load.batch))
    return _bodies(b'{"batch":[' + events + b'],"sentAt":"%b"}', load, dice, ends, clock)


def _bodies(
    template: bytes, load: Load, dice: Random, ends: list[bytes], clock: Callable[[], float]
) -> Iterator[bytes]:
    people, size, random, moments = load.who(dice), load.batch, dice.random, Moments()
    number = 0
    while True:
        number += 1
        at, times = int(random() * _POOL), moments.until(clock(), size)
        said: list[bytes | int] = [number, 0, b"", b""] * size
        said[1::4] = islice(people, size)
        said[2::4] = times
        said[3::4] = ends[at : at + size]
        said.append(times[-1])
        yield template % tuple(said)


class Moments:
    """Times as SDKs write them, a millisecond apart."""

    def __init__(self) -> None:
        self._second = -1
        self._texts: list[bytes] = []

    def until(self, now: float, count: int) -> list[bytes]:
        """
        So many of them, the last one `now`; at most `_MOST`.

        >>> Moments().until(1.001, 2)
        [b'1970-01-01T00:00:01.000Z', b'1970-01-01T00:00:01.001Z']
        """
        second, rest = divmod(int(now * 1000), 1000)
        if second != self._second:
            self._second = second
            self._texts = [text for one in range(second - _MOST // 1000 - 1, second + 1) for text in _milliseconds(one)]
        end = len(self._texts) - 999 + rest
        return self._texts[end - count : end]


def _milliseconds(second: int) -> Iterator[bytes]:
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
    return (b"%b.%03dZ" % (before, rest) for rest in range(1000))

"""Putting records until Kinesis has taken each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from obverse.adapters.kinesis.client import Entry, Kinesis, Where
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

_CALL_RECORDS: Final = 500
_CALL_BYTES: Final = 5 << 20
"""What Kinesis takes in one call, partition keys included."""
_KEY_BYTES: Final = 8
_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


async def put_all(
    kinesis: Kinesis, stream: Stream, entries: Sequence[Entry], runtime: Runtime, *, give_up: float
) -> list[Where | Unreachable]:
    """
    Put records, sending those that were not taken again; returns where each stands, or that nothing is known of it.

    Of one call Kinesis may take some and not others, and of one that was not answered nothing is known: so a record
    may stand there twice, and behind later ones. What is left is given up when none was taken for `give_up` seconds.

    Raises:
        AccessRefused: a person must mend the connection; nothing is known of any of them.
    """
    found: dict[int, Where] = {}
    left = list(range(len(entries)))
    pause, moved_at = _PAUSE, runtime.elapsed()
    while True:
        call = _call(entries, left)
        reason = await _put(kinesis, stream, entries, call, found)
        taken = [place for place in call if place in found]
        left = [place for place in left if place not in found]
        if not left:
            return [found[place] for place in range(len(entries))]
        if taken:
            moved_at = runtime.elapsed()
        if not reason:
            pause = _PAUSE
            continue
        if runtime.elapsed() - moved_at > give_up:
            lost = Unreachable(f"Kinesis has taken none of {len(left)} records for {give_up:g} seconds: {reason}")
            return [found.get(place, lost) for place in range(len(entries))]
        # Full jitter: many who were turned away together do not come back together.
        await runtime.sleep(runtime.random.uniform(0, pause))
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _put(
    kinesis: Kinesis, stream: Stream, entries: Sequence[Entry], call: Sequence[int], found: dict[int, Where]
) -> str:
    """Make one call, and note what was taken; returns why something was not, or nothing."""
    try:
        answers = await kinesis.put(stream, [entries[place] for place in call])
    except Unreachable as error:
        return str(error)
    reason = ""
    for place, answer in zip(call, answers, strict=True):
        if isinstance(answer, Where):
            found[place] = answer
        else:
            reason = answer
    return reason


def _call(entries: Sequence[Entry], left: Sequence[int]) -> list[int]:
    """Choose as many of what is left, in order, as one call may bring."""
    call: list[int] = []
    size = 0
    for place in left[:_CALL_RECORDS]:
        size += len(entries[place].data) + _KEY_BYTES
        if call and size > _CALL_BYTES:
            break
        call.append(place)
    return call

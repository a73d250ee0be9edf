"""`obverse bench poison`: what hostile requests cost those who send good ones beside them."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from statistics import median
from typing import Any, Final

from obverse.apps.bench.doors import sender_to
from obverse.apps.bench.installed import Installed
from obverse.apps.bench.load import Load
from obverse.apps.bench.machine import percentile
from obverse.apps.bench.phases import Phase, look_at_memory, send_phase
from obverse.apps.bench.trial import trial_of

TURNS: Final = 3
"""Phases without poison, and as many with it."""
SLOW: Final = 50
"""Connections that tell their request a letter at a time."""
MOST: Final = 1.1
"""How much later than without poison the good ones may be answered, at the 99th percentile."""
_ERROR: Final = 500


def _event(properties: bytes, number: int) -> bytes:
    return b'{"type":"track","event":"Odd","messageId":"odd-%d-%d","userId":"odd","properties":%b}' % (
        os.getpid(),
        number,
        properties,
    )


def _batch(item: bytes) -> bytes:
    return b'{"batch":[' + item + b"]}"


def _deep(_: Random, number: int) -> bytes:
    return _batch(_event(b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", number))


def _wide(_: Random, number: int) -> bytes:
    return _batch(_event(b"{" + b",".join(b'"k%d":1' % place for place in range(10_000)) + b"}", number))


def _large(_: Random, number: int) -> bytes:
    return _batch(_event(b'{"a":"' + b"x" * 33 * 1024 + b'"}', number))


def _too_much(_: Random, number: int) -> bytes:
    return _batch(_event(b'{"a":"' + b"x" * 501 * 1024 + b'"}', number))


def _odd(dice: Random, number: int) -> bytes:
    odd = (b"NaN", b"-Infinity", b'"\\ud800"', b'"\\u0000"', b'1,"a":2', b"%d" % 2**63, b"1" + b"0" * 400, b'"\xff"')
    return _batch(_event(b'{"a":%b}' % dice.choice(odd), number))


def _cut(_: Random, number: int) -> bytes:
    return _batch(_event(b"{}", number))[:-9]


def _bomb(_: Random, __: int) -> bytes:
    return _BOMB


_packer = zlib.compressobj(9, zlib.DEFLATED, 31)
_BOMB: Final = _packer.compress(b" " * 50_000_000) + _packer.flush()
_KINDS: Final[tuple[Callable[[Random, int], bytes], ...]] = (_deep, _wide, _large, _too_much, _odd, _odd, _cut, _bomb)


async def bench_poison(load: Load, poison: int, *, turns: int = TURNS) -> dict[str, Any]:
    """
    Send the load without and with `poison` hostile requests a second, in turns, and tell how the answers differ.

    Raises:
        BenchFailed: the installation did not start.
    """
    statuses: Counter[int] = Counter()
    phases: dict[bool, list[Phase]] = {False: [], True: []}
    async with trial_of(load) as trial:
        for number in range(2 * turns):
            hostile = number % 2 == 1
            phase = Phase(load.rate, load.seconds)
            looking = asyncio.create_task(look_at_memory(phase, trial.here.pids["collector"]))
            async with _poisoned(trial.here, trial.doors.headers, poison if hostile else 0, statuses):
                await send_phase(phase, trial.doors, load, b"phase-%d-%d" % (number, os.getpid()))
            looking.cancel()
            phases[hostile].append(phase)
    p99s = {hostile: [percentile(one.accepted, 0.99) for one in some] for hostile, some in phases.items()}
    ratio = median(p99s[True]) / median(p99s[False])
    figures = trial.figures(
        {
            "poison_per_s": poison,
            "slow_connections": SLOW,
            "without": [phase.figures(load.batch) for phase in phases[False]],
            "with": [phase.figures(load.batch) for phase in phases[True]],
            "p99_ratio": round(ratio, 2),
            "poison_statuses": {str(status): count for status, count in sorted(statuses.items())},
            "stored": trial.stored,
        }
    )
    return {**figures, "flaws": _flaws(phases, statuses, ratio)}


def _flaws(phases: dict[bool, list[Phase]], statuses: Counter[int], ratio: float) -> list[str]:
    flaws = [flaw for some in phases.values() for phase in some for flaw in phase.failures()]
    broken = sum(count for status, count in statuses.items() if status >= _ERROR or not status)
    if broken:
        flaws.append(f"{broken} hostile requests broke something")
    if ratio > MOST:
        flaws.append(f"good requests are answered {ratio:.2f} times as late beside hostile ones")
    return flaws


@asynccontextmanager
async def _poisoned(here: Installed, headers: bytes, rate: int, statuses: Counter[int]) -> AsyncIterator[None]:
    """Send hostile requests while the block runs."""
    if not rate:
        yield
        return
    sender = sender_to(here.collector, connections=8)
    await sender.open()
    works = [asyncio.create_task(_slow(here.collector)) for _ in range(SLOW)]
    works.append(asyncio.create_task(_send(sender.post, headers, rate, statuses)))
    try:
        yield
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        sender.close()


async def _send(
    post: Callable[[str, bytes, bytes], asyncio.Future[int]], headers: bytes, rate: int, statuses: Counter[int]
) -> None:
    loop, dice, began, number = asyncio.get_running_loop(), Random(7), asyncio.get_running_loop().time(), 0  # noqa: S311 - a load that can be repeated
    while True:
        number += 1
        make = _KINDS[number % len(_KINDS)]
        packed = b"content-encoding: gzip\r\n" if make is _bomb else b""
        answer = post("/v1/batch", headers + packed, make(dice, number))
        answer.add_done_callback(lambda one: statuses.update((one.result(),)))
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))


async def _slow(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    while True:
        _, writer = await asyncio.open_connection(host, int(port))
        try:
            for letter in b"POST /v1/batch HTTP/1.1\r\nx-slow: " + b"x" * 1000:
                writer.write(bytes((letter,)))
                await asyncio.sleep(0.2)
        except OSError:
            pass  # let go, as it should be
        finally:
            writer.close()

"""`obverse migrate log`: the log moves to another adapter's, while events go on arriving."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from obverse.apps.cli.reachable import reachable
from obverse.flows.move_log import BadMove, Logs, Moved, MoveLog
from obverse.ports.event_log import Stream
from obverse.settings import Settings
from obverse.wiring import Wiring


async def move_log(settings: Settings, to: str, *, as_json: bool) -> int:
    """
    Move it; returns the exit code.

    Raises:
        BadMove, BadSettings: it cannot be moved there.
        Unreachable, AccessRefused, ServerFailed: a log or the database is away.
    """
    # The worker may append to every stream.
    async with reachable(settings, "worker") as wiring, AsyncExitStack() as stack:
        places = await wiring.log_places()
        stack.push_async_callback(places.close)
        mover = await places.open_mover()
        stack.push_async_callback(mover.close)
        place = await places.settle(settings.port_options("event_log")[0])
        if place.adapter == to:
            _tell(to, to, None, 0.0, as_json=as_json)
            return 0
        if place.moving_to not in {None, to}:
            raise BadMove(
                f"the log is being moved to {place.moving_to}: go on with that, or forget it with "
                f"`obverse migrate log --to {place.moving_to} --give-up`"
            )
        source, target = await wiring.log_of(place.adapter), await wiring.log_of(to)
        stack.push_async_callback(source.close)
        stack.push_async_callback(target.close)
        logs = Logs(source=source, target=target, source_name=place.adapter, target_name=to)
        began = wiring.runtime.elapsed()
        with _bars() as bars:
            bar = bars.add_task("records", total=None)

            def tell(copied: Mapping[Stream, int], missing: Mapping[Stream, int]) -> None:
                done = sum(copied.values())
                bars.update(bar, completed=done, total=done + sum(missing.values()))

            moved = await MoveLog(logs, mover, wiring.runtime, tell=tell).run()
        _tell(place.adapter, to, moved, wiring.runtime.elapsed() - began, as_json=as_json)
    return 0


async def give_up(settings: Settings, to: str) -> int:
    """
    Forget a move that was begun; what was copied stays where it is, and is of no use to anybody.

    Raises:
        BadMove: nothing moves there.
        Unreachable, AccessRefused, ServerFailed: the database is away.
    """
    async with reachable(settings, "worker") as wiring:
        await _give_up(wiring, settings.port_options("event_log")[0], to)
    return 0


async def _give_up(wiring: Wiring, named: str, to: str) -> None:
    async with AsyncExitStack() as stack:
        places = await wiring.log_places()
        stack.push_async_callback(places.close)
        mover = await places.open_mover()
        stack.push_async_callback(mover.close)
        place = await places.settle(named)
        if place.moving_to != to:
            raise BadMove(f"the log is in {place.adapter}, and nothing of it moves to {to}")
        await mover.give_up(forget=True)
        sys.stdout.write(f"the log stays in {place.adapter}; what was copied to {to} can be deleted there\n")


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _tell(source: str, target: str, moved: Moved | None, seconds: float, *, as_json: bool) -> None:
    copied = dict.fromkeys(Stream, 0) if moved is None else moved.copied
    held = 0.0 if moved is None else moved.held_seconds
    damaged = 0 if moved is None else moved.damaged
    if as_json:
        said: dict[str, Any] = {
            "from": source,
            "to": target,
            "records": {stream.value: count for stream, count in copied.items()},
            "damaged": damaged,
            "seconds": round(seconds, 2),
            "held_seconds": round(held, 2),
        }
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        return
    if moved is None:
        sys.stdout.write(f"the log is in {target} already\n")
        return
    counts = ", ".join(f"{stream.value} {count:,}" for stream, count in copied.items())
    sys.stdout.write(f"the log is in {target} now: {counts}; nothing was taken in for {held:.1f} seconds\n")
    if damaged:
        sys.stdout.write(f"{damaged:,} records could not be read in {source}; they keep their offsets\n")
    sys.stdout.write(f"Set event_log.adapter to {target}; {source} still holds what it held, and is used no more\n")

"""`obverse replay --rejected`: rejected events, sent again, and what became of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from obverse.apps.roles import Place, wiring_of
from obverse.flows.ask_replay import BadReplay
from obverse.flows.cursors import BadCursor
from obverse.flows.review import Review, numbers_of
from obverse.ports.profile_store import KeptRejected, ProfileStore, RejectedFilter, ReplayState
from obverse.settings import Settings

PATIENCE: Final = 30.0
"""Seconds for which the collector is waited for."""
_LOOK: Final = 0.2
_SHOWN: Final = 10
"""Of those that were rejected again, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be sent again."""

    source: str | None = None
    code: str | None = None
    ids: Sequence[str] = ()
    body: Path | None = None
    """A file with what is sent in the place of the only one."""


class Result(msgspec.Struct, frozen=True):
    """What became of it."""

    asked: int
    replayed: int
    rejected_again: int
    waiting: int


async def replay_rejected(settings: Settings, wanted: Wanted, *, as_json: bool) -> int:
    """
    Have rejected events sent again, and wait for what becomes of them.

    Returns:
        0 if all were accepted, 1 if one was rejected again or still waits.

    Raises:
        BadReplay: what was asked for cannot be sent again.
        Unreachable, ServerFailed: the database is away.
    """
    correction = _correction(wanted)
    try:
        ids = numbers_of(wanted.ids) or None
    except BadCursor as error:
        raise BadReplay(str(error)) from error
    wiring = wiring_of("api", settings, Place())
    store = await wiring.profile_store()
    try:
        asked = await Review(store).replay(RejectedFilter(source=wanted.source, code=wanted.code, ids=ids), correction)
        until = wiring.runtime.elapsed() + PATIENCE
        while (waiting := await _of(store, asked, ReplayState.WAITING)) and wiring.runtime.elapsed() < until:
            await wiring.runtime.sleep(_LOOK)
        again = await _of(store, asked, ReplayState.OPEN)
    finally:
        await store.close()
    if left_out := not_open(ids or (), asked):
        sys.stderr.write(f"obverse: {left_out}\n")
    left = len(asked) - len(again) - len(waiting)
    result = Result(len(asked), left, len(again), len(waiting))
    _tell(result, again, as_json=as_json)
    return 1 if result.rejected_again or result.waiting else 0


def not_open(named: Sequence[int], asked: Sequence[int]) -> str | None:
    """What is said of rejected events that were named, and of which none was sent; nothing if there are none."""
    numbers = sorted({*named} - {*asked})
    if not numbers:
        return None
    shown = ", ".join(map(str, numbers[:_SHOWN])) + (" …" if len(numbers) > _SHOWN else "")
    return (
        f"not sent: {shown}: no rejected event of that number is open (it was accepted before, is waiting, or never "
        "was; or --source or --code says another): `GET /v1/rejected-events?state=open` lists those that are"
    )


async def _of(store: ProfileStore, asked: Sequence[int], state: ReplayState) -> Sequence[KeptRejected]:
    return await store.rejected(RejectedFilter(ids=asked, state=state), limit=len(asked))


def _correction(wanted: Wanted) -> bytes | None:
    if wanted.body is None:
        return None
    if len(wanted.ids) != 1:
        raise BadReplay("--body stands in the place of one rejected event: name it with --id")
    try:
        return wanted.body.read_bytes()
    except OSError as error:
        raise BadReplay(f"{wanted.body} cannot be read ({error.strerror}); name a file with the event") from error


def _tell(result: Result, again: Sequence[KeptRejected], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return
    sys.stdout.write(f"{result.asked} sent again, {result.replayed} accepted, {result.rejected_again} rejected again\n")
    for one in again[:_SHOWN]:
        sys.stdout.write(f"  {one.id}: {one.event.code}: {one.event.reason}\n")
    if result.waiting:
        sys.stderr.write(f"obverse: {result.waiting} wait still; the collector takes them (`obverse up`)\n")

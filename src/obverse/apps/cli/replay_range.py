"""`obverse replay --to`: a part of the log is sent again, once somebody has seen what that would do."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import typer

from obverse.adapters.runtime.system import open_runtime
from obverse.apps.cli.asker import asker
from obverse.apps.cli.replay_text import in_words, line
from obverse.apps.roles import Place, wiring_of
from obverse.flows.ask_replay import ENDED, AskReplay, BadReplay, NoSuchReplay, ReplayRequest, view, wanted_of
from obverse.ports.replays import Replay, ReplayStage
from obverse.ports.runtime import Runtime
from obverse.settings import Settings

TO_DO: Final = 2
"""Exit code of a plan that nobody has confirmed, if there is something to do; 1 is an error."""
PATIENCE: Final = 60.0
"""Seconds without any progress for which the worker is waited for."""
_LOOK: Final = 0.2
_LISTED: Final = 50


class WorkerSilent(RuntimeError):
    """The worker does nothing of it; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for."""

    request: ReplayRequest
    approved: bool
    as_json: bool


async def replay_range(settings: Settings, asked: Asked) -> int:
    """
    Have a part of the log planned, show the plan, ask, and have it run.

    Returns:
        0 if it was done, or there is nothing to do; `TO_DO` if there is, and there is no terminal to ask on; 1 if it
        was refused, cancelled, or somebody said no.

    Raises:
        BadReplay: what was asked for contradicts itself.
        WorkerSilent: nobody plans or runs it.
        Unreachable, ServerFailed: the database is away.
    """
    wanted_of(asked.request, open_runtime().now())  # what is wrong with it needs no database to be told
    async with _asking(settings) as (asking, runtime):
        id_ = await asking.ask(asked.request, by=asker())
        one = await _until(asking, runtime, id_, ReplayStage.PLANNED)
        if one.state is not ReplayStage.PLANNED or one.plan is None:
            return _end(one, as_json=asked.as_json)
        if not asked.as_json:
            sys.stdout.write(in_words(one.plan, done=False))
            sys.stdout.flush()
        if not asked.approved:
            if not one.plan.to_do:
                return _planned(one, as_json=asked.as_json, code=0)
            if asked.as_json or not sys.stdin.isatty():
                return _planned(one, as_json=asked.as_json, code=TO_DO)
            if not typer.confirm(f"Run replay {one.id}?", err=True):
                await asking.cancel(one.id)
                sys.stderr.write("obverse: nothing was sent\n")
                return 1
        return await _run(asking, runtime, one.id, as_json=asked.as_json)


async def run_planned(settings: Settings, id_: int, *, as_json: bool) -> int:
    """
    Run a replay that was planned before.

    Returns:
        0 if it was done, 1 if it was refused or cancelled.

    Raises:
        BadReplay: it is not planned, or there is none.
        WorkerSilent, Unreachable, ServerFailed: as `replay_range`.
    """
    async with _asking(settings) as (asking, runtime):
        return await _run(asking, runtime, id_, as_json=as_json)


async def cancel(settings: Settings, id_: int, *, as_json: bool) -> int:
    """
    Have a replay go no further.

    Raises:
        BadReplay: it has ended, or there is none.
        Unreachable, ServerFailed: the database is away.
    """
    async with _asking(settings) as (asking, _):
        one = await asking.cancel(id_)
    if as_json:
        _print(view(one))
    else:
        sys.stdout.write(f"replay {id_} is cancelled; what it did until now stays done\n")
    return 0


async def list_all(settings: Settings, *, as_json: bool) -> int:
    """
    Tell of the latest replays.

    Raises:
        Unreachable, ServerFailed: the database is away.
    """
    async with _asking(settings) as (asking, _):
        found = await asking.page(limit=_LISTED)
    if as_json:
        _print([view(one) for one in found])
    else:
        sys.stdout.write("".join(f"{line(one)}\n" for one in found) or "nothing was replayed yet\n")
    return 0


async def _run(asking: AskReplay, runtime: Runtime, id_: int, *, as_json: bool) -> int:
    await asking.confirm(id_, by=asker())
    one = await _until(asking, runtime, id_, ReplayStage.DONE)
    if one.state is ReplayStage.DONE and one.result is not None and not as_json:
        sys.stdout.write(f"Replay {id_} is done.\n{in_words(one.result, done=True)}")
        return 0
    return _end(one, as_json=as_json)


async def _until(asking: AskReplay, runtime: Runtime, id_: int, state: ReplayStage) -> Replay:
    """Wait until a replay is there, or has ended otherwise."""
    seen, since = (-1, ""), runtime.elapsed()
    while True:
        one = await asking.find(id_)
        if one.state is state or one.state in ENDED:
            return one
        if (one.done, one.state.value) != seen:
            seen, since = (one.done, one.state.value), runtime.elapsed()
        if runtime.elapsed() - since > PATIENCE:
            raise WorkerSilent(
                f"replay {id_} is {one.state.value} still: the worker does it (`obverse up`), one after another; "
                f"look at `obverse replay --list`, and then say --run {id_}, or --cancel {id_}"
            )
        await runtime.sleep(_LOOK)


def _planned(one: Replay, *, as_json: bool, code: int) -> int:
    if as_json:
        _print(view(one))
    else:
        told = f"`obverse replay --run {one.id}` runs it" if code else "there is nothing to do"
        sys.stderr.write(f"Replay {one.id} is planned, and nothing was sent: {told}.\n")
    return code


def _end(one: Replay, *, as_json: bool) -> int:
    if as_json:
        _print(view(one))
    elif one.state is not ReplayStage.DONE:
        sys.stderr.write(f"obverse: replay {one.id} was {one.state.value}{f': {one.reason}' if one.reason else ''}\n")
    return 0 if one.state is ReplayStage.DONE else 1


@asynccontextmanager
async def _asking(settings: Settings) -> AsyncIterator[tuple[AskReplay, Runtime]]:
    wiring = wiring_of("api", settings, Place())
    replays = await wiring.replays()
    try:
        yield AskReplay(replays, wiring.runtime), wiring.runtime
    except NoSuchReplay as error:
        raise BadReplay(str(error)) from error
    finally:
        await replays.close()


def _print(tree: Any) -> None:
    sys.stdout.write(msgspec.json.encode(tree).decode() + "\n")

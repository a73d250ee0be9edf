"""What every process of ours has: a log of its own, a loop, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import obverse.apps.light_structlog  # noqa: F401  # isort: skip - before structlog

import structlog
import uvloop

from obverse.adapters._garbage import look_seldom


def set_up_logging(level: str) -> None:
    """For people on a terminal, as JSON lines otherwise; both on stderr."""
    human = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=human and "NO_COLOR" not in os.environ)
            if human
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a process's main coroutine on uvloop."""
    look_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def until_told_to_stop(work: Coroutine[Any, Any, int]) -> int:
    """Do this work; SIGTERM ends it as Ctrl-C would, so that what it started is stopped, with 143 as its exit code."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        own = asyncio.current_task()
        if own is not None and own.cancelling():
            raise
        return 128 + signal.SIGTERM


def stop_on_signals(lifeline: int | None = None) -> asyncio.Event:
    """
    An event that is set when this process should end: a signal, or the supervisor is gone.

    `lifeline` is the reading end of a pipe whose other end only the supervisor holds.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if lifeline is not None:

        def gone() -> None:
            loop.remove_reader(lifeline)
            stop.set()

        loop.add_reader(lifeline, gone)
    return stop


def name_process(name: str) -> None:
    """Have `ps` and `top` show what this process is, where the system can (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)  # PR_SET_NAME


def give_way(steps: int) -> None:
    """Let the other processes of this machine have its cores first, where the system can; 19 steps at most."""
    if steps and hasattr(os, "nice"):
        os.nice(steps)

"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

Data = Annotated[Path | None, typer.Option(help="Folder of the database, secrets and definitions.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON line, the last on stdout.")]
Log = Annotated[
    str | None,
    typer.Option(
        help="The log's adapter, such as postgres, kafka or kinesis; for one that is outside, and whose place is not "
        "set, a stand-in is started on this machine."
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        help="The engine's adapter: embedded, flink or spark. One that folds elsewhere brings Kafka and Redis, where "
        "nothing else is set."
    ),
]
Partitions = Annotated[int | None, typer.Option(min=1, max=1024, help="Partitions of the stream of events.")]


HOSTED: Final = frozenset({"flink", "spark"})
"""Engines that fold elsewhere …"""
BESIDE: Final = {"EVENT_LOG": "kafka", "PROFILE_CACHE": "redis"}
"""… and the adapters of an installation that has one, where nothing else is set."""


def set_log(log: str | None) -> None:
    """Have this adapter be the log's, here and in the processes that we start."""
    if log is not None:
        os.environ["OBVERSE_EVENT_LOG__ADAPTER"] = log


def set_engine(engine: str | None) -> None:
    """Have this adapter be the engine's, here and in the processes that we start, with what it needs beside it."""
    if engine is None:
        return
    os.environ["OBVERSE_ENGINE__ADAPTER"] = engine
    if engine in HOSTED:
        for name, adapter in BESIDE.items():
            os.environ.setdefault(f"OBVERSE_{name}__ADAPTER", adapter)

"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

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
Partitions = Annotated[int | None, typer.Option(min=1, max=1024, help="Partitions of the stream of events.")]


def set_log(log: str | None) -> None:
    """Have this adapter be the log's, here and in the processes that we start."""
    if log is not None:
        os.environ["OBVERSE_EVENT_LOG__ADAPTER"] = log

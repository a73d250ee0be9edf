"""How a command gets its settings, and runs what it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from obverse.apps.cli.telling import told

if TYPE_CHECKING:
    from collections.abc import Callable


def set_options(data: Path | None, partitions: int | None) -> None:
    """Options are settings that win over the environment, here and in the processes that we start."""
    if data is not None:
        os.environ["OBVERSE_DATA"] = str(data)
    if partitions is not None:
        os.environ["OBVERSE_PARTITIONS"] = str(partitions)


def read() -> Any:
    """The settings."""
    from obverse.settings import read_settings

    return told(read_settings)


def run(main_of: Callable[[Any], Any]) -> None:
    """Run the command's main coroutine, made of the settings; its result is the exit code."""
    settings = read()
    from obverse.apps.processes import run as run_process
    from obverse.apps.processes import set_up_logging

    set_up_logging(settings.log_level)
    raise typer.Exit(told(lambda: run_process(main_of(settings))))

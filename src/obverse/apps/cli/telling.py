"""How a command tells what a person can mend."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def told(work: Callable[[], Any]) -> Any:
    """Do it; an error that a person can mend is told in one line, without a traceback."""
    try:
        return work()
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:
        if type(error).__name__ not in _MENDABLE:
            raise
        fail(str(error))


_MENDABLE = frozenset(
    {
        "AccessRefused",
        "BadCost",
        "BadDataFolder",
        "BadDefinition",
        "BadLoad",
        "BadMapping",
        "BadMove",
        "BadReplay",
        "BadScope",
        "BadSettings",
        "BadTypegen",
        "BadSourceName",
        "BenchFailed",
        "FlinkFailed",
        "FlinkLacking",
        "InUse",
        "LogGap",
        "LostRace",
        "MatcherLacking",
        "NoSuchPath",
        "NoSuchSource",
        "NotApproved",
        "NotOurs",
        "NotRunning",
        "PlayError",
        "PortTaken",
        "SandboxLacking",
        "SchemaRefused",
        "ServerFailed",
        "SourceExists",
        "SparkFailed",
        "SparkLacking",
        "TooMuch",
        "Unreachable",
        "UnreadableFile",
        "UnknownMark",
        "UnreadableProfile",
        "UnwritableFile",
        "WorkerSilent",
        "PermissionError",
    }
)
"""By name, since to import them all would cost every command."""


def fail(message: str) -> NoReturn:
    """Say it, and end with 1."""
    print(f"obverse: {message}", file=sys.stderr)
    raise typer.Exit(1)

"""The command `obverse` is quick to tell what it can do."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from obverse.apps.cli import app
from obverse.apps.cli.asker import asker


def test_help_needs_nothing_of_what_the_commands_do() -> None:
    """It takes 0.2 s, of which most is Python's and typer's own."""
    heavy = ("yaml", "asyncpg", "structlog", "pydantic", "obverse.wiring", "obverse.core")
    code = f"import sys, obverse.apps.cli; print([one for one in {heavy!r} if one in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_the_version_is_told() -> None:
    command = [sys.executable, "-m", "obverse.apps.cli", "--version"]
    assert subprocess.check_output(command, text=True) == f"obverse {version('obverse')}\n"


def test_a_command_that_is_meant_otherwise_is_suggested() -> None:
    command = [sys.executable, "-m", "obverse.apps.cli", "lod"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Did you mean 'load'?" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--bogus"],
        ["apply", "--bogus"],
        ["validate", "--bogus"],
        ["pull", "--bogus"],
        ["dry-run", "--definitions", "/nowhere"],
        ["load"],
        ["replay", "--run", "seven"],
        ["bench", "fold", "--bogus"],
        ["migrate", "log", "--bogus"],
        ["--bogus"],
        ["plna"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_read_ends_with_1_and_not_with_what_says_that_there_is_something_to_do(
    arguments: list[str],
) -> None:
    refused = CliRunner().invoke(app, arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Usage: " in refused.stderr


def test_the_fold_is_measured_with_as_many_traits_and_audiences_as_are_asked_for() -> None:
    command = [sys.executable, "-m", "obverse.apps.cli", "bench", "fold", "--profiles", "1000", "--events", "1000"]
    told = subprocess.check_output([*command, "--traits", "11", "--audiences", "5", "--json"], text=True)
    figures = json.loads(told)
    assert (figures["traits"], figures["audiences"], figures["flaws"]) == (11, 5, [])
    assert figures["each_profile"]["traits"] == 11


def test_a_cost_or_a_rate_that_cannot_be_is_told_in_one_line() -> None:
    for arguments, words in (
        (["--cost", "motor=3"], "'motor=3' is no cost"),
        (["--workspaces", "1"], "spread them over 57 workspaces"),
    ):
        command = [sys.executable, "-m", "obverse.apps.cli", "bench", "layout", *arguments]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr


def test_flows_that_are_none_or_of_another_role_are_told_in_one_line() -> None:
    for arguments in (["worker", "--flows", "identity,dance"], ["api", "--flows", "keep"], ["worker", "--flows", ""]):
        command = [sys.executable, "-m", "obverse.apps.cli", "run", *arguments]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        assert "--flows is of a worker alone, and takes some of identity, keep" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("arguments", [["--to", "all"], ["--rejected"], ["--list"], ["--run", "7"]])
def test_a_replay_of_what_does_not_run_is_told_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "obverse.apps.cli", "replay", *arguments, "--data", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_URL")}
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert refused.returncode == 1
    assert refused.stderr == f"obverse: nothing runs in {tmp_path}: start `obverse up`, or say --data FOLDER\n"


def test_who_asks_may_be_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert asker().startswith("uid ")

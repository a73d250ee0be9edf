"""What tests need and a machine may lack: taken from Debian if we are root; else skipped, and in CI failed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

PATIENCE = 600
"""Seconds for one command, and for another installer to end."""

QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


class NotToBeHad(Exception):
    """A machine lacks something that we cannot install; the text says why."""


def lacking(what: str, why: str) -> NoReturn:
    """End a test for the lack of something: skipped, with one line that says which and why; failed under CI=true."""
    line = f"no {what}: {' '.join(why.split())}"
    if os.environ.get("CI") == "true":
        pytest.fail(line, pytrace=False)
    pytest.skip(line)


@contextmanager
def debian() -> Iterator[None]:
    """
    Be the only one of the tests' processes that installs packages; look first whether another one just did.

    Raises:
        NotToBeHad: this is no Debian, or we are not root.
    """
    if shutil.which("apt-get") is None:
        raise NotToBeHad("it is not installed, and there is no apt-get to install it with")
    if os.geteuid() != 0:
        raise NotToBeHad("it is not installed, and only root can install it")
    with Path(tempfile.gettempdir(), "obverse-test-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def newest_package(pattern: str) -> str:
    """
    Return the last, by its name, of Debian's packages with such a name.

    Raises:
        NotToBeHad: there is none, or Debian does not answer.
    """
    run("apt-get", "update", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")
    found = run("apt-cache", "search", "--names-only", pattern).splitlines()
    if not found:
        raise NotToBeHad(f"Debian has no package {pattern}")
    return max(line.split()[0] for line in found)


def install(package: str) -> None:
    """
    Install a package of Debian with what it cannot do without.

    Raises:
        NotToBeHad: that failed.
    """
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={PATIENCE}", package)


def run(*command: str) -> str:
    """
    Run a command, and return what it printed.

    Raises:
        NotToBeHad: it failed; with its last words.
    """
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **QUIET}
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        last = told if isinstance(told, str) else told.decode(errors="replace")
        raise NotToBeHad(f"`{' '.join(command)}` failed: {last.strip().splitlines()[-1]}") from error
    return done.stdout

"""The command `obverse` is quick to tell what it can do."""

from __future__ import annotations

import subprocess
import sys


def test_help_needs_nothing_of_what_the_commands_do() -> None:
    """It takes 0.2 s, of which most is Python's and typer's own."""
    heavy = ("yaml", "asyncpg", "structlog", "pydantic", "obverse.wiring", "obverse.core")
    code = f"import sys, obverse.apps.cli; print([one for one in {heavy!r} if one in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"

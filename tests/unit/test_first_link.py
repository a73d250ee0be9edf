"""What `obverse up` says of signing in."""

from __future__ import annotations

from pathlib import Path

import pytest

from obverse.apps.cli.installation import say_first_link
from obverse.apps.supervisor import Running
from obverse.settings import Settings


async def test_a_database_that_is_away_at_that_moment_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@/obverse?host={tmp_path}/gone")
    running = Running(collector="http://c", api="http://a", worker="http://w", sandbox="http://s")
    await say_first_link(Settings(data=tmp_path), running)
    told = capsys.readouterr().err
    assert told.startswith("No link to sign in with yet (PostgreSQL (knows who is signed in)")
    assert told.endswith("`obverse sign-in` prints one\n")

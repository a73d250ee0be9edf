"""What a command says of a folder in which no database was ever started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obverse.adapters.postgres.server import ServerFailed
from obverse.adapters.postgres.server.logins import password_of


def test_it_names_the_folder_and_what_to_do(tmp_path: Path) -> None:
    told = f"no database was started in {re.escape(str(tmp_path))} yet .*: start `obverse up`, or say --data FOLDER"
    with pytest.raises(ServerFailed, match=told):
        password_of("obverse_api", tmp_path / "secrets")

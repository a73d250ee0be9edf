"""The wheel has all that a machine without the checkout needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.service

PROJECT = Path(__file__).parents[2]


def test_pages_migrations_and_the_demo_are_in_the_wheel(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--wheel", "-q", "--no-build-isolation", "--python", sys.executable, "-o", str(tmp_path)]
    command = [str(uv), "build", *options, str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = ZipFile(wheel).namelist()
    for wanted in (
        "obverse/apps/console/pages/index.html",
        "obverse/apps/console/pages/assets/index-",
        "obverse/adapters/postgres/migrations/0005_sessions.sql",
        "obverse/adapters/postgres/migrations/0006_replays.sql",
        "obverse/apps/api/openapi.json",
        "obverse/apps/demo/definitions/templates/welcome.mjml",
    ):
        assert any(name.startswith(wanted) for name in names), wanted
    assert not any("node_modules" in name or "/generated/" in name for name in names)

"""What a person can do wrong with the command `obverse`: told in a line, with what to do, and nothing is harmed."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from installation import Installation, start

pytestmark = pytest.mark.service


async def told(data: Path, *command: str, **settings: str) -> str:
    """What a command that must fail says."""
    process = await start(data, *command, **settings)
    _, errors = await process.communicate()
    said = errors.decode()
    assert process.returncode == 1, said
    assert said.startswith("obverse: ")
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("command", ["up", "demo"])
async def test_a_folder_that_is_in_use_is_left_alone(here: Installation, command: str) -> None:
    # As if the demo had made it, which is allowed to empty what is its own.
    marker = here.data / ".obverse-demo"
    marker.touch()
    user = f"u-{secrets.token_hex(4)}"
    event = {"type": "track", "event": "Asked", "userId": user, "writeKey": here.key}

    said = await told(here.data, command)

    marker.unlink()
    assert f"in use by process {here.process.pid}" in said
    assert "--data" in said
    assert (await here.post("/v1/track", event))[0] == 200
    assert await here.ready()


async def test_a_definition_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "definitions").mkdir(parents=True)
    (data / "definitions" / "bad.yml").write_text("kind: [\n")

    said = await told(data, "up")

    assert "definitions/bad.yml:2:1: OB002 no YAML" in said
    assert not (data / "postgres").exists()


@pytest.mark.parametrize("command", [("up",), ("demo", "--exit"), ("source", "add", "shop")])
async def test_a_folder_that_cannot_be_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()

    said = await told(tmp_path / "file", *command)

    assert f"the data folder {tmp_path / 'file'}" in said
    assert "choose another with --data or OBVERSE_DATA" in said
    assert (tmp_path / "file").is_file()


async def test_a_name_that_no_source_can_have(tmp_path: Path) -> None:
    said = await told(tmp_path / "data", "source", "add", "My Shop!")

    assert "'My Shop!' cannot name a source: use a-z, 0-9, - and _" in said
    assert not (tmp_path / "data").exists()


async def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    said = await told(tmp_path / "data", "up", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")

    assert "see that the server of DATABASE_URL runs (127.0.0.1, port 1)" in said
    # The first source was taken back with its key, which nobody has seen: the next start shows one.
    assert not (tmp_path / "data" / "definitions").exists()

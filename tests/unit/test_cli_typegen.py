"""`obverse typegen`: which plan it takes, what it refuses, and where it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from obverse.apps.cli.telling import _MENDABLE
from obverse.apps.cli.typegen import BadTypegen, typegen
from obverse.core.definitions import BadDefinition
from obverse.settings import Settings

PLAN = """version: obverse/v1
kind: tracking_plan
metadata: {{name: shop}}
spec:
  version: "{version}"
  calls:
"""
CALL = "  - {{event: {event}, schema: {{properties: {{total: {{type: number}}}}}}}}\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with three versions of one plan, the latest of which is not the last by its text."""
    settings = Settings(data=tmp_path / "data")
    folder = settings.definitions_folder
    folder.mkdir(parents=True)
    calls = ""
    for version, event in (("1.2", "Two"), ("1.9", "Nine"), ("1.10", "Ten")):
        calls += CALL.format(event=event)
        (folder / f"{version}.yml").write_text(PLAN.format(version=version) + calls)
    return settings


def written(settings: Settings, out: Path, *, version: str = "", language: str = "python") -> str:
    typegen(settings, "shop", version=version, language=language, out=out)
    return out.read_text(encoding="utf-8")


def test_the_latest_version_is_taken_unless_one_is_named(settings: Settings, tmp_path: Path) -> None:
    assert "def ten(" in written(settings, tmp_path / "shop.py")
    older = written(settings, tmp_path / "shop.py", version="1.9")
    assert "def nine(" in older
    assert "def ten(" not in older
    assert "def ten(" in written(settings, tmp_path / "shop.py", version="1.10")


def test_each_language_is_written(settings: Settings, tmp_path: Path) -> None:
    python = written(settings, tmp_path / "shop.py")
    compile(python, "shop.py", "exec")
    assert python.startswith('"""Typed calls of tracking plan shop 1.10;')
    assert "event='Ten'" in python
    typescript = written(settings, tmp_path / "shop.ts", language="typescript")
    assert "export interface Ten {" in typescript
    assert '"total"?: number' in typescript


def test_without_a_file_it_is_said(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typegen(settings, "shop", version="", language="python", out=None)
    assert capsys.readouterr().out == written(settings, tmp_path / "shop.py")


@pytest.mark.parametrize(
    ("name", "version", "language", "words"),
    [
        ("shop", "", "cobol", "there is no language 'cobol'; use one of python, typescript"),
        ("shop", "1.3", "python", "there is no tracking plan 'shop 1.3' in the files of"),
        ("stall", "", "python", "(there: shop 1.10, shop 1.2, shop 1.9); one that was made elsewhere, such as in the"),
        ("stall", "", "python", "`obverse pull` writes there first"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    settings: Settings, name: str, version: str, language: str, words: str
) -> None:
    with pytest.raises(BadTypegen) as refused:
        typegen(settings, name, version=version, language=language, out=None)
    assert words in str(refused.value)


def test_without_any_files_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(BadTypegen, match=r"\(there: none\).*`obverse pull`"):
        typegen(Settings(data=tmp_path), "shop", version="", language="python", out=None)


def test_a_file_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadTypegen, match=r"cannot be written \(No such file or directory\); name another file"):
        written(settings, tmp_path / "nowhere" / "shop.py")


def test_a_flaw_in_a_definition_is_told_and_nothing_written(settings: Settings, tmp_path: Path) -> None:
    (settings.definitions_folder / "broken.yml").write_text("version: obverse/v1\nkind: tracking_plan\n")
    with pytest.raises(BadDefinition, match=r"broken\.yml"):
        written(settings, tmp_path / "shop.py")
    assert not (tmp_path / "shop.py").exists()
    assert {"BadTypegen", "BadDefinition"} <= _MENDABLE


def test_the_command_writes_the_file(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "shop.ts"
    command = [sys.executable, "-m", "obverse.apps.cli", "typegen", "--data", str(settings.data), "shop"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OBVERSE_")}
    wanted = [*command, "--language", "typescript", "--version", "1.2", "--out", str(out)]
    subprocess.run(wanted, check=True, env=environment, capture_output=True)
    assert "export interface Two {" in out.read_text(encoding="utf-8")

"""What commands write: JSON, whatever files are called; or why it cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from definition_steps import ORDERS, put
from obverse.adapters.definition_files.pulling import UnwritableFile
from obverse.apps.cli.definitions import validate, write_schemas
from obverse.apps.cli.json_line import write_json
from obverse.settings import Settings

ODD = "traits\udcff"


def test_a_flaw_of_a_file_whose_name_is_not_utf_8_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, **{ODD: ORDERS.replace("count", "cuont")})
    settings = Settings(definitions=tmp_path, data=tmp_path / "data")
    assert validate(settings, [], as_json=True) == 1
    (flaw,) = json.loads(capsys.readouterr().out)["flaws"]
    assert (flaw["file"], flaw["rule"]) == (rf"{tmp_path}/traits\udcff.yml", "OB016")


def test_schemas_that_cannot_be_written_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("file", "file/below", "x" * 300):
        with pytest.raises(UnwritableFile, match=r"cannot be written .*; name another folder"):
            write_schemas(tmp_path / folder)


def test_all_that_is_in_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({ODD: [ODD, 1, 2.5, None, True, {"ä": "ö"}]})
    odd = r"traits\udcff"
    assert json.loads(capsys.readouterr().out) == {odd: [odd, 1, 2.5, None, True, {"ä": "ö"}]}

"""What a command reads of a project, and whether that is all of it: of a part nothing follows for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from definition_steps import BUYERS, ORDERS, put
from obverse.adapters.definition_files import read_files
from obverse.apps.definition_project import NoSuchPath, read_project
from obverse.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    put(tmp_path / "defined", traits__orders=ORDERS, audiences__buyers=BUYERS)
    return Settings(definitions=tmp_path / "defined", data=tmp_path / "data")


def names(settings: Settings, *paths: Path) -> tuple[list[str], bool]:
    """What is read, and whether it is all there is."""
    read = read_project(settings, paths)
    assert read.files.flaws == []
    return [Path(one.file).name for one in read.files.documents], read.whole


def test_without_a_path_it_is_the_whole_folder(settings: Settings) -> None:
    assert names(settings) == (["buyers.yml", "orders.yml"], True)


def test_the_folder_or_what_holds_it_is_the_whole(settings: Settings, tmp_path: Path) -> None:
    for path in (tmp_path / "defined", tmp_path / "defined" / ".." / "defined", tmp_path):
        assert names(settings, path) == (["buyers.yml", "orders.yml"], True)
    (tmp_path / "link").symlink_to(tmp_path / "defined")
    assert names(settings, tmp_path / "link")[1] is True


def test_anything_else_is_a_part_and_read_once(settings: Settings, tmp_path: Path) -> None:
    traits = tmp_path / "defined" / "traits"
    assert names(settings, traits) == (["orders.yml"], False)
    assert names(settings, traits / "orders.yml", traits) == (["orders.yml"], False)
    elsewhere = put(tmp_path / "elsewhere", more=ORDERS)
    assert names(settings, elsewhere) == (["more.yml"], False)
    assert names(settings, traits, tmp_path / "defined" / "audiences") == (["orders.yml", "buyers.yml"], False)


def test_a_file_that_is_named_may_be_called_anything(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "draft").write_text(ORDERS, encoding="utf-8")
    assert names(settings, tmp_path / "draft") == (["draft"], False)


def test_what_is_not_there_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath, match=r"there is no .*nowhere; name files or folders"):
        read_project(settings, [tmp_path / "nowhere"])
    for long in ("x" * 300, "x/" * 3000):
        with pytest.raises(NoSuchPath, match=r"there is no .*xx?; name files or folders"):
            read_project(settings, [tmp_path / long])
        with pytest.raises(NoSuchPath, match="there is no folder"):
            read_project(settings.model_copy(update={"definitions": tmp_path / long}))
        (flaw,) = read_files([tmp_path / long], tmp_path).flaws
        assert "cannot be read (File name too long)" in flaw.what
    with pytest.raises(NoSuchPath, match=r"there is no folder .*none; make it, say --data FOLDER"):
        read_project(settings.model_copy(update={"definitions": tmp_path / "none"}))

"""The source that the very first start makes."""

from __future__ import annotations

from pathlib import Path

from obverse.apps.cli.installation import first_source, forget_first_source, has_source
from obverse.apps.sources import add_source
from obverse.settings import Settings


def test_a_first_start_that_failed_is_followed_by_another_first_start(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    key = first_source(settings)
    assert key is not None
    assert first_source(settings) is None
    forget_first_source(settings)
    assert first_source(settings) not in {None, key}


def test_what_others_put_there_meanwhile_stays(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    first_source(settings)
    other = settings.definitions_folder / "orders.yml"
    other.touch()
    forget_first_source(settings)
    assert [one for one in settings.definitions_folder.rglob("*") if one.is_file()] == [other]


def test_a_folder_that_people_made_may_have_no_source(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    settings.definitions_folder.mkdir(parents=True)
    (settings.definitions_folder / "odd.yml").write_text("- a list\n", encoding="utf-8")
    assert first_source(settings) is None
    assert not has_source(settings)
    add_source(settings.definitions_folder, "shop", "wk_key")
    assert has_source(settings)

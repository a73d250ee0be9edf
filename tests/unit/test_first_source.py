"""The source that the very first start makes."""

from __future__ import annotations

from pathlib import Path

from obverse.apps.cli.installation import first_source, forget_first_source
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

"""The source that a load's rows come in as."""

from __future__ import annotations

from pathlib import Path

from obverse.apps.loads.keys import others_beside
from obverse.apps.sources import add_source
from obverse.settings import Settings


def test_a_source_is_new_beside_others(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert not others_beside(settings, "shop")
    for name in ("web", "shop"):
        add_source(settings.definitions_folder, name, f"wk_{name}")
    assert others_beside(settings, "shp") == ["shop", "web"]
    assert not others_beside(settings, "shop")

"""A data folder has one supervisor at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obverse.apps import data_folder


def test_whoever_comes_second_is_told_who_was_first(tmp_path: Path) -> None:
    held = data_folder.claim(tmp_path / "new" / "data")

    with pytest.raises(data_folder.InUse, match=rf"process {os.getpid()}: stop that one, or choose another"):
        data_folder.claim(tmp_path / "new" / "data")

    os.close(held)
    os.close(data_folder.claim(tmp_path / "new" / "data"))


def test_what_cannot_be_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for folder in (tmp_path / "file", tmp_path / "file" / "beneath"):
        with pytest.raises(data_folder.BadDataFolder, match="choose another with --data"):
            data_folder.claim(folder)

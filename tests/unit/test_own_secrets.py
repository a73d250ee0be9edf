"""Secrets of an installation are made once, and only its own user reads them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from obverse.apps.own_secrets import own_secret
from obverse.settings import BadSettings
from obverse.wiring import resolved


def test_a_secret_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    made = own_secret(tmp_path, "key")

    assert own_secret(tmp_path, "key") == made != own_secret(tmp_path, "other")
    assert len(made) >= 43
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets", tmp_path / "secrets" / "key")] == [
        0o700,
        0o600,
    ]
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["key", "other"]


def test_those_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: own_secret(tmp_path, "key"), range(32)))

    assert len(made) == 1


def test_a_setting_names_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "t-1")
    made = own_secret(tmp_path, "key")

    assert resolved("${env:CRM_TOKEN}", tmp_path, "") == "t-1"
    assert resolved("a ${file:secrets/key} b", tmp_path, "") == f"a {made} b"
    assert resolved(7, tmp_path, "") == 7
    for wrong, told in (("${env:NO_SUCH}", "no variable NO_SUCH; set it"), ("${file:nowhere}", "put the secret there")):
        with pytest.raises(BadSettings, match=f"spec.settings.token: .*{told}"):
            resolved(wrong, tmp_path, "spec.settings.token")

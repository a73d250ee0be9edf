"""A demo or a benchmark has the log that it names, or is told at once why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from obverse.apps.cli import telling
from obverse.apps.log_stand_ins import PLACES, STAND_INS, log_to_use
from obverse.sandboxes import SandboxLacking
from obverse.sandboxes.kafka.broker import find_java
from obverse.settings import BadSettings, Settings


async def test_a_log_that_needs_no_stand_in_has_none(tmp_path: Path) -> None:
    for table in ({"adapter": "postgres"}, {"adapter": "kafka", "kafka": {"servers": "elsewhere:9092"}}):
        settings = Settings(event_log=table)
        async with log_to_use(settings, tmp_path) as log:
            assert (log.settings, log.pids) == (settings, {})
            assert json.loads(log.environment()["OBVERSE_EVENT_LOG"]) == table
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - a folder of the test's own


async def test_a_log_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"'kafak'.* kafka, .*memory, postgres"):
        async with log_to_use(Settings(event_log={"adapter": "kafak"}), tmp_path):
            pass


async def test_without_java_the_stand_in_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SandboxLacking, match=r"Java 17 .* install it"):
        async with log_to_use(Settings(event_log={"adapter": "kafka"}), tmp_path):
            pass


def test_without_the_jars_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch(mode=0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SandboxLacking, match=r"`make kafka`, elsewhere `mvn .*pom\.xml"):
        find_java(tmp_path, 64)


def test_without_its_client_library_the_log_says_what_to_install() -> None:
    bare = (
        "import sys; sys.modules['confluent_kafka'] = None\nfrom obverse.wiring import find\nfind('event_log', 'kafka')"
    )
    asked = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=False)
    assert "event_log.adapter is 'kafka', which needs confluent_kafka: install obverse[kafka]" in asked.stderr


def test_whatever_is_missing_is_told_in_one_line() -> None:
    assert {"BadSettings", "SandboxLacking"} <= telling._MENDABLE
    assert PLACES.keys() == STAND_INS.keys()

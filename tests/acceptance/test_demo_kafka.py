"""The demo over Apache Kafka comes to what it comes to over PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acceptance.demos import assert_figures, play, short_folder
from acceptance.shop_figures import shop_figures
from installation import start
from obverse.sandboxes import SandboxLacking
from obverse.sandboxes.kafka.broker import find_java

pytestmark = pytest.mark.service


def has_kafka() -> bool:
    try:
        find_java(None, 64)
    except SandboxLacking:
        return False
    return True


@pytest.mark.skipif(not has_kafka(), reason="Java or the jars of Apache Kafka are not here: `make kafka`")
@pytest.mark.parametrize("partitions", [1, 4] if os.environ.get("OBVERSE_KILLS") else [1])
async def test_the_figures_are_the_same(partitions: int) -> None:
    with short_folder() as folder:
        summary = await play(folder / "kafka", "--log", "kafka", "--partitions", str(partitions))

    assert_figures(summary, shop_figures(), merges=partitions == 1)


@pytest.mark.parametrize(
    ("hidden", "remedy"),
    [({"JAVA_HOME": "/nowhere"}, "needs Java 17"), ({}, "make kafka")],
    ids=["no Java", "no jars"],
)
async def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, hidden: dict[str, str], remedy: str) -> None:
    if not hidden:
        with pytest.raises(SandboxLacking, match=remedy):
            find_java(tmp_path, 64)
        return
    process = await start(tmp_path / "d", "demo", "--exit", "--log", "kafka", **hidden)
    _, words = await process.communicate()
    assert process.returncode == 1
    assert remedy in words.decode()
    assert "Traceback" not in words.decode()

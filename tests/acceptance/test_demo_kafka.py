"""The demo over Apache Kafka comes to what it comes to over PostgreSQL."""

from __future__ import annotations

import os

import pytest

from acceptance.demos import assert_figures, play, short_folder
from acceptance.shop_figures import shop_figures
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

"""The demo with its log in Kinesis: the same figures as with PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from acceptance.demo_steps import assert_figures, play
from acceptance.shop_figures import shop_figures
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.postgres.server.logins import OWNER

pytestmark = pytest.mark.service


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path: sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    yield folder / "kinesis"
    shutil.rmtree(folder, ignore_errors=True)


async def test_the_figures_are_the_same_and_the_log_is_not_in_the_database(data: Path) -> None:
    figures = shop_figures()
    summary = await play(data, "--log", "kinesis")
    assert_figures(summary, figures)
    server = EmbeddedServer(data)
    await server.start()
    connection = await asyncpg.connect(server.dsn(OWNER))
    try:
        assert await connection.fetchval("select count(*) from event_log") == 0
        ends = dict(await connection.fetch("select stream, end_offset from event_log_ends"))
    finally:
        await connection.close()
        await server.stop()
    assert ends["events"] >= figures.events_accepted
    assert ends["changes"] > 0
    assert ends["decisions"] > 0

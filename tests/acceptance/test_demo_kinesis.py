"""The demo with its log in Kinesis: the same figures as with PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from acceptance.demos import KILLS, assert_figures, play, short_folder, summary_of, until_killed
from acceptance.shop_figures import shop_figures
from installation import PATIENCE, start
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.postgres.server.logins import OWNER

pytestmark = pytest.mark.service


@pytest.fixture
def data() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "kinesis"


@pytest.mark.parametrize("partitions", [1, 4] if os.environ.get("OBVERSE_KILLS") else [1])
async def test_the_figures_are_the_same_and_the_log_is_not_in_the_database(data: Path, partitions: int) -> None:
    figures = shop_figures()
    summary = await play(data, "--log", "kinesis", "--partitions", str(partitions))
    assert_figures(summary, figures, merges=partitions == 1)
    server = EmbeddedServer(data)
    await server.start()
    connection = await asyncpg.connect(server.dsn(OWNER))
    try:
        assert await connection.fetchval("select count(*) from event_log") == 0
        ends = dict(await connection.fetch("select stream, sum(end_offset) from event_log_ends group by stream"))
    finally:
        await connection.close()
        await server.stop()
    assert ends["events"] >= figures.events_accepted
    assert ends["changes"] > 0
    assert ends["decisions"] > 0


@pytest.mark.skipif("OBVERSE_KILLS" not in os.environ, reason="`make chaos` does it")
async def test_thirty_kills_change_nothing(data: Path) -> None:
    figures = shop_figures()
    seed = random.randrange(10**6)
    sys.stderr.write(f"seed {seed}\n")
    process = await start(data, "demo", "--exit", "--json", "--log", "kinesis")
    communicating = asyncio.create_task(process.communicate())
    victims = ("worker", "collector", "postgres")
    killed = await until_killed(data, process, random.Random(seed), figures.events_accepted, victims)
    out, errors = await asyncio.wait_for(communicating, 6 * PATIENCE)

    assert process.returncode == 0, errors.decode()[-4000:]
    assert killed == KILLS, f"the demo ended after {killed} kills (seed {seed})"
    assert_figures(summary_of(out), figures)

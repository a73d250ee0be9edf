"""An installation's events are archived, leave the log, and are still there for SQL and for a dry run."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from installation import installation, start, until
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.ports.event_log import Stream
from obverse.settings import Archive, Settings
from obverse.wiring import Wiring
from services import ShiftedRuntime

pytestmark = pytest.mark.service

EVENTS = 20


async def let_go(data: Path) -> None:
    """Archive everything and trim the log, as on a day when all of it is old."""
    server = EmbeddedServer(data)
    await server.start()
    try:
        runtime = ShiftedRuntime()
        runtime.shift = 3 * 86_400
        settings = Settings(data=data, archive=Archive(adapter="parquet"))
        wiring = Wiring(settings=settings, runtime=runtime, dsn=server.dsn("obverse_worker"))
        log, archive = await wiring.event_log(), await wiring.archive()
        assert archive is not None
        await wiring.archiving(log, archive).turn()
        await log.trim(Stream.EVENTS, runtime.now())
        assert await log.bounds(Stream.EVENTS) == {0: (EVENTS, EVENTS)}
        await log.close()
    finally:
        await server.stop()


async def told(data: Path, *arguments: str, **settings: str) -> dict[str, Any]:
    """What a command tells as JSON."""
    process = await start(data, *arguments, "--json", **settings)
    out, errors = await process.communicate()
    assert process.returncode in {0, 2}, errors.decode()
    answer: dict[str, Any] = msgspec.json.decode(out)
    return answer


async def test_what_left_the_log_is_in_the_archive(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with_archive = {"OBVERSE_ARCHIVE__ADAPTER": "parquet"}
    async with installation(data, **with_archive) as here:
        key = b64encode(f"{here.key}:".encode()).decode()
        for number in range(EVENTS):
            body = {"userId": f"u{number % 4}", "event": "Order Completed", "properties": {"revenue": number}}
            assert (await here.post("/v1/track", body, Authorization=f"Basic {key}"))[0] == 200
        await until(here.drained)
    before = await told(data, "dry-run")
    await let_go(data)

    found = duckdb.execute(
        "select user_id, count(*), sum((properties->>'revenue')::int) "
        f"from '{data}/archive/main/events/*/*.parquet' group by 1 order by 1"
    ).fetchall()
    assert found == [("u0", 5, 40), ("u1", 5, 45), ("u2", 5, 50), ("u3", 5, 55)]
    assert await told(data, "dry-run", **with_archive) == before
    assert await told(data, "dry-run") != before, "without the archive there is nothing left to read"
    async with installation(data, **with_archive):
        planned = await told(data, "replay", "--to", "unify", **with_archive)
        assert (planned["plan"]["unify"]["looked_at"], planned["plan"]["unify"]["changed"]) == (4, 0)

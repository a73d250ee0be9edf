"""`obverse up` on a PostgreSQL of another origin and an older release, as `DATABASE_URL` names it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from installation import installation, until
from older_postgres import older_postgres

pytestmark = pytest.mark.service


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path: sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def clusters(data: Path) -> list[Path]:
    return list(data.glob("**/PG_VERSION"))


async def test_it_runs_on_a_server_of_another_origin_and_leaves_it_running(data: Path) -> None:
    event = {"type": "track", "event": "Asked", "userId": "ada", "messageId": "m-1"}
    with older_postgres() as url:
        async with installation(data, DATABASE_URL=url) as here:
            status, _ = await here.post("/v1/track", event | {"writeKey": here.key})
            assert status == 200
            assert "postgres" not in here.note["pids"]

            async def seen() -> bool:
                return (await here.get("/v1/profiles/user_id:ada"))[0] == 200

            await until(seen)
            await until(here.drained)

        there = await asyncpg.connect(url)
        try:
            assert await there.fetchval("select event_type from person_events where message_id = 'm-1'") == "Asked"
            assert int(await there.fetchval("show server_version_num")) < 180_000
        finally:
            await there.close()
    assert not clusters(data), "a cluster of our own was made, though another server was named"

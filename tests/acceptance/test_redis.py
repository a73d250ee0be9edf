"""An installation whose cache is in Redis, which is killed meanwhile."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from installation import installation, until
from journal import Journal, is_stored, send
from redis_servers import redis_running

pytestmark = pytest.mark.service

NO_CHECKPOINT = {
    f"OBVERSE_ENGINE__EMBEDDED__{name}": "100000000"
    for name in ("CHECKPOINT_SECONDS", "BUSY_SECONDS", "IDLE_SECONDS", "CHECKPOINT_EVENTS")
}


async def test_what_redis_alone_knew_is_there_again_after_it_was_killed(tmp_path: Path) -> None:
    async with (
        redis_running() as sandbox,
        installation(
            tmp_path / "data", OBVERSE_PROFILE_CACHE__ADAPTER="redis", REDIS_URL=sandbox.url, **NO_CHECKPOINT
        ) as here,
    ):

        async def track(user: str) -> int:
            event = {"type": "track", "event": "Seen", "userId": user, "messageId": user, "writeKey": here.key}
            return (await here.post("/v1/track", event))[0]

        async def status(user: str) -> int:
            return (await here.get(f"/v1/profiles/user_id:{user}"))[0]

        async def shows(user: str) -> bool:
            return await status(user) == 200

        assert await track("ada") == 200
        await until(lambda: shows("ada"))
        async with here.sql() as sql:
            assert await sql.fetchval("select count(*) from customer_profiles") == 0

        sandbox.kill()
        assert await status("ada") == 404  # the store does not have it yet, and says so without a fault
        assert await track("bob") == 200
        await sandbox.start()

        await until(lambda: shows("ada"))
        await until(lambda: shows("bob"))
        async with here.sql() as sql:
            assert await sql.fetchval("select count(*) from customer_profiles") == 0


async def test_events_go_on_while_redis_is_killed_again_and_again(tmp_path: Path) -> None:
    async with (
        redis_running() as sandbox,
        installation(tmp_path / "data", OBVERSE_PROFILE_CACHE__ADAPTER="redis", REDIS_URL=sandbox.url) as here,
    ):
        journal = Journal(f"redis-{secrets.token_hex(4)}")
        senders = [asyncio.create_task(send(here, journal)) for _ in range(4)]
        for _ in range(3):
            reached = journal.answers["200"]

            async def going_on(reached: int = reached) -> bool:
                return journal.answers["200"] > reached + 8

            await until(going_on)
            sandbox.kill()
            await until(lambda reached=journal.answers["200"]: going_on(reached))
            await sandbox.start()
        journal.stop = True
        await asyncio.gather(*senders)

        assert set(journal.answers) <= {"200", "429"}, journal.answers
        await is_stored(here, journal)

"""Segment's own SDKs, unmodified, given only our host and a key: what they send arrives."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest
from segment.analytics.client import Client

from installation import Installation, until
from nodejs import node

pytestmark = pytest.mark.service

NODE_MODULES = Path(__file__).parents[1] / "node_modules"

NODE_PROGRAM = """
const { Analytics } = require('@segment/analytics-node');
const [host, writeKey, user] = process.argv.slice(1);
const analytics = new Analytics({ host, writeKey });
analytics.on('error', (error) => { console.error(error); process.exitCode = 1; });
analytics.identify({ userId: user, anonymousId: user + '-device',
  traits: { email: user + '@example.com', plan: 'pro' } });
analytics.track({ userId: user, event: 'Order Completed', properties: { revenue: 12.5, order_id: 'n1' } });
analytics.page({ userId: user, name: 'Home', properties: { path: '/' } });
analytics.screen({ anonymousId: user + '-device', name: 'Start' });
analytics.group({ userId: user, groupId: 'g1', traits: { name: 'Initech' } });
analytics.alias({ userId: user, previousId: user + '-before' });
analytics.closeAndFlush();
"""


async def arrived(here: Installation, user: str, count: int) -> dict[str, dict[str, Any]]:
    """The rows of what a user has sent, by event type, once so many are there."""

    async def look() -> list[Any]:
        async with here.sql() as connection:
            found = await connection.fetch(
                "select * from person_events where user_id = $1 or anonymous_id = $1 || '-device'", user
            )
        return found if len(found) >= count else []

    return {row["event_type"]: dict(row) for row in await until(look)}


def assert_all_six(rows: dict[str, dict[str, Any]]) -> None:
    assert rows.keys() == {"identify", "Order Completed", "page", "screen", "group", "alias"}
    assert msgspec.json.decode(rows["identify"]["properties"])["plan"] == "pro"
    assert msgspec.json.decode(rows["Order Completed"]["properties"])["revenue"] == 12.5
    assert msgspec.json.decode(rows["page"]["properties"])["path"] == "/"
    assert rows["screen"]["name"] == "Start"
    assert rows["group"]["group_id"] == "g1"
    assert msgspec.json.decode(rows["group"]["properties"]) == {"name": "Initech"}
    assert {row["profile_id"] for row in rows.values()} == {rows["identify"]["profile_id"]}


async def test_segment_analytics_python(here: Installation) -> None:
    user = f"python-{secrets.token_hex(4)}"
    errors: list[Any] = []
    client = Client(
        write_key=here.key, host=here.note["collector"], on_error=lambda *error: errors.append(error), sync_mode=False
    )

    def send() -> None:
        client.identify(user, {"email": f"{user}@example.com", "plan": "pro"}, anonymous_id=f"{user}-device")
        client.track(user, "Order Completed", {"revenue": 12.5, "order_id": "p1"})
        client.page(user, "Shop", "Home", {"path": "/"})
        client.screen(None, "App", "Start", anonymous_id=f"{user}-device")
        client.group(user, "g1", {"name": "Initech"})
        client.alias(f"{user}-before", user)
        client.flush()
        client.join()

    await asyncio.to_thread(send)

    assert errors == []
    assert_all_six(await arrived(here, user, 6))


async def test_segment_analytics_node(here: Installation) -> None:
    if not (NODE_MODULES / "@segment").exists() and os.environ.get("CI") != "true":
        pytest.skip("tests/node_modules is empty, since npm could not install it: no Node SDK to send with")
    user = f"node-{secrets.token_hex(4)}"

    process = await asyncio.create_subprocess_exec(
        node(),
        "-e",
        NODE_PROGRAM,
        here.note["collector"],
        here.key,
        user,
        env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert_all_six(await arrived(here, user, 6))

"""Six SDKs, unmodified: asked to wait, turned away, cut off by a restart; nothing is lost, and nothing comes twice."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from analytics_js import NODE_MODULES, shop_page
from installation import Installation, installation, kill, until
from nodejs import node
from obverse.apps.sources import add_source, new_key

pytestmark = pytest.mark.service

EVENTS = 60
"""That each SDK sends, in small requests."""
RATE = 4
"""Requests a second that its source may send: it has to wait."""

SEGMENT_NODE = """
const { Analytics } = require('@segment/analytics-node');
const analytics = new Analytics({ host, writeKey, maxEventsInBatch: 5, maxRetries: 10 });
analytics.on('error', (error) => { console.error(error); process.exitCode = 1; });
for (let i = 0; i < count; i++) analytics.track({ userId, event: 'Sent', messageId: name(i) });
analytics.closeAndFlush({ timeout: 60000 });
"""

LEGACY_NODE = """
const Analytics = require('analytics-node');
const analytics = new Analytics(writeKey, { host, flushAt: 5, retryCount: 10,
  errorHandler: (error) => { console.error(error); process.exitCode = 1; } });
for (let i = 0; i < count; i++) analytics.track({ userId, event: 'Sent', messageId: name(i) });
analytics.flush();
"""

RUDDER_NODE = """
const RudderAnalytics = require('@rudderstack/rudder-sdk-node');
const analytics = new (RudderAnalytics.default ?? RudderAnalytics)(writeKey, {
  dataPlaneUrl: host, path: '/v1/batch', flushAt: 5, retryCount: 10,
  errorHandler: (error) => { console.error(error); process.exitCode = 1; } });
for (let i = 0; i < count; i++) analytics.track({ userId, event: 'Sent', messageId: name(i) });
analytics.flush();
"""

NODE_HEAD = """
const [host, writeKey, userId, count] = process.argv.slice(1);
const name = (i) => `${userId}-${i}`;
"""

SEGMENT_PYTHON = """
from segment.analytics.client import Client
client = Client(write_key=key, host=host, upload_size=5, upload_interval=0.1, on_error=failed)
"""

RUDDER_PYTHON = """
from rudderstack.analytics.client import Client
client = Client(write_key=key, host=host, upload_size=5, upload_interval=0.1, on_error=failed, gzip=True)
"""

PYTHON_HEAD = """
import sys
host, key, user, count = sys.argv[1:]
def failed(*error):
    print(*error, file=sys.stderr)
    sys.exitcode = 1
"""

PYTHON_TAIL = """
for i in range(int(count)):
    client.track(user, "Sent", message_id=f"{user}-{i}")
client.flush()
client.join()
sys.exit(getattr(sys, "exitcode", 0))
"""

SEND = """([userId, count]) => {
  for (let i = 0; i < count; i++) analytics.track('Sent', {}, { userId, messageId: `${userId}-${i}` });
}"""


@pytest.fixture(scope="module")
def shared() -> Any:
    """An installation that these tests hurt."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    with asyncio.Runner() as runner:
        context = installation(folder / "data")
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def hurt(shared: Installation) -> AsyncIterator[Installation]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        yield Installation(shared.data, shared.process, http, shared.key)


def hurried(here: Installation, name: str) -> str:
    """A source that may send a few requests a second; its key."""
    key = new_key()
    path = add_source(here.data / "definitions", f"{name}-{secrets.token_hex(3)}", key)
    path.write_text(path.read_text() + f"  limits: {{requests_per_second: {RATE}}}\n")
    return key


async def answers(here: Installation, status: int) -> float:
    """How often the collector has answered so since it started; 0 while it is away."""
    try:
        async with here.http.get(here.note["collector"] + "/metrics") as told:
            text = await told.text()
    except (aiohttp.ClientError, TimeoutError):
        return 0
    line = next((one for one in text.splitlines() if f'requests_total{{status="{status}"}}' in one), " 0")
    return float(line.split()[-1])


async def disturb(here: Installation) -> None:
    """Wait until somebody was asked to wait; take the database away until somebody was turned away; restart."""
    await until(lambda: answers(here, 429))
    server = psutil.Process(int((here.data / "postgres" / "postmaster.pid").read_text().split()[0]))
    kept = [server, *server.children(recursive=True)]
    for process in kept:
        process.suspend()
    try:
        await until(lambda: answers(here, 503))
    finally:
        for process in kept:
            process.resume()
    kill(here.note["pids"]["collector"])


async def arrived(here: Installation, user: str, count: int) -> None:
    """All of them are there, each once."""

    async def look() -> Any:
        async with here.sql() as connection:
            found = await connection.fetch("select message_id from event_stream where user_id = $1", user)
        return found if len(found) >= count else None

    found = [row["message_id"] for row in await until(look)]
    assert sorted(found) == sorted(f"{user}-{place}" for place in range(count))


async def sends(here: Installation, command: list[str], key: str, user: str) -> None:
    """Run a program that sends, disturbed; it must end well."""

    async def known() -> bool:
        status, _ = await here.post("/v1/batch", {"batch": [], "writeKey": key})
        return status == 200

    await until(known)
    process = await asyncio.create_subprocess_exec(
        *command,
        here.note["collector"],
        key,
        user,
        str(EVENTS),
        env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        stderr=asyncio.subprocess.PIPE,
    )
    talk = asyncio.create_task(process.communicate())
    await disturb(here)
    _, errors = await talk
    assert process.returncode == 0, errors.decode()
    await arrived(here, user, EVENTS)


@pytest.mark.parametrize(
    ("name", "program"),
    [("segment-node", SEGMENT_NODE), ("legacy-node", LEGACY_NODE), ("rudder-node", RUDDER_NODE)],
)
async def test_an_sdk_for_node(hurt: Installation, name: str, program: str) -> None:
    if not (NODE_MODULES / "@segment").exists() and os.environ.get("CI") != "true":
        pytest.skip("tests/node_modules is empty, since npm could not install it: no Node SDK to send with")
    user = f"{name}-{secrets.token_hex(3)}"
    await sends(hurt, [node(), "-e", NODE_HEAD + program], hurried(hurt, name), user)


@pytest.mark.parametrize(("name", "program"), [("segment-python", SEGMENT_PYTHON), ("rudder-python", RUDDER_PYTHON)])
async def test_an_sdk_for_python(hurt: Installation, name: str, program: str) -> None:
    user = f"{name}-{secrets.token_hex(3)}"
    whole = PYTHON_HEAD + program + PYTHON_TAIL
    await sends(hurt, [sys.executable, "-c", whole], hurried(hurt, name), user)


async def test_analytics_js_in_chromium(hurt: Installation) -> None:
    key, user = hurried(hurt, "browser"), f"browser-{secrets.token_hex(3)}"

    async def known() -> bool:
        async with hurt.http.get(f"{hurt.note['collector']}/v1/projects/{key}/settings") as answer:
            return answer.ok

    await until(known)
    async with shop_page(hurt.note["collector"], key) as (page, wrong):
        await page.evaluate(SEND, [user, EVENTS // 2])
        await disturb(hurt)
        await arrived(hurt, user, EVENTS // 2)
        assert wrong == []

"""What dies is started again; and what a killed supervisor leaves behind is found by the next one."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from installation import Installation, environment, installation, kill, running, start, until
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps.bench.machine import tree

pytestmark = pytest.mark.service


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path: sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    yield folder / "data"
    asyncio.run(EmbeddedServer(folder / "data").erase())
    shutil.rmtree(folder, ignore_errors=True)


async def send(here: Installation) -> str:
    """Have one event accepted, trying as an SDK does; returns its user."""
    user = f"u-{secrets.token_hex(4)}"
    event = {"type": "track", "event": "Asked", "userId": user, "messageId": user, "writeKey": here.key}

    async def accepted() -> bool:
        try:
            return (await here.post("/v1/track", event))[0] == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    await until(accepted)
    return user


async def shown(here: Installation, user: str) -> bool:
    try:
        return (await here.get(f"/v1/profiles/user_id:{user}"))[0] == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@pytest.mark.parametrize("name", ["collector", "worker", "api", "postgres"])
async def test_what_is_killed_comes_back_and_goes_on(here: Installation, name: str) -> None:
    before = here.note["pids"][name]

    kill(before)

    async def back() -> bool:
        note = running(here.data)
        return note is not None and note["pids"][name] != before and await here.ready()

    await until(back)
    user = await send(here)
    assert await until(lambda: shown(here, user))


async def test_after_the_supervisor_was_killed_the_next_one_goes_on(data: Path) -> None:
    async with installation(data) as here:
        user = await send(here)
        pids = here.note["pids"]
        kill(here.process.pid)
        await here.process.wait()

        async def orphans_gone() -> bool:
            return not any(_alive(pid) for name, pid in pids.items() if name != "postgres")

        await until(orphans_gone)
        assert _alive(pids["postgres"])

    async with installation(data) as again:
        assert again.note["pids"]["postgres"] == pids["postgres"]
        await until(lambda: shown(again, user))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_second_one_on_the_same_ports_says_what_to_do(here: Installation) -> None:
    port = here.note["collector"].rpartition(":")[2]
    with tempfile.TemporaryDirectory() as folder:
        process = await start(Path(folder) / "data", "up", OBVERSE_COLLECTOR__PORT=port)
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert "OBVERSE_COLLECTOR__PORT" in errors.decode()
    assert "Traceback" not in errors.decode()


async def first_lines(data: Path) -> tuple[list[str], Installation]:
    """What `obverse up` says until it has said everything, and the installation as it goes on."""
    process = await start(data, "up")
    assert process.stderr is not None
    lines: list[str] = []
    while not any(line.startswith("Documentation") for line in lines):
        lines.append((await asyncio.wait_for(process.stderr.readline(), 60)).decode().strip())
    return lines, Installation(data, process, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)), "")


async def test_up_prints_a_link_until_somebody_has_signed_in(data: Path) -> None:
    entered = []
    for _ in range(3):
        _, here = await first_lines(data)
        try:
            process = here.process
            assert process.stderr is not None
            try:
                said = (await asyncio.wait_for(process.stderr.readline(), 2)).decode()
            except TimeoutError:
                said = ""
            link = re.search(r"#token=(\S+)", said)
            entered.append(link is not None)
            if link is not None and len(entered) == 2:
                body = {"token": link[1]}
                async with here.http.post(f"{here.note['api']}/v1/session", json=body) as answer:
                    assert answer.status == 204
                async with here.http.get(f"{here.note['api']}/v1/overview") as answer:
                    assert answer.status == 200, "the cookie lets in"
        finally:
            await here.http.close()
            here.process.terminate()
            await here.process.communicate()
    assert entered == [True, True, False]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_benchmark_that_is_stopped_leaves_no_process_and_no_folder_behind(
    data: Path, told: signal.Signals
) -> None:
    bench = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "obverse.apps.cli",
            "bench",
            "road",
            "--rate",
            "100",
            "--people",
            "100",
            "--seconds",
            "600",
        ),
        env=environment(TMPDIR=str(data.parent)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        # Whoever runs the tests in the background may have it ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )

    async def all_run() -> list[int]:
        found = tree(bench.pid)
        return found if len(found) > 10 else []

    found = await until(all_run)
    bench.send_signal(told)

    assert await asyncio.wait_for(bench.wait(), 60) == (143 if told is signal.SIGTERM else 130)

    async def gone() -> bool:
        return not any(map(_alive, found))

    await until(gone)
    assert os.listdir(data.parent) == []  # noqa: PTH208 - a look that blocks nobody


async def test_a_role_that_cannot_use_its_settings_is_not_started_again(data: Path) -> None:
    """They stay the same, so it is told once, as `obverse run` tells it."""
    wanted = {"OBVERSE_ENGINE__ADAPTER": "flink", "OBVERSE_EVENT_LOG__ADAPTER": "postgres"}
    for command in (["up"], ["run", "engine-flink"]):
        process = await start(data, *command, **wanted)
        _, said = await asyncio.wait_for(process.communicate(), 120)
        last = said.decode().strip().splitlines()[-1]
        assert process.returncode == 1
        assert last.startswith("obverse: event_log.kafka.servers is not set:")
        assert b"Traceback" not in said

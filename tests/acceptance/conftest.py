"""One running installation for the tests of a session's worker that need a whole one."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from installation import Installation, installation
from obverse.apps.own_secrets import API_KEY, own_secret


@pytest.fixture(scope="session")
def shared_installation() -> Iterator[Installation]:
    """`obverse up` in an empty data folder, in a loop of its own; a short path, since sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    with asyncio.Runner() as runner:
        context = installation(folder / "data", OBVERSE_COLLECTOR__QUEUE_BYTES=str(4 << 20))
        here = runner.run(context.__aenter__())
        yield here
        runner.run(context.__aexit__(None, None, None))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def here(shared_installation: Installation) -> AsyncIterator[Installation]:
    """The shared installation, spoken to from the test's own loop."""
    shared = shared_installation
    headers = {"Authorization": f"Bearer {own_secret(shared.data, API_KEY)}"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), headers=headers) as http:
        yield Installation(shared.data, shared.process, http, shared.key)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, since sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)

"""One running installation for the tests of a session's worker that need a whole one; a demo, and browsers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from playwright.sync_api import Browser, sync_playwright

from chromium import launch
from console_steps import Demo, Visitor, played, visiting
from installation import Installation, installation
from obverse.adapters.spark.cluster import SparkCluster, open_spark_cluster
from obverse.apps.own_secrets import API_KEY, own_secret
from spark_steps import spark_environment


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """A master and two workers of Spark."""
    environment = spark_environment()
    with asyncio.Runner() as runner:
        cluster = runner.run(open_spark_cluster(environment, tmp_path_factory.mktemp("spark")))
        yield cluster
        runner.run(cluster.close())


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one file."""
    with sync_playwright() as playwright:
        opened = launch(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def demo(browser: Browser) -> Iterator[Demo]:
    """The demo, played while the browser looked on."""
    with played(browser) as demo:
        yield demo


@pytest.fixture
def visitor(browser: Browser, demo: Demo) -> Iterator[Visitor]:
    """Somebody who is signed in."""
    with visiting(browser, demo) as opened:
        yield opened

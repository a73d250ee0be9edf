"""A grown installation: each role a process of its own, with a login of its own that `deploy/postgres` made."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import pytest

from installation import PATIENCE, environment, until
from obverse.apps.sources import add_source, new_key
from older_postgres import find_binaries, older_postgres

pytestmark = pytest.mark.service

DEPLOY = Path(__file__).parents[2] / "deploy"
LOGINS = ("owner", "collector", "worker", "api", "query")


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """The folder of a server's socket."""
    with older_postgres() as url:
        yield Path(url.partition("host=")[2])


@pytest.fixture(scope="module")
def secrets(server: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Docker gives them to a container: a folder of files. `roles.sh` has made what they open."""
    folder = tmp_path_factory.mktemp("secrets")
    for login in LOGINS:
        url = f"postgresql://obverse_{login}:{os.urandom(8).hex()}@/obverse?host={quote(str(server), safe='/')}"
        (folder / f"database-url-{login}").write_text(url, encoding="ascii")
    (folder / "api-key").write_text(f"{os.urandom(8).hex()}\n", encoding="ascii")
    made = run_roles(server, folder)
    assert made.returncode == 0, made.stderr
    return folder


def run_roles(server: Path, secrets: Path) -> subprocess.CompletedProcess[str]:
    binaries = find_binaries()
    assert binaries is not None
    names = {"PGHOST": str(server), "PGUSER": "postgres", "SECRETS": str(secrets)}
    environ = {**os.environ, **names, "PATH": f"{binaries}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", DEPLOY / "postgres" / "roles.sh"], env=environ, capture_output=True, text=True, check=False
    )


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path: sockets have to fit into it."""
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def api_key(secrets: Path) -> str:
    return (secrets / "api-key").read_text(encoding="ascii").strip()


def settings_for(login: str, secrets: Path, **more: str) -> dict[str, str]:
    return environment(DATABASE_URL_FILE=str(secrets / f"database-url-{login}"), **more)


async def command(data: Path, settings: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "obverse.apps.cli", *arguments, "--data", str(data)),
        env=settings,
        cwd=data.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def told(data: Path, settings: dict[str, str], *arguments: str) -> str:
    """What a command prints that ends well."""
    process = await command(data, settings, *arguments)
    printed, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, errors.decode()
    return printed.decode()


@asynccontextmanager
async def role(data: Path, name: str, settings: dict[str, str], *, folder: str = "") -> AsyncIterator[str]:
    """Run a role until the end, in a folder that no other one sees; its address."""
    port = free_port()
    settings = {**settings, f"OBVERSE_{name.upper()}__PORT": str(port)}
    process = await command(data.parent / (folder or name), settings, "run", name)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        sys.stderr.write(errors.decode()[-4000:])


async def ready(http: aiohttp.ClientSession, url: str, what: str = "ready") -> bool:
    try:
        async with http.get(f"{url}/{what}") as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


async def test_each_role_has_a_login_of_its_own(data: Path, secrets: Path) -> None:
    add_source(data / "definitions", "shop", key := new_key())
    await told(data, settings_for("owner", secrets), "migrate")
    await told(data, settings_for("api", secrets), "apply", "--yes")
    query = {"OBVERSE_QUERY_DATABASE_URL_FILE": str(secrets / "database-url-query")}
    # What only the worker knows is on its own machine; others see it at the next checkpoint.
    query["OBVERSE_ENGINE__EMBEDDED__CHECKPOINT_SECONDS"] = "1"
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(role(data, "collector", settings_for("collector", secrets)))
        await stack.enter_async_context(role(data, "worker", settings_for("worker", secrets, **query)))
        served = settings_for("api", secrets, OBVERSE_API__KEY_FILE=str(secrets / "api-key"))
        api = await stack.enter_async_context(role(data, "api", served))
        headers = {"Authorization": f"Bearer {api_key(secrets)}"}
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        for url in (collector, api):
            await until(lambda url=url: ready(http, url))
        event = {"type": "track", "event": "Asked", "userId": "ada", "messageId": "m-1", "writeKey": key}
        async with http.post(f"{collector}/v1/track", json=event) as answer:
            assert answer.status == 200

        async def seen() -> bool:
            async with http.get(f"{api}/v1/profiles/user_id:ada", headers=headers) as answer:
                return answer.status == 200

        await until(seen)

        link = await told(data, settings_for("api", secrets, OBVERSE_API__PUBLIC_URL=api), "sign-in")
        token = urlsplit(link.strip()).fragment.removeprefix("token=")
        assert link.startswith(f"{api}/sign-in#")
        async with http.post(f"{api}/v1/session", json={"token": token}, headers={"Origin": api}) as answer:
            assert answer.ok, await answer.text()


async def test_two_apis_beside_one_worker_answer_alike(data: Path, secrets: Path) -> None:
    add_source(data / "definitions", "shop", key := new_key())
    await told(data, settings_for("owner", secrets), "migrate")
    await told(data, settings_for("api", secrets), "apply", "--yes")
    folding = settings_for("worker", secrets, OBVERSE_ENGINE__EMBEDDED__CHECKPOINT_SECONDS="0.5")
    served = settings_for("api", secrets, OBVERSE_API__KEY_FILE=str(secrets / "api-key"))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        collector, _, one = [
            await stack.enter_async_context(role(data, name, settings))
            for name, settings in (
                ("collector", settings_for("collector", secrets)),
                ("worker", folding),
                ("api", served),
            )
        ]
        async with role(data, "api", served, folder="other-api") as other:
            for url in (collector, one, other):
                await until(lambda url=url: ready(http, url))
            for number in range(2):
                identify = {"userId": "bea", "traits": {"visits": number}, "writeKey": key}
                async with http.post(f"{collector}/v1/identify", json=identify) as answer:
                    assert answer.status == 200

            bearer = {"Authorization": f"Bearer {api_key(secrets)}"}

            async def profile(url: str, **headers: str) -> Any:
                async with http.get(f"{url}/v1/profiles/user_id:bea", headers=headers) as answer:
                    return await answer.json() if answer.ok else {}

            async def alike() -> bool:
                first, second = [await profile(url, **bearer) for url in (one, other)]
                return bool(first == second and first.get("attributes", {}).get("visits", {}).get("value") == 1)

            await until(alike)

            link = await told(data, settings_for("api", secrets, OBVERSE_API__PUBLIC_URL=one), "sign-in")
            token = {"token": urlsplit(link.strip()).fragment.removeprefix("token=")}
            async with http.post(f"{one}/v1/session", json=token, headers={"Origin": one}) as answer:
                assert answer.status == 204, await answer.text()
                # Browsers send it to every port of a machine; our client does not to an address.
                cookie = {"Cookie": "; ".join(f"{name}={held.value}" for name, held in answer.cookies.items())}
            async with http.post(f"{other}/v1/session", json=token, headers={"Origin": other}) as answer:
                assert answer.status == 401, "a link lets in once, wherever"

            async def session(url: str) -> Any:
                async with http.get(f"{url}/v1/session", headers=cookie) as answer:
                    return await answer.json() if answer.ok else None

            assert await session(one) == await session(other) is not None
            assert await profile(one, **cookie) == await profile(other, **cookie) != {}
        # That one is gone.
        assert await profile(one, **cookie) != {}
        assert await session(one) is not None


async def test_a_second_collector_is_well_and_waits_until_the_first_is_gone(data: Path, secrets: Path) -> None:
    add_source(data / "definitions", "shop", key := new_key())
    await told(data, settings_for("owner", secrets), "migrate")
    await told(data, settings_for("api", secrets), "apply", "--yes")
    settings = settings_for("collector", secrets)
    event = {"type": "track", "event": "Asked", "userId": "ada", "writeKey": key}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        second = AsyncExitStack()
        stack.push_async_callback(second.aclose)
        async with role(data, "collector", settings) as first:
            await until(lambda: ready(http, first))
            standing_by = await second.enter_async_context(role(data, "collector", settings))
            await until(lambda: ready(http, standing_by, "health"))
            assert not await ready(http, standing_by)
            async with http.post(f"{standing_by}/v1/track", json=event) as answer:
                assert answer.status == 503
            assert await ready(http, first)
        await until(lambda: ready(http, standing_by))
        async with http.post(f"{standing_by}/v1/track", json=event) as answer:
            assert answer.status == 200


async def test_where_nothing_runs_signing_in_says_what_to_set(data: Path, secrets: Path) -> None:
    process = await command(data, settings_for("api", secrets), "sign-in")
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 1
    assert "OBVERSE_API__PUBLIC_URL" in errors.decode()


@pytest.mark.parametrize("password", ["", "it's", "a;b"])
def test_a_password_that_would_be_sql_is_refused(server: Path, secrets: Path, tmp_path: Path, password: str) -> None:
    for login in LOGINS:
        text = (secrets / f"database-url-{login}").read_text(encoding="ascii")
        (tmp_path / f"database-url-{login}").write_text(text, encoding="ascii")
    (tmp_path / "database-url-api").write_text(f"postgresql://obverse_api:{password}@/obverse", encoding="ascii")
    refused = run_roles(server, tmp_path)
    assert refused.returncode != 0
    assert "letters and digits" in refused.stderr

"""Fixtures for the proofs of what is kept in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from kinesis_servers import kinesalite, moto
from kinesis_steps import Opened, settings_for
from kinesis_wire import KinesisWire, wire_to
from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.ports.event_log import EventLog
from obverse.sandboxes.redis import RedisSandbox
from redis_servers import Place as RedisPlace
from redis_servers import server_or_skip
from services import Ask, Database, ShiftedRuntime, fresh_name, opened


@pytest.fixture
def runtime() -> ShiftedRuntime:
    """The real runtime, but for a wall clock that the test sets."""
    return ShiftedRuntime()


@pytest.fixture
async def ask(database: Database) -> AsyncIterator[Ask]:
    """Ask the server itself, as its superuser."""
    connection = await asyncpg.connect(database.admin)
    yield connection.fetch
    await connection.close()


@pytest.fixture
def log_settings(postgres_dsn: str) -> PostgresLogSettings:
    """A log of one partition, as on a laptop."""
    return PostgresLogSettings(dsn=postgres_dsn)


@pytest.fixture
async def postgres_log(log_settings: PostgresLogSettings, runtime: ShiftedRuntime) -> AsyncIterator[EventLog]:
    """Such a log, empty."""
    async with opened(log_settings, runtime) as log:
        yield log


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The address of moto's Kinesis."""
    with moto() as url:
        yield url


@pytest.fixture(scope="session")
def kinesalite_server() -> Iterator[str]:
    """The address of kinesalite."""
    with kinesalite() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisSandbox]:
    """One server of Redis a session (with xdist: a worker)."""
    server_or_skip()
    with TemporaryDirectory(prefix="obverse-") as folder:  # the path of a socket must be short
        sandbox = RedisSandbox(Path(folder))
        asyncio.run(sandbox.start())
        yield sandbox
        sandbox.kill()


@pytest.fixture
async def redis(redis_server: RedisSandbox) -> AsyncIterator[RedisPlace]:
    """Caches in it, under a prefix that nobody else has."""
    place = RedisPlace(redis_server)
    yield place
    await place.close()


@pytest.fixture
async def wire(moto_server: str) -> AsyncIterator[KinesisWire]:
    """What stands between us and moto."""
    async with wire_to(moto_server) as wire:
        yield wire


@pytest.fixture
async def kinesis_logs(wire: KinesisWire, database: Database, runtime: ShiftedRuntime) -> AsyncIterator[Opened]:
    """Opens logs in Kinesis, each as if in a process of its own."""
    logs = Opened(settings_for(wire.url, database.dsn(), stream_prefix=fresh_name()), runtime)
    yield logs
    await logs.close()

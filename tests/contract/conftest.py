"""Fixtures for the proofs of what is kept in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from kinesis_servers import kinesalite, moto
from obverse.adapters.postgres.event_log import PostgresLogSettings
from obverse.ports.event_log import EventLog
from services import Ask, Database, ShiftedRuntime, opened


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

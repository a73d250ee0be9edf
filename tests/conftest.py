"""Fixtures that all tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from brokers import kafka_running
from obverse.sandboxes.kafka import KafkaSandbox
from services import Database, PostgresServer, fresh_name, start_postgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL server a session (with xdist: a worker)."""
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def database(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    """A fresh database with our schema, for one test."""
    name = fresh_name()
    await postgres_server.create(name)
    yield Database(postgres_server, name)
    await postgres_server.drop(name)


@pytest.fixture
def postgres_dsn(database: Database) -> str:
    """Its address for the role that owns it."""
    return database.dsn()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSandbox]:
    """One broker of Apache Kafka a session (with xdist: a worker)."""
    with kafka_running(tmp_path_factory.mktemp("kafka")) as sandbox:
        yield sandbox

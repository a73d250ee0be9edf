"""Fixtures that all tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STEPS = [path.stem for path in TESTS.glob("*.py")] + [
    f"acceptance.{path.stem}" for path in TESTS.glob("acceptance/*.py")
]
# Before they are imported: else an assertion that fails in one of them does not say what it compared.
pytest.register_assert_rewrite(
    "obverse.contracts", *(one for one in STEPS if "test_" not in one and "conftest" not in one)
)

from brokers import kill_kafka, start_kafka  # noqa: E402 - as said
from obverse.sandboxes.kafka import KafkaSandbox  # noqa: E402
from services import Database, PostgresServer, fresh_name, start_postgres  # noqa: E402

UNIT = (TESTS / "unit", TESTS / "contract")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what `make check` runs its mark."""
    for item in items:
        if any(map(item.path.is_relative_to, UNIT)) and item.get_closest_marker("service") is None:
            item.add_marker("unit")


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
    sandbox = asyncio.run(start_kafka(tmp_path_factory.mktemp("kafka")))
    yield sandbox
    kill_kafka(sandbox)

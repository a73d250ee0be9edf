"""Connections of a pool, lent while the server stands still."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from obverse.adapters.postgres.connection import FAILURES, borrowed

pytestmark = pytest.mark.service
LIMIT = 0.2
Asking = Callable[[asyncpg.Pool], Awaitable[int]]


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    made = await asyncpg.create_pool(postgres_dsn, min_size=0, max_size=1)
    yield made
    await made.close()


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Hold a process of the server; it hears nothing, and not that it should call off what it does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def backend(pool: asyncpg.Pool) -> int:
    async with borrowed(pool, limit=20) as connection:
        return int(await connection.fetchval("select pg_backend_pid()"))


async def ask(pool: asyncpg.Pool) -> int:
    async with borrowed(pool, limit=LIMIT) as connection:
        return int(await connection.fetchval("select 1", timeout=LIMIT))


async def ask_in_a_transaction(pool: asyncpg.Pool) -> int:
    async with asyncio.timeout(LIMIT), borrowed(pool, limit=LIMIT) as connection, connection.transaction():
        return int(await connection.fetchval("select 1"))


@pytest.mark.parametrize("asking", [ask, ask_in_a_transaction])
async def test_who_waits_for_a_server_that_stands_still_is_told_and_the_next_one_gets_another(
    pool: asyncpg.Pool, asking: Asking
) -> None:
    with held(await backend(pool)):
        async with asyncio.timeout(20):
            with pytest.raises(FAILURES):
                await asking(pool)
            assert await ask(pool) == 1
    assert await ask(pool) == 1


async def test_what_takes_too_long_is_called_off_and_the_connection_kept(pool: asyncpg.Pool) -> None:
    before = await backend(pool)
    with pytest.raises(TimeoutError):
        async with borrowed(pool, limit=20) as connection:
            await connection.execute("select pg_sleep(60)", timeout=LIMIT)
    assert await backend(pool) == before


async def test_who_has_to_wait_for_one_too_long_is_told(pool: asyncpg.Pool) -> None:
    async with borrowed(pool, limit=20):
        with pytest.raises(TimeoutError):
            await ask(pool)

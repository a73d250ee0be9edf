"""The one writer of a name: checkpoints into PostgreSQL, each in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID

import asyncpg

from obverse.adapters.postgres import profile_queries as queries
from obverse.adapters.postgres import profile_slices as cut
from obverse.adapters.postgres.binary_rows import HEADER, TRAILER
from obverse.adapters.postgres.connection import FAILURES, connect, hang_up, trouble
from obverse.adapters.postgres.profile_rows import EVENT_COLUMNS, REJECTED_COLUMNS, EventRows, pack_rejected
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import Checkpoint, Fenced, Marks
from obverse.ports.runtime import Runtime

COMMIT_LIMIT = 120.0
"""Seconds after which a commit without an answer is given up: nothing is known of it then."""

CONNECT_LIMIT = 1.0
"""Seconds after which a server that does not answer is said to be unreachable."""

_LOCK_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Name:
    """Whose writer, and which."""

    workspace: str
    writer: str

    def lock_key(self) -> int:
        """The advisory lock that the one writer holds: 64 bits, signed, as PostgreSQL wants it."""
        name = f"profile_store\0{self.workspace}\0{self.writer}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


@dataclass(slots=True)
class _Figures:
    """What one checkpoint adds to the figures of the workspace."""

    profiles: int = 0
    merges: int = 0


async def become_writer(dsn: str, name: Name, runtime: Runtime) -> PostgresWriter:
    """
    Open a writer, waiting for the former one of this name to go.

    Raises:
        one of connection.FAILURES: the server does not answer.
    """
    connection = await connect(dsn, f"writes profiles for {name.writer}", limit=CONNECT_LIMIT)
    try:
        await connection.execute(queries.SETTLE)
        # Asked again and again, because a statement that waits would hold a snapshot all the while.
        while not await connection.fetchval(queries.LOCK, name.lock_key()):
            await runtime.sleep(_LOCK_PAUSE)
        epoch = await connection.fetchval(queries.TAKE_OVER, name.workspace, name.writer)
        marks: dict[Stream, dict[int, int]] = {}
        for stream, partition, offset in await connection.fetch(queries.MARKS, name.workspace, name.writer):
            marks.setdefault(Stream(stream), {})[partition] = offset
    except BaseException:
        connection.terminate()
        raise
    return PostgresWriter(connection, name, epoch, marks, runtime)


class PostgresWriter:
    """
    See `StoreWriter`.

    The lock belongs to the server's session: when the connection dies it is free only after the server has finished
    or undone what was under way, so the marks that the next writer reads are final.
    """

    def __init__(
        self, connection: asyncpg.Connection, name: Name, epoch: int, marks: dict[Stream, dict[int, int]], runtime: Runtime
    ) -> None:
        self._connection = connection
        self._name = name
        self._epoch = epoch
        self._marks = marks
        self._runtime = runtime
        self._turn = asyncio.Lock()

    @property
    def marks(self) -> Marks:
        """See `StoreWriter.marks`."""
        return self._marks

    async def commit(self, checkpoint: Checkpoint) -> None:
        """See `StoreWriter.commit`."""
        work = cut.arrange(checkpoint)
        async with self._turn:
            try:
                async with asyncio.timeout(COMMIT_LIMIT):
                    await self._connection.fetchval(queries.PREPARE, len(checkpoint.events))
                    try:
                        await self._write(checkpoint, work, careful=False)
                    except asyncpg.DataError:
                        # Some text is not what it should be: look at each.
                        await self._write(checkpoint, work, careful=True)
            except FAILURES as error:
                self._connection.terminate()
                raise trouble(error, f"write a checkpoint of {self._name.writer}") from error
            except BaseException:
                self._connection.terminate()
                raise
            for stream, offsets in checkpoint.marks.items():
                self._marks = {**self._marks, stream: {**self._marks.get(stream, {}), **offsets}}

    async def close(self) -> None:
        """See `StoreWriter.close`."""
        await hang_up(self._connection)

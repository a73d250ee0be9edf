"""Keeps mails in the thread that writes: those that wait are committed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from obverse.sandboxes.inbox.store import Arrival, Writer

_MOST_MAILS: Final = 500
_MOST_BYTES: Final = 32 << 20
"""Of one commit; what is more waits for the next."""

Result = TypeVar("Result")
_Waiting = tuple[Arrival, "asyncio.Future[int]"]


class Commits:
    """
    Takes mails in, and tells when each is on disk.

    A mail that was taken in is kept or refused whatever becomes of who brought it.
    """

    def __init__(self, writer: Writer, thread: ThreadPoolExecutor) -> None:
        self._writer = writer
        self._thread = thread
        self._waiting: list[_Waiting] = []
        self._pending: set[asyncio.Future[int]] = set()
        self._work: asyncio.Task[None] | None = None

    def keep(self, arrival: Arrival) -> asyncio.Future[int]:
        """
        Take a mail in, now. The future has its id when it is committed, or the error for which it is not.

        Whoever waits for it shields it.
        """
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[int] = loop.create_future()
        self._waiting.append((arrival, kept))
        self._pending.add(kept)
        kept.add_done_callback(self._done)
        if self._work is None:
            self._work = loop.create_task(self._commit_all(), name="inbox commits")
        return kept

    async def settle(self) -> None:
        """Wait until all that was taken in before is committed or refused."""
        if self._pending:
            await asyncio.wait(tuple(self._pending))

    async def alone(self, do: Callable[[], Result]) -> Result:
        """Run something in the thread that writes, between two commits."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def _commit_all(self) -> None:
        while self._waiting:
            # Whoever is ready in this turn of the loop comes along.
            await asyncio.sleep(0)
            batch = self._next_batch()
            arrivals = [arrival for arrival, _ in batch]
            outcomes = await self.alone(lambda arrivals=arrivals: self._write(arrivals))  # type: ignore[misc]  # mypy knows no lambda with a default
            for (_, kept), outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    kept.set_exception(outcome)
                else:
                    kept.set_result(outcome)
        self._work = None

    def _next_batch(self) -> list[_Waiting]:
        size = count = 0
        for arrival, _ in self._waiting[:_MOST_MAILS]:
            size += len(arrival.raw)
            if count and size > _MOST_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _write(self, arrivals: Sequence[Arrival]) -> Sequence[int | Exception]:
        try:
            return self._writer.add(arrivals)
        except Exception as error:  # noqa: BLE001 - whoever brought the mail is answered with it, and the next go on
            if len(arrivals) == 1:
                return [error]
            # One that is too large for the disk, or cannot be kept, is no reason to refuse the others.
            return [outcome for one in arrivals for outcome in self._write([one])]

    def _done(self, kept: asyncio.Future[int]) -> None:
        self._pending.discard(kept)
        # Whoever brought it may be gone, and the error nobody's.
        kept.exception()

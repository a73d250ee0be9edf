"""Group commit: appends that wait together are written together. For every log whose appender holds a session."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from obverse.ports.event_log import COLLECTED, TAKEN, Overtaken, Records, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime

_RECONNECT_PAUSE = 0.2


class Session(Protocol):
    """What writes for an appender, until something goes wrong with it."""

    @property
    def alive(self) -> bool:
        """Whether it can write, as far as is known."""
        ...

    async def write(self, group: Sequence[tuple[int, Sequence[Records]]], now: int) -> Sequence[int | Exception]:
        """
        Write a group, given as the records of each partition; `now` is in microseconds since 1970.

        Returns the first offset of each, or why nothing is known of its records. Of what it raises instead, nothing is
        known of the whole group. After either the session is abandoned.
        """
        ...

    async def end(self) -> None:
        """End in good order, with nothing under way."""
        ...

    def abandon(self) -> None:
        """Give it up, waiting for nobody."""
        ...


async def take_locks(
    wanted: Sequence[int],
    most: int | None,
    lock: Callable[[int], Awaitable[bool]],
    pause: Callable[[], Awaitable[None]],
) -> list[int]:
    """
    Wait for the lock of each partition, one after another; or, with `most`, for up to so many of those that are free.

    `lock` takes one that is free and returns whether it was; `pause` waits before it is asked again. So each question
    is soon answered: on a server a statement that waits would hold a snapshot all the while.
    """
    # In order of number, so that two who want several never wait for each other.
    wanted, taken = sorted(wanted), list[int]()
    while True:
        for partition in wanted[len(taken) :] if most is None else wanted:
            if await lock(partition):
                taken.append(partition)
            elif most is None:
                break
            if len(taken) == most:
                return taken
        if len(taken) == len(wanted) or (taken and most is not None):
            return taken
        await pause()


class GroupSettings(Protocol):
    """What a log's settings say of groups."""

    @property
    def linger_ms(self) -> float: ...
    @property
    def pace_ms(self) -> float: ...
    @property
    def group_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Grouping:
    """When a group is full."""

    linger: float
    """Seconds that the first call of a group waits for others."""

    pace: float
    """Seconds at least from one commit to the next: under load, few large groups cost less than many small ones."""

    bytes: int
    """Bytes at which a group waits no longer. It is smaller than these and one call together."""

    @staticmethod
    def of(stream: Stream, settings: GroupSettings) -> Grouping:
        """
        How calls of a stream are grouped.

        Where one task appends and waits before it goes on, nobody would join its group: it waits for nobody.
        """
        joined = stream in COLLECTED
        linger, pace = (settings.linger_ms / 1000, settings.pace_ms / 1000) if joined else (0.0, 0.0)
        return Grouping(linger, pace, settings.group_bytes)


@dataclass(frozen=True, slots=True)
class Writing:
    """What an appender writes to, and how it comes by a session."""

    stream: Stream
    partitions: Sequence[int]
    again: Callable[[], Awaitable[Session]]
    """Open another session in the place of one that was lost, in a short while or not at all."""
    failure: Callable[[Exception], Exception]
    """What becomes of a call when this was raised: said in the words of the ports."""
    leave: Callable[[], Awaitable[None]] | None = None
    """Let the next appender in, where the end of a session is not enough."""


@dataclass(slots=True)
class _Call:
    partition: int
    records: Records
    at: float
    done: asyncio.Future[int]


class GroupCommit:
    """See `Appender`. One commit is under way at most; meanwhile the next group collects."""

    def __init__(self, session: Session, writing: Writing, grouping: Grouping, runtime: Runtime) -> None:
        self._session: Session | None = session
        self._writing = writing
        self._grouping = grouping
        self._runtime = runtime
        self._waiting: deque[_Call] = deque()
        self._bytes = 0
        self._called = asyncio.Event()
        self._full = asyncio.Event()
        self._closed = False
        self._refused_until = 0.0
        self._committed = -grouping.pace
        """When the last commit began."""
        self._work = runtime.spawn(f"append to {writing.stream}", self._run())

    @property
    def partitions(self) -> Sequence[int]:
        """See `Appender.partitions`."""
        return self._writing.partitions

    async def append(self, partition: int, records: Records) -> int:
        """See `Appender.append`."""
        if partition not in self._writing.partitions:
            raise KeyError(f"partition {partition} is not one of this appender's: {list(self._writing.partitions)}")
        if records.count < 1 or len(records.body) > TAKEN:
            raise ValueError(
                f"one call takes at least 1 record and at most {TAKEN} bytes, "
                f"not {records.count} and {len(records.body)}: split it, or leave it out"
            )
        if self._closed:
            raise Unreachable("this appender of the log is closed")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(partition, records, self._runtime.elapsed(), done))
        self._bytes += len(records.body)
        self._called.set()
        if self._bytes >= self._grouping.bytes:
            self._full.set()
        return await done

    async def close(self) -> None:
        """See `Appender.close`."""
        self._closed = True
        self._called.set()
        self._full.set()
        await self._work.wait()

    async def _run(self) -> None:
        while not self._closed or self._waiting:
            await self._called.wait()
            await self._linger()
            group = self._take()
            if group:
                await self._commit(group)
            if not self._waiting and not self._closed:
                self._called.clear()
        if self._session is not None:
            await self._session.end()
        if self._writing.leave is not None:
            await self._writing.leave()

    async def _linger(self) -> None:
        if not self._waiting or self._full.is_set():
            return
        due = max(self._waiting[0].at + self._grouping.linger, self._committed + self._grouping.pace)
        left = due - self._runtime.elapsed()
        if left > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._full.wait()

    def _take(self) -> list[_Call]:
        """Take calls in the order in which they came, until the group is full."""
        group: list[_Call] = []
        size = 0
        while self._waiting and size < self._grouping.bytes:
            call = self._waiting.popleft()
            self._bytes -= len(call.records.body)
            # Whoever was cancelled while waiting has written nothing.
            if not call.done.done():
                group.append(call)
                size += len(call.records.body)
        if self._bytes < self._grouping.bytes and not self._closed:
            self._full.clear()
        return group

    async def _commit(self, group: list[_Call]) -> None:
        partitions: dict[int, list[_Call]] = {}
        for call in group:
            partitions.setdefault(call.partition, []).append(call)
        rows = [(partition, [call.records for call in calls]) for partition, calls in partitions.items()]
        try:
            session = await self._ready_session()
            self._committed = self._runtime.elapsed()
            outcomes = await session.write(rows, self._runtime.now())
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            self._abandon_session()
            self._fail(group, error)
            return
        for outcome, calls in zip(outcomes, partitions.values(), strict=True):
            if isinstance(outcome, Exception):
                self._abandon_session()
                self._fail(calls, outcome)
            else:
                _answer(calls, outcome)

    async def _ready_session(self) -> Session:
        """Return a session that is open, as far as is known; tries to open one at most."""
        if self._session is not None and self._session.alive:
            return self._session
        self._abandon_session()
        if self._runtime.elapsed() < self._refused_until:
            raise Unreachable("the log could not be reached a moment ago")
        try:
            self._session = await self._writing.again()
        except Exception:
            self._refused_until = self._runtime.elapsed() + _RECONNECT_PAUSE
            raise
        return self._session

    def _abandon_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.abandon()

    def _fail(self, group: Sequence[_Call], error: Exception) -> None:
        said = error if isinstance(error, Overtaken) else self._writing.failure(error)
        kind = Overtaken if isinstance(said, Overtaken) else Unreachable
        for call in group:
            if not call.done.done():
                # One exception each: several tasks would write their tracks into a common one.
                unreachable = kind(str(said))
                unreachable.__cause__ = error
                call.done.set_exception(unreachable)


def _answer(calls: Sequence[_Call], first: int) -> None:
    for call in calls:
        if not call.done.done():
            call.done.set_result(first)
        first += call.records.count

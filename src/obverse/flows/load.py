"""Load: bring the rows of a file in by the collector's door, each once, and write down those that are refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from obverse.core.loads import Refusal, Row, Translator
from obverse.ports.outcomes import Unreachable
from obverse.ports.runtime import Runtime, Work

ROWS_AT_ONCE: Final = 500
"""Events in one request at most; a collector takes 2,500."""
BYTES_AT_ONCE: Final = 400_000
"""Of one request's body; a collector takes 500 KB, unless it was told otherwise."""
MOST_IN_FLIGHT: Final = 8
"""Requests on their way at once, at most: more only wait for one another."""
_FIRST_IN_FLIGHT: Final = 2
_MORE_AFTER: Final = 8
"""Requests in a row that were taken at once, after which one more may be on its way."""
_KEPT_EVERY: Final = 0.5
"""Seconds between two notes of how far it came."""
_LONGEST: Final = 10.0
"""Seconds between two tries, unless more is asked for."""
_PATIENCE: Final = 600.0
"""Seconds that one request is tried for."""
_ENVELOPE: Final = 16


class Denied(msgspec.Struct, frozen=True):
    """One event of a request that the collector does not take."""

    index: int
    field: str
    """JSON path."""
    reason: str


class Unfit(Exception):
    """A request that the collector refuses as a whole, and would refuse again; the message says why."""


class Door(Protocol):
    """Where events are sent to."""

    async def post(self, body: bytes) -> Sequence[Denied]:
        """
        Send a batch; returns which of it are refused, once all the others are durable.

        Raises:
            Unfit: all of it is refused.
            Unreachable: nothing is known of it; send it again.
            AccessRefused: nobody may send with this key.
        """
        ...


class Rejects(Protocol):
    """Where refused rows are written."""

    def add(self, row: Row, refusal: Refusal) -> None:
        """Write one down."""
        ...

    def settle(self) -> int:
        """Make what was written durable; returns how many bytes there are."""
        ...


class Standing(msgspec.Struct, kw_only=True):
    """How far a load has come."""

    line: int = 0
    """The line of the last row that is settled, and so are all before it."""
    taken: int = 0
    refused: int = 0
    rejects_bytes: int = 0
    """Of the reject file, when this was noted."""
    position: float = 0.0
    """How much of the file was read when this was noted, from 0 to 1."""
    done: bool = False


@dataclass(slots=True)
class _Batch:
    rows: list[Row] = field(default_factory=list)
    """Those that are sent."""
    events: list[bytes] = field(default_factory=list)
    size: int = _ENVELOPE
    refused: list[tuple[Row, Refusal]] = field(default_factory=list)
    denied: int = 0
    """How many of those that were sent are refused."""
    last: int = 0
    """Line of the last row, sent or not."""
    work: Work | None = None
    delayed: bool = False
    """Whether it had to be sent again."""
    broken: Exception | None = None
    """Why nothing comes after it, though the file goes on."""


class Load:
    """
    Sends rows in their order, some requests at once; what it notes is only what is settled without a gap.

    Started again from its standing after any end, it sends again at most what was on its way, with the same message
    ids, which the profiles' window of message ids passes over.
    """

    def __init__(
        self,
        door: Door,
        rejects: Rejects,
        *,
        runtime: Runtime,
        keep: Callable[[Standing], None],
        column_of: Callable[[str], str] = lambda _: "",
        progress: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        """`column_of` says which column a JSON path of an event came from; `keep` makes a standing durable."""
        self._door = door
        self._rejects = rejects
        self._runtime = runtime
        self._keep = keep
        self._column_of = column_of
        self._progress = progress
        self._window = _FIRST_IN_FLIGHT
        self._in_a_row = 0
        self._stopped: Callable[[], bool] = lambda: False

    async def run(
        self, rows: Iterable[Row], translate: Translator, standing: Standing, stopped: Callable[[], bool]
    ) -> Standing:
        """
        Send what lies behind the standing, until the end or until it is `stopped`; returns the new standing.

        Raises:
            AccessRefused, Unreachable: it cannot go on; what is settled is noted.
        """
        under_way: deque[_Batch] = deque()
        self._stopped = stopped
        try:
            ended, broken = await self._feed(_batches(rows, translate, standing.line), standing, under_way)
            while under_way:
                await self._settle(under_way, standing)
            if broken is not None:
                raise broken
            standing.done = ended
        finally:
            for batch in under_way:
                if batch.work is not None:
                    await batch.work.stop()
            self._note(standing)
        return standing

    async def _feed(
        self, batches: Iterator[_Batch], standing: Standing, under_way: deque[_Batch]
    ) -> tuple[bool, Exception | None]:
        """Send until the end, or until stopped; returns whether it is the end, and what broke the rows."""
        kept = self._runtime.elapsed()
        for batch in batches:
            batch.work = self._runtime.spawn("load a batch", self._send(batch))
            under_way.append(batch)
            # So that requests go out while the next rows are read.
            await self._runtime.sleep(0)
            while len(under_way) >= self._window:
                await self._settle(under_way, standing)
            if self._runtime.elapsed() - kept > _KEPT_EVERY:
                self._note(standing)
                kept = self._runtime.elapsed()
            if self._stopped() or batch.broken is not None:
                return False, batch.broken
        return True, None

    def _note(self, standing: Standing) -> None:
        # The reject file first: what the note says of it must be there.
        standing.rejects_bytes = self._rejects.settle()
        self._keep(standing)

    async def _settle(self, under_way: deque[_Batch], standing: Standing) -> None:
        """Wait for the first of them, and count it."""
        batch = under_way[0]
        if batch.work is not None:
            await batch.work.wait()
        under_way.popleft()
        for row, refusal in sorted(batch.refused, key=lambda one: one[0].line):
            self._rejects.add(row, refusal)
        standing.line = batch.last
        standing.refused += len(batch.refused)
        standing.taken += len(batch.rows) - batch.denied
        if batch.delayed:
            self._window, self._in_a_row = max(1, self._window // 2), 0
        else:
            self._in_a_row += 1
            if self._in_a_row % _MORE_AFTER == 0:
                self._window = min(MOST_IN_FLIGHT, self._window + 1)
        self._progress(standing)

    async def _send(self, batch: _Batch) -> None:
        if batch.events:
            await self._send_part(batch, 0, len(batch.events))

    async def _send_part(self, batch: _Batch, start: int, end: int) -> None:
        """Send these of its events; if all are refused at once, in halves, until it is known which one is to blame."""
        body = b'{"batch":[' + b",".join(batch.events[start:end]) + b"]}"
        try:
            denied = await self._patiently(batch, body)
        except Unfit as error:
            if end - start == 1:
                batch.refused.append((batch.rows[start], Refusal("", str(error))))
                batch.denied += 1
                return
            middle = (start + end) // 2
            await self._send_part(batch, start, middle)
            await self._send_part(batch, middle, end)
            return
        batch.denied += len(denied)
        for one in denied:
            refusal = Refusal(self._column_of(one.field), one.reason)
            batch.refused.append((batch.rows[start + one.index], refusal))

    async def _patiently(self, batch: _Batch, body: bytes) -> Sequence[Denied]:
        began, failures = self._runtime.elapsed(), 0
        while True:
            try:
                return await self._door.post(body)
            except Unreachable as error:
                failures += 1
                batch.delayed = True
                # Not all at the same moment, who were sent away together.
                wait = min(_LONGEST, max(error.after, 0.1 * 2.0 ** min(failures, 10)))
                wait = max(error.after, wait) * (1 + self._runtime.random.random() / 4)
                if self._stopped() or self._runtime.elapsed() - began + wait > _PATIENCE:
                    raise
            await self._runtime.sleep(wait)


def _batches(rows: Iterable[Row], translate: Translator, after: int) -> Iterator[_Batch]:
    batch = _Batch(last=after)
    try:
        for row in rows:
            if row.line <= after:
                continue
            try:
                event = translate(row)
            except Refusal as refusal:
                batch.refused.append((row, refusal))
            else:
                if batch.events and batch.size + len(event) >= BYTES_AT_ONCE:
                    yield batch
                    batch = _Batch()
                batch.rows.append(row)
                batch.events.append(event)
                batch.size += len(event) + 1
            batch.last = row.line
            if len(batch.rows) + len(batch.refused) >= ROWS_AT_ONCE:
                yield batch
                batch = _Batch(last=row.line)
    except Exception as error:  # noqa: BLE001 - whatever it is: what was read before is brought in first
        batch.broken = error
    if batch.broken or batch.rows or batch.refused:
        yield batch

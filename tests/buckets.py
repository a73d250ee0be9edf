"""A host of buckets within the process: what Flink and Spark do, with crashes, restores and other orders at will."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from obverse.adapters._buckets import items
from obverse.adapters._buckets.defining import Reading
from obverse.adapters._buckets.engine import BucketedSettings
from obverse.adapters._buckets.keeper import KeeperSettings
from obverse.adapters._buckets.machine import BucketMachine
from obverse.adapters._buckets.routing import RouterSettings
from obverse.core.definitions import Definitions, arriving
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream

_Checkpoint = tuple[int, dict[int, dict[bytes, bytes]], list[tuple[int, bytes]], dict[int, list[bytes]]]


def quick(buckets: int, turn_events: int, **more: Any) -> BucketedSettings:
    """A router and a keeper that wait for nothing, with turns so small that a story takes many."""
    router = RouterSettings(
        buckets=buckets,
        turn_events=turn_events,
        tick_seconds=0.02,
        idle_seconds=0.005,
        keep_seconds=0.02,
        keep_idle_seconds=0.01,
        keep_events=50,
        **more,
    )
    return BucketedSettings(router=router, keeper=KeeperSettings(look_seconds=0.005))


class MemoryShelf:
    """See `Shelf`."""

    def __init__(self, kept: dict[bytes, bytes]) -> None:
        self.kept = kept

    def get(self, key: bytes) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.kept[key] = value

    def remove(self, key: bytes) -> None:
        self.kept.pop(key, None)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        return list(self.kept.items())


class Host:
    """
    Folds what was routed, for as long as it runs.

    Its dice may hold moves back, and some buckets behind others; have it crash and go on from its last checkpoint, and
    send what it had sent before.
    """

    def __init__(
        self, parts: EngineParts, *, buckets: int, dice: Random | None = None, read: Reading | None = None
    ) -> None:
        """`read`: how definitions are read, if not by the numbers of `described`."""
        self._parts = parts
        self._buckets = buckets
        self._dice = dice
        self._reading = read or self._read
        self._defined: list[Definitions] = []
        self._at = 0
        self._shelves: dict[int, dict[bytes, bytes]] = {}
        self._moves: list[tuple[int, bytes]] = []
        self._sent: list[tuple[int, bytes]] = []
        """
        What was sent since the last checkpoint. Kafka keeps it: after a crash it comes, before whoever sent it does so
        again.
        """
        self._lagging: dict[int, list[bytes]] = {}
        """By bucket, the slices that it was not given yet."""
        self._slow: set[int] = set() if dice is None else {0}
        """Buckets that are given none for a while."""
        self._machines: dict[int, BucketMachine] = {}
        self._kept = self._snapshot()
        self.folded: list[bytes] = []
        self.crashes = 0
        self.moved = 0
        self.more = asyncio.Event()

    def _snapshot(self) -> _Checkpoint:
        shelves = {one: dict(shelf) for one, shelf in self._shelves.items()}
        lagging = {one: list(slices) for one, slices in self._lagging.items()}
        return self._at, shelves, list(self._moves), lagging

    def checkpoint(self) -> None:
        """Have what was folded be there after a crash."""
        self._kept = self._snapshot()
        self._sent = []

    def crash(self) -> None:
        """Lose all since the last checkpoint."""
        self.crashes += 1
        self._at, self._shelves, self._moves, self._lagging = self._kept
        self._moves += self._sent
        self.checkpoint()
        self._machines = {}

    def _machine(self, bucket: int) -> BucketMachine:
        machine = self._machines.get(bucket)
        if machine is None:
            shelf = MemoryShelf(self._shelves.setdefault(bucket, {}))
            # With few awake, all of them are put on the shelf often; else what was taken is in the journal for long.
            awake = 7 if self._dice is None else self._dice.choice((7, 10_000))
            machine = BucketMachine(
                bucket, shelf, workspace=self._parts.workspace, read=self._reading, now=self._now, awake=awake
            )
            self._machines[bucket] = machine
        return machine

    def _now(self) -> int:
        """At times so late that whoever moves is shown no sooner than with the next tick that keeps."""
        return 0 if self._dice is None or self._dice.random() < 0.5 else 2**62

    def _read(self, version: int, documents: bytes) -> Definitions:
        assert version > 0
        return self._defined[int(documents)]

    def described(self, parts: EngineParts) -> EngineParts:
        """The same parts, whose definitions are told by a number that this host knows."""

        def documents(beside: bool) -> bytes:  # noqa: FBT001 - as the port has it
            defined, coming = parts.definitions(), parts.arriving()
            if beside and coming is not None:
                fresh = arriving.fresh(coming.definitions, defined)
                defined = arriving.folding(defined, fresh, coming.version)
            known = [place for place, one in enumerate(self._defined) if one is defined]
            if not known:
                self._defined.append(defined)
            return b"%d" % (known[0] if known else len(self._defined) - 1)

        return replace(parts, documents=documents)

    def _take(self, bucket: int, record: bytes) -> None:
        folded, moves = self._machine(bucket).take(record)
        if folded:
            self.folded.append(folded)
            self.more.set()
        self._moves += moves
        self._sent += moves
        self.moved += len(moves)

    async def run(self) -> None:
        """Fold for ever."""
        while True:
            reader = await self._parts.log.open_reader(Stream.ROUTED, {0: self._at})
            try:
                while True:
                    if self._moves:
                        self._move()
                        await asyncio.sleep(0)
                    if self._lagging and await self._is_at_end():
                        self._catch_up(list(self._lagging))
                    if self._moves and await self._is_at_end():
                        continue
                    for batch in await reader.next():
                        self._fold(batch.body)
                        self._at = batch.end
                        if self._dice is not None and self._dice.random() < 0.2:
                            self.checkpoint()
                    if self._dice is not None and (self._dice.random() < 0.1 or self.crashes == 0):
                        self.crash()
                        break
            finally:
                await reader.close()

    def _move(self) -> None:
        """Bring some of those that are on their way."""
        moves, self._moves = self._moves, []
        if self._dice is not None:
            self._dice.shuffle(moves)
            held = moves[: self._dice.randrange(len(moves) + 1)]
            moves = moves[len(held) :]
            self._moves += held
        for bucket, record in moves:
            self._take(bucket, record)

    def _fold(self, body: bytes) -> None:
        for bucket, record in items.slices_of(body):
            self._lagging.setdefault(bucket, []).append(record)
        if self._dice is not None and self._dice.random() < 0.2:
            self._slow = {bucket for bucket in range(self._buckets) if self._dice.random() < 0.5}
        self._catch_up([bucket for bucket in self._lagging if bucket not in self._slow])

    def _catch_up(self, buckets: Sequence[int]) -> None:
        """Give these buckets all that was routed to them."""
        for bucket in buckets:
            for record in self._lagging.pop(bucket):
                self._take(bucket, record)

    async def _is_at_end(self) -> bool:
        return (await self._parts.log.bounds(Stream.ROUTED))[0][1] <= self._at


class Source:
    """
    See `FoldedSource`: each keeper reads from the beginning.

    What one bucket told comes in its order. With dice, it comes by and by, buckets in any order, some of it once more.
    """

    def __init__(self, host: Host, dice: Random | None = None) -> None:
        self._host = host
        self._dice = dice
        self._at = 0

    async def next(self) -> Sequence[tuple[int, int, bytes]]:
        while self._at >= len(self._host.folded):
            self._host.more.clear()
            await self._host.more.wait()
        some = list(enumerate(self._host.folded))[self._at :]
        if self._dice is not None and self._dice.random() < 0.5:
            some = some[: self._dice.randint(1, len(some))]
        self._at += len(some)
        if self._dice is not None:
            some = self._mixed(some)
            some += self._mixed(some[self._dice.randrange(len(some)) :])
        return [(0, offset, record) for offset, record in some]

    def _mixed(self, some: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        assert self._dice is not None
        of_bucket: dict[int, list[tuple[int, bytes]]] = {}
        for offset, record in some:
            of_bucket.setdefault(items.read_folded(record).bucket, []).append((offset, record))
        turns = [bucket for bucket, records in of_bucket.items() for _ in records]
        self._dice.shuffle(turns)
        waiting = {bucket: iter(records) for bucket, records in of_bucket.items()}
        return [next(waiting[bucket]) for bucket in turns]

    async def ends(self) -> Mapping[int, int]:
        return {0: len(self._host.folded)} if self._host.folded else {}

    async def keep(self, offsets: Mapping[int, int]) -> None:
        assert set(offsets) <= {0}

    async def close(self) -> None:
        """Nothing is open."""

"""Activate: bring what changed on profiles into CRMs, a queue a connection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from obverse.core import changes
from obverse.core.changes import Change
from obverse.core.clock_steps import ClockSteps
from obverse.core.definitions import Definitions
from obverse.core.outgoing import Connection
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.following import changes_in
from obverse.flows.sender import OpenCrm, Sender, SenderParts, mapping_of
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime, Work
from obverse.ports.sync_queue import SyncQueue, SyncWorker

LOOK: Final = 0.5
"""Seconds between two looks at what others queued, and at the definitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateParts:
    """What it works with."""

    log: EventLog
    queue: SyncQueue
    store: ProfileStore
    profiles: CurrentProfiles
    definitions: Callable[[], Definitions]
    open_crm: OpenCrm
    runtime: Runtime


class Activate:
    """
    Follows the changes, and has a sender for each connection that is defined.

    A connection that is dead keeps its own queue waiting, and nothing else.
    """

    def __init__(self, parts: ActivateParts) -> None:
        self._parts = parts
        self._runtime = parts.runtime
        self._senders: dict[str, tuple[Connection, Sender, Work]] = {}
        self._followed: Mapping[str, Connection] = {}
        """The connections for which changes are followed, by name."""
        self._steps: dict[str, ClockSteps] = {}
        """By connection: what waits there waits also while nobody sends, and the clock may be set meanwhile."""
        self._ended: asyncio.Queue[BaseException] = asyncio.Queue()
        self._worker: SyncWorker | None = None
        self.vitals = Vitals()
        """How each connection is, its queue knows."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """Writes by connection and by what became of them, since this flow began."""

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        await keep_on(self._run, self.vitals, self._runtime, doing="syncing")

    async def _run(self) -> None:
        self._worker = worker = await self._parts.queue.open_worker()
        self._ended = asyncio.Queue()
        works: list[Work] = []
        try:
            await self._take_up(worker, self._defined())
            works += [
                self._runtime.spawn("follow changes", self._telling(self._follow(worker))),
                self._runtime.spawn("keep senders", self._telling(self._keep_senders(worker))),
            ]
            self.vitals.failure = None
            raise await self._ended.get()
        finally:
            self._worker = None
            for work in works:
                await work.stop()
            for _, _, work in self._senders.values():
                await work.stop()
            self._senders.clear()
            await worker.close()

    async def put(self, connection: str, people: Collection[bytes]) -> None:
        """
        Have people compared with their records at a connection, and written where they differ.

        Raises:
            Unreachable: nothing is known; put them again.
        """
        if self._worker is None:
            raise Unreachable("nobody holds the queues of syncs at this moment")
        await self._worker.put({connection: people}, mark=None, now=self._runtime.now())
        self._wake(connection)

    async def _telling(self, work: Awaitable[None]) -> None:
        """All of them end together, so that one that has failed is not missed."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - raised where it is heard
            self._ended.put_nowait(error)

    async def _follow(self, worker: SyncWorker) -> None:
        reader = await self._parts.log.open_reader(Stream.CHANGES, {0: worker.mark})
        try:
            while True:
                batches = await reader.next()
                connections = [*self._followed.values()]
                touched = touched_by(changes_in(batches, words_of(connections)), connections)
                await worker.put(touched, mark=batches[-1].end, now=self._runtime.now())
                for name in touched:
                    self._wake(name)
        finally:
            await reader.close()

    async def _keep_senders(self, worker: SyncWorker) -> None:
        while True:
            defined = self._defined()
            for name in [name for name, (one, _, _) in self._senders.items() if defined.get(name) != one]:
                await self._senders.pop(name)[2].stop()
            if defined != self._followed:
                await self._take_up(worker, defined)
            for name, one in defined.items():
                if name not in self._senders:
                    self._senders[name] = (one, *self._start(one, worker))
                self._wake(name)
            await self._runtime.sleep(LOOK)

    def _defined(self) -> Mapping[str, Connection]:
        return {one.name: one for one in self._parts.definitions().connections}

    async def _take_up(self, worker: SyncWorker, defined: Mapping[str, Connection]) -> None:
        """
        Follow changes for these connections from here on.

        Every mapping that is not in force is to be new when it comes back, for changes of now are not put by for it.
        So that is noted before, and while nobody sends, who would note how the connection is.
        """
        for name, (standing, _) in (await self._parts.queue.standings()).items():
            one = defined.get(name)
            if standing.mapping and (one is None or mapping_of(one) != standing.mapping):
                await worker.stand(name, replace(standing, mapping=""))
        self._followed = defined

    def _start(self, connection: Connection, worker: SyncWorker) -> tuple[Sender, Work]:
        parts = self._parts
        now = ClockSteps(parts.runtime.now(), parts.runtime.elapsed())
        sender = Sender(
            connection,
            SenderParts(
                outcomes=self.outcomes,
                turns=self.vitals.turns,
                log=parts.log,
                worker=worker,
                queue=parts.queue,
                store=parts.store,
                profiles=parts.profiles,
                definitions=parts.definitions,
                open_crm=parts.open_crm,
                runtime=parts.runtime,
            ),
            self._steps.setdefault(connection.name, now),
        )
        return sender, self._runtime.spawn(f"send to {connection.name}", self._telling(sender.run()))

    def _wake(self, name: str) -> None:
        if name in self._senders:
            self._senders[name][1].wake.set()


_ANYTHING: Final = frozenset({changes.MERGED, changes.UNMERGED})
"""After these, whatever a record holds may be another's."""


def words_of(connections: Sequence[Connection]) -> set[str]:
    """What stands in each change that touches one of their records."""
    return {*_ANYTHING, *(name for one in connections for _, name in _watched(one))} if connections else set()


def touched_by(moved: Sequence[Change], connections: Sequence[Connection]) -> Mapping[str, set[bytes]]:
    """The profiles, by connection, of which something moved that its records hold."""
    touched: dict[str, set[bytes]] = {}
    for connection in connections:
        watched = _watched(connection)
        found = {one.profile for one in moved if one.kind in _ANYTHING or (one.kind, one.name) in watched}
        if found:
            touched[connection.name] = found
    return touched


_ADDRESS: Final = {(changes.ATTRIBUTE, "email"), (changes.IDENTIFIER, "email")}


def _watched(connection: Connection) -> set[tuple[str, str]]:
    watched = set(_ADDRESS)
    for one in connection.fields:
        if one.subject == "audience":
            watched |= {(changes.ENTERED, one.name), (changes.LEFT, one.name)}
        elif one.direction != "in":
            watched.add((one.subject, one.name))
    return watched

"""Replay to activate: people of then are compared with what their records hold now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from obverse.core import mapping
from obverse.core.definitions import Definitions
from obverse.core.outgoing import Connection
from obverse.core.profiles import Profile
from obverse.core.replays import ActivateReport, ConnectionReport, Span, Wanted
from obverse.flows.activate import touched_by, words_of
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.following import changes_between
from obverse.flows.ranges import spans_of
from obverse.flows.replaying.steps import AT_ONCE, CannotReplay, Tell
from obverse.flows.sender import news_for, record_of
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.sync_queue import SyncQueue

Put = Callable[[str, Collection[bytes]], Awaitable[None]]


@dataclass(slots=True)
class _Count:
    """What was found of one connection."""

    create: int = 0
    update: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    without_address: int = 0
    woken: int = 0
    seen: set[bytes] = field(default_factory=set)
    """Some hundred bytes for each person of the range."""

    def report(self) -> ConnectionReport:
        return ConnectionReport(
            create=self.create,
            update=self.update,
            fields=dict(self.fields.most_common()),
            unchanged=self.unchanged,
            without_address=self.without_address,
            woken=self.woken,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactsAgain:
    """
    Finds the people of a part of the changes, each once, and whoever holds those who were merged away.

    A run only wakes them in the queue of the connection: the flow compares them again when it acts, and writes what
    differs. So what is written cannot be older than the profile, nor be there twice.
    """

    log: EventLog
    queue: SyncQueue
    profiles: CurrentProfiles
    put: Put
    definitions: Callable[[], Definitions]

    async def plan(self, wanted: Wanted, tell: Tell) -> ActivateReport:
        """
        Say what would be written.

        Raises:
            BadRange, UnknownMark: as `spans_of`.
            CannotReplay: there is no such connection.
            Unreachable: the log, the queue or the store cannot be read now.
        """
        span = (await spans_of(self.log, Stream.CHANGES, wanted))[0]
        return await self._go_through(wanted, span, tell, self._compare)

    async def run(self, wanted: Wanted, span: Span, tell: Tell) -> ActivateReport:
        """
        Have them compared again, and written where they differ.

        Raises:
            CannotReplay, Unreachable: as `plan`.
        """
        return await self._go_through(wanted, span, tell, self._wake)

    async def _go_through(
        self,
        wanted: Wanted,
        span: Span,
        tell: Tell,
        do: Callable[[Connection, Collection[bytes], _Count], Awaitable[None]],
    ) -> ActivateReport:
        connections = {one.name: one for one in self._connections(wanted)}
        counts = {name: _Count() for name in connections}
        if connections:
            words = words_of([*connections.values()])
            async for at, moved in changes_between(self.log, span, words):
                for name, touched in touched_by(moved, [*connections.values()]).items():
                    ids = sorted(touched)
                    for first in range(0, len(ids), AT_ONCE):
                        await do(connections[name], ids[first : first + AT_ONCE], counts[name])
                await tell(at - span.first)
        return ActivateReport(span=span, connections={name: one.report() for name, one in counts.items()})

    def _connections(self, wanted: Wanted) -> Sequence[Connection]:
        connections = self.definitions().connections
        if wanted.connection is None:
            return connections
        found = [one for one in connections if one.name == wanted.connection]
        if not found:
            known = ", ".join(sorted(one.name for one in connections)) or "none"
            raise CannotReplay(f"no connection {wanted.connection!r} is defined (defined: {known})")
        return found

    async def _unseen(self, ids: Collection[bytes], count: _Count) -> Mapping[bytes, Profile]:
        """Those of these who were not seen yet, by the ids of those who hold them now."""
        unseen = [one for one in ids if one not in count.seen]
        people = {one.id: one for one in (await self.profiles.get(unseen)).values() if one.id not in count.seen}
        count.seen.update(unseen, people)
        return people

    async def _compare(self, connection: Connection, ids: Collection[bytes], count: _Count) -> None:
        people, definitions = await self._unseen(ids, count), self.definitions()
        addresses = {one: mapping.address(profile) for one, profile in people.items()}
        emails = [one for one in addresses.values() if one]
        records = await self.queue.records(connection.name, profiles=list(people), emails=emails)
        for one, profile in people.items():
            address = addresses[one]
            if address is None:
                count.without_address += 1
                continue
            record = record_of(profile, address, records)
            news = news_for(profile, address, record, connection, definitions)
            if news is None:
                count.unchanged += 1
            elif record is None or record.record_id is None:
                count.create += 1
            else:
                count.update += 1
                count.fields.update(news[0].fields or ["email"])

    async def _wake(self, connection: Connection, ids: Collection[bytes], count: _Count) -> None:
        people = await self._unseen(ids, count)
        if people:
            await self.put(connection.name, list(people))
            count.woken += len(people)

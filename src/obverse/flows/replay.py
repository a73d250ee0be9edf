"""Replay: send rejected events again, as of when they came first; and those that others asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from obverse.core import wire
from obverse.core.events import DAMAGED, FOREIGN, Event, RejectedEvent
from obverse.flows.collect import Collect
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import KeptRejected, ProfileStore
from obverse.ports.runtime import Runtime

LOOK: Final = 1.0
"""Seconds between two looks at what waits."""
AT_ONCE: Final = 100
_UNREADABLE: Final = frozenset({DAMAGED, FOREIGN})
"""Codes of what was found in the log, and is no event."""


class Replay:
    """
    Reads what waits to be sent again with today's rules, and appends what is accepted now to the log.

    Of several collectors one does it, which has a share of the log; the others stand by.

    Events that were asked for by who cannot append (`WaitingEvents`) arrive when they are appended.

    A crash between the append and its note appends an event twice; it has the same message id, so it counts once.
    """

    def __init__(self, collect: Collect, store: ProfileStore, runtime: Runtime) -> None:
        self._collect = collect
        self._store = store
        self._runtime = runtime
        self.vitals = Vitals()

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        await keep_on(self._run, self.vitals, self._runtime, doing="replay", pause=lambda: LOOK)

    async def _run(self) -> None:
        while not self._collect.ready:
            await self._runtime.sleep(LOOK)
        turn = await self._store.open_replay_turn()
        try:
            # Who has lost its share lets another one do it.
            while self._collect.ready:
                await turn.check()
                while await self.turn() == AT_ONCE or await self.bring() == AT_ONCE:
                    pass
                self.vitals.failure = None
                await self._runtime.sleep(LOOK)
        finally:
            await turn.close()

    async def turn(self) -> int:
        """
        Send some again, and return how many.

        Raises:
            Unreachable, AccessRefused: the store or the log is away; what was not settled waits still.
        """
        waiting = await self._store.waiting_replays(limit=AT_ONCE)
        began = self._runtime.elapsed()
        self.vitals.queues.seen("rejected", len(waiting), self._runtime.now())
        for one in waiting:
            again = await self._send(one)
            await self._store.settle_replay(one.id, at=self._runtime.now(), again=again)
            self.vitals.records["accepted" if again is None else "rejected"] += 1
        if waiting:
            self.vitals.turns.note(self._runtime.elapsed() - began)
            self._went("rejected", len(waiting))
        return len(waiting)

    async def bring(self) -> int:
        """
        Append some events that were asked for, and return how many.

        Raises:
            Unreachable, AccessRefused: as `turn`.
        """
        waiting = await self._store.waiting_events(limit=AT_ONCE)
        now = self._runtime.now()
        self.vitals.queues.seen("events", len(waiting), now)
        if waiting:
            arriving = [msgspec.structs.replace(one, received_at=now) for one in waiting]
            await self._append(arriving, sum(len(one.properties) for one in waiting))
        for one in waiting:
            await self._store.settle_event(one.message_id, at=now)
            self.vitals.records["asked for"] += 1
        self._went("events", len(waiting))
        return len(waiting)

    def _went(self, queue: str, count: int) -> None:
        if count < AT_ONCE:  # else there are more, which the next look tells of
            self.vitals.queues.seen(queue, 0, self._runtime.now())

    async def _send(self, one: KeptRejected) -> RejectedEvent | None:
        """Append what it holds; or why it is rejected again. All of it is accepted, or nothing."""
        event = one.event
        if event.code in _UNREADABLE and one.correction is None:
            return event  # nobody sent it, and it keeps the reason that says where it stands
        body = wire.as_called(event.body if one.correction is None else one.correction, event.received_at)
        reading = self._collect.read(event.source, body, received_at=event.received_at, name=f"rejected-{one.id}")
        if isinstance(reading, wire.Unreadable):
            return wire.rejected_whole(body, reading, source=event.source, received_at=event.received_at)
        if reading.rejected:
            return reading.rejected[0]
        await self._append(reading.events, len(body))
        return None

    async def _append(self, events: Sequence[Event], size: int) -> None:
        refusal = await self._collect.append(events, (), size)
        if refusal is not None:
            raise Unreachable(refusal.message, after=refusal.retry_after or LOOK)

"""Replaying: a part of the log is sent again, to whom somebody asked for, once they have seen what it would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from obverse.core.definitions import Definitions
from obverse.core.replays import Report
from obverse.flows.activate import Activate
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.deliver import Deliver
from obverse.flows.ranges import BadRange
from obverse.flows.replaying.contacts import ContactsAgain
from obverse.flows.replaying.messages import MessagesAgain
from obverse.flows.replaying.people import SAMPLE, PeopleAnew
from obverse.flows.replaying.steps import Cancelled, CannotReplay, Tell
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.engine import Engine
from obverse.ports.event_log import EventLog, LogGap, Stream, UnknownMark
from obverse.ports.outbox import Outbox
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import ProfileStore
from obverse.ports.replays import Replay, Replays, ReplayStage, ReplaysWorker
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import SyncQueue

LOOK: Final = 0.5
"""Seconds between two looks at what is asked for."""
_SOON: Final = 0.1

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayingParts:
    """What it works with."""

    replays: Replays
    log: EventLog
    store: ProfileStore
    engine: Engine
    profiles: CurrentProfiles
    queue: SyncQueue
    outbox: Outbox
    activate: Activate
    deliver: Deliver
    definitions: Callable[[], Definitions]
    runtime: Runtime
    sample: int = field(default=SAMPLE)
    """People whom a plan looks at, at most."""


class Replaying:
    """
    Plans replays, and runs those that somebody has confirmed, one after another.

    It runs beside those who act, and acts through them: the engine mends profiles, the outbox and the queues of syncs
    are written by the flows that hold them. Killed at any moment it begins the replay anew: what was done is found
    done.
    """

    def __init__(self, parts: ReplayingParts) -> None:
        self._parts = parts
        self._runtime = parts.runtime
        self._people = PeopleAnew(
            log=parts.log,
            store=parts.store,
            engine=parts.engine,
            definitions=parts.definitions,
            runtime=parts.runtime,
            sample=parts.sample,
        )
        self._contacts = ContactsAgain(
            log=parts.log,
            queue=parts.queue,
            profiles=parts.profiles,
            put=parts.activate.put,
            definitions=parts.definitions,
        )
        self._messages = MessagesAgain(
            log=parts.log,
            outbox=parts.outbox,
            store=parts.store,
            profiles=parts.profiles,
            put=parts.deliver.put,
            definitions=parts.definitions,
            runtime=parts.runtime,
        )
        self.vitals = Vitals()
        """Of it, `records` are replays, by what became of them."""

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        await keep_on(self._run, self.vitals, self._runtime, doing="replaying")

    async def _run(self) -> None:
        worker = await self._parts.replays.open_worker()
        try:
            while True:
                one = await worker.next()
                self.vitals.failure = None
                if one is None:
                    await self._runtime.sleep(LOOK)
                    continue
                began = self._runtime.elapsed()
                await self._do(worker, one)
                self.vitals.turns.note(self._runtime.elapsed() - began)
        finally:
            await worker.close()

    async def _do(self, worker: ReplaysWorker, one: Replay) -> None:
        """
        Plan a replay, or run it.

        Raises:
            Unreachable, AccessRefused: something is away; it waits still, and is begun anew.
        """

        async def tell(done: int) -> None:
            if not await worker.progress(one.id, done):
                raise Cancelled

        try:
            await self._caught_up(tell)
            if one.state is ReplayStage.PLANNING:
                await worker.planned(one.id, await self._plan(one, tell))
                return
            result = await self._carry_out(one, tell)
        except Cancelled:
            self.vitals.records["cancelled"] += 1
            return
        except (BadRange, CannotReplay, UnknownMark, LogGap) as error:
            await self._refuse(worker, one, str(error))
            return
        except (Unreachable, AccessRefused):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not have it begun anew for ever
            _log.exception("a replay failed", replay=one.id, reason=repr(error))
            await self._refuse(worker, one, f"it failed ({type(error).__name__}: {error}); please report it")
            return
        if await worker.settle(one.id, ReplayStage.DONE, at=self._runtime.now(), result=result):
            self.vitals.records["done"] += 1
            _log.info("a replay is done", replay=one.id, by=one.by)

    async def _refuse(self, worker: ReplaysWorker, one: Replay, reason: str) -> None:
        self.vitals.records["refused"] += 1
        await worker.settle(one.id, ReplayStage.REFUSED, at=self._runtime.now(), reason=reason)

    async def _caught_up(self, tell: Tell) -> None:
        """Wait until all that the log holds now is in the store: else people would seem to be as they were."""
        ends = await self._parts.log.bounds(Stream.EVENTS)
        progress = self._parts.engine.progress
        while any(progress.kept.get(partition, 0) < end for partition, (_, end) in ends.items()):
            await tell(0)
            await self._runtime.sleep(_SOON)

    async def _plan(self, one: Replay, tell: Tell) -> Report:
        flows, wanted = one.wanted.flows, one.wanted
        return Report(
            unify=await self._people.plan(wanted, tell) if "unify" in flows else None,
            activate=await self._contacts.plan(wanted, tell) if "activate" in flows else None,
            deliver=await self._messages.plan(wanted, tell) if "deliver" in flows else None,
        )

    async def _carry_out(self, one: Replay, tell: Tell) -> Report:
        """Do what was planned, of the very parts of the log that the plan is of."""
        wanted, plan = one.wanted, one.plan or Report()
        result = Report()
        if plan.unify is not None:
            result = Report(unify=await self._people.run(wanted, plan.unify.spans, str(one.id), tell))
            await self._caught_up(tell)
        return Report(
            unify=result.unify,
            activate=None if plan.activate is None else await self._contacts.run(wanted, plan.activate.span, tell),
            deliver=None if plan.deliver is None else await self._messages.run(wanted, plan.deliver.span, tell),
        )

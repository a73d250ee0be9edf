"""A sender: works one connection's queue off, by comparing profiles with what their records hold."""

from __future__ import annotations

import asyncio
import difflib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import msgspec
import structlog

from obverse.core import mapping
from obverse.core.clock_steps import ClockSteps
from obverse.core.definitions import Definitions
from obverse.core.durations import Durations
from obverse.core.outgoing import Connection
from obverse.core.profiles import Profile
from obverse.core.records import EMAIL, ContactPatch, FieldState, SyncRecord, earlier, later
from obverse.flows.current_profiles import CurrentProfiles
from obverse.ports.crm import Crm, Outcome
from obverse.ports.engine import WRITER
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import AccessRefused, Deferred, Done, Refused, Unreachable
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import (
    Again,
    Attempt,
    Died,
    Nothing,
    Result,
    Standing,
    State,
    SyncQueue,
    SyncWorker,
    Task,
    Written,
)

OpenCrm = Callable[[Connection], Awaitable[Crm]]
"""Opens a connection; raises ValueError for settings that cannot be used."""

MOST_TRIES: Final = 12
"""Of one task, before it becomes a dead letter: about an hour."""
LONGEST: Final = 300.0
"""Seconds at most between two tries of one task."""
LONGEST_SILENCE: Final = 15.0
"""Seconds at most between two tries of a CRM that does not answer, unless it asks for more."""
MENDING: Final = 30.0
"""Seconds after which we look whether a person has mended what was wrong."""
_OPEN_AGAIN: Final = (
    "do what the reason says: a definition or a file is read again by itself, a variable of the environment when the "
    "worker starts again"
)
PAGE: Final = 1000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderParts:
    """What a sender works with."""

    outcomes: Counter[tuple[str, str]]
    """Counts writes by connection and by what became of them: `done`, `refused`, `deferred` or `unknown`."""
    turns: Durations
    """How long the calls took that wrote them."""
    log: EventLog
    worker: SyncWorker
    queue: SyncQueue
    store: ProfileStore
    profiles: CurrentProfiles
    definitions: Callable[[], Definitions]
    open_crm: OpenCrm
    runtime: Runtime


class _Trouble(Exception):
    """The connection cannot be used now."""

    def __init__(self, state: State, reason: str, remedy: str, *, after: float) -> None:
        super().__init__(reason)
        self.standing = Standing(state=state, reason=reason, remedy=remedy)
        self.after = after


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written for one task."""

    task: Task
    patch: ContactPatch
    known: Mapping[str, FieldState]
    """What the record holds beside it."""
    doubtful: Mapping[str, str]
    """What was given to the CRM before, and not answered."""
    record: SyncRecord | None
    """As we know it."""


class Sender:
    """One connection's. What fails in the CRM is its own matter; what fails in the queue ends it."""

    def __init__(self, connection: Connection, parts: SenderParts, steps: ClockSteps) -> None:
        self._connection = connection
        self._parts = parts
        self._runtime = parts.runtime
        self._taken = {one.field for one in connection.fields if one.direction != "out"} | {EMAIL}
        """Fields from which we take edits."""
        self._standing = Standing()
        self._noted = Standing()
        """The standing that the queue knows."""
        self._mapping = ""
        self._unseen: Mapping[int, int] | None = None
        """While the mapping is new: where the log ended when it was taken up, by partition."""
        self._silences = 0
        self._next_call = 0.0
        self._steps = steps
        self.wake = asyncio.Event()
        """Set when there may be something to do."""

    async def run(self) -> None:
        """
        Go on until cancelled.

        Raises:
            Unreachable, AccessRefused: of the queue or the store.
        """
        known = await self._parts.queue.standings()
        if self._connection.name in known:
            self._standing = self._noted = known[self._connection.name][0]
        crm: Crm | None = None
        try:
            while True:
                try:
                    if crm is None:
                        crm = await self._open()
                    await self._turn(crm)
                except _Trouble as trouble:
                    if crm is not None and trouble.standing.state == "refused":
                        # What a person mends may be a secret, which is read when it is opened.
                        closing, crm = crm, None
                        await closing.close()
                    await self._stand(trouble.standing)
                    # Jitter, so that many who lost one CRM do not come back as one.
                    await self._runtime.sleep(trouble.after * (0.5 + self._runtime.random.random() / 2))
        finally:
            if crm is not None:
                await crm.close()

    async def _open(self) -> Crm:
        try:
            crm = await self._parts.open_crm(self._connection)
        except ValueError as error:
            raise _Trouble("refused", str(error), _OPEN_AGAIN, after=MENDING) from error
        try:
            try:
                self._check(await crm.fields())
            except _Trouble:
                raise
            except Exception as error:
                raise self._trouble(error) from error
            await self._begin_if_new()
        except BaseException:
            await crm.close()
            raise
        await self._stand(self._well())
        return crm

    def _check(self, there: Mapping[str, bool]) -> None:
        """See that the CRM has every field that is mapped."""
        for one in self._connection.fields:
            place = f"connection {self._connection.name!r}, spec.fields.{one.field}"
            if one.field not in there:
                close = difflib.get_close_matches(one.field, there, n=1)
                hint = f"did you mean {close[0]!r}?" if close else "make it there, or take it out of the mapping"
                raise _Trouble("refused", f"{place}: the CRM has no such field", hint, after=MENDING)
            if one.direction != "in" and not there[one.field]:
                raise _Trouble(
                    "refused",
                    f"{place}: the CRM lets nobody write this field",
                    "set `direction: in`, or map another field",
                    after=MENDING,
                )

    async def _begin_if_new(self) -> None:
        """A mapping that is new says something of everybody, whether or not they change."""
        self._mapping = mapping_of(self._connection)
        if self._standing.mapping == self._mapping:
            return
        # Whoever was folded and is not in the store yet has changed before we looked, and is not found there.
        ends = await self._parts.log.bounds(Stream.EVENTS)
        self._unseen = {partition: end for partition, (_, end) in ends.items()}
        await self._queue_everybody()

    async def _finish_if_new(self) -> None:
        """Once the store holds all that was in the log, queue everybody again: then nobody was missed."""
        if self._unseen is None:
            return
        kept = (await self._parts.store.overview()).marks.get(WRITER, {}).get(Stream.EVENTS, {})
        if all(kept.get(partition, 0) >= end for partition, end in self._unseen.items()):
            await self._queue_everybody()
            self._unseen = None
            self._standing = replace(self._standing, mapping=self._mapping)
            await self._stand(self._well())

    async def _queue_everybody(self) -> None:
        after: bytes | None = None
        while people := await self._parts.store.people(limit=PAGE, after=after):
            await self._parts.worker.put({self._connection.name: people}, mark=None, now=self._runtime.now())
            after = people[-1]

    async def _now(self) -> int:
        """What time it is; if somebody has set the clock, what waits is as far away as before."""
        now = self._runtime.now()
        step = self._steps.step(now, self._runtime.elapsed())
        if step:
            await self._parts.worker.clock_set(self._connection.name, step, now=now)
            self._steps.followed(step)
        return now

    def _well(self, at: int | None = None) -> Standing:
        if self._unseen is None:
            return Standing(state="ok", last_success_at=at)
        reason = "the mapping is new, so everybody is compared with their records"
        return Standing(state="waiting", reason=reason, remedy="nothing: it takes a moment", last_success_at=at)

    async def _turn(self, crm: Crm) -> None:
        name, worker = self._connection.name, self._parts.worker
        self.wake.clear()
        await self._finish_if_new()
        tasks = await worker.due(name, limit=crm.limits.batch_size, now=await self._now())
        if not tasks:
            await self.wake.wait()
            return
        plans, results = await self._plan(tasks)
        if plans:
            results += await self._write(crm, plans)
        await worker.settle(name, results)
        if plans:
            self._silences = 0
            await self._stand(self._well(self._runtime.now()))

    async def _plan(self, tasks: Sequence[Task]) -> tuple[list[_Plan], list[Result]]:
        parts = self._parts
        people, unreadable = await parts.profiles.read([task.profile for task in tasks])
        addresses = {task.profile: mapping.address(people[task.profile]) for task in tasks if task.profile in people}
        records = await parts.queue.records(
            self._connection.name,
            profiles=[*people, *unreadable],
            emails=[one for one in addresses.values() if one],
        )
        doubts = {one.profile: one.sending for one in records}
        plans: list[_Plan] = []
        results: list[Result] = []
        taken: set[str] = set()
        for task in tasks:
            if task.profile in unreadable:
                _log.warning(unreadable[task.profile], connection=self._connection.name)
                attempt = Attempt(await self._now(), unreadable[task.profile])
                results.append(self._again(task, attempt, doubts.get(task.profile, {})))
                continue
            profile, address = people.get(task.profile), addresses.get(task.profile)
            if profile is not None and profile.id != task.profile:
                # Merged away; what was told of its record since then is its keeper's matter.
                await parts.worker.put({self._connection.name: [profile.id]}, mark=None, now=await self._now())
            # One without an address has no contact.
            if profile is None or profile.id != task.profile or address is None:
                results.append(Nothing(task=task))
                continue
            record = record_of(profile, address, records)
            news = news_for(profile, address, record, self._connection, parts.definitions())
            if news is None:
                results.append(Nothing(task=task))
                continue
            plan = _Plan(task, *news, doubts.get(task.profile, {}), record)
            if not taken & {address, plan.patch.record_id or address}:  # else it waits for the next turn
                taken |= {address, plan.patch.record_id or address}
                plans.append(plan)
        return plans, results

    async def _write(self, crm: Crm, plans: Sequence[_Plan]) -> list[Result]:
        await self._parts.worker.begin(
            self._connection.name, [(plan.task.profile, plan.patch.email, plan.patch.fields) for plan in plans]
        )
        await self._pace(crm)
        began = self._runtime.elapsed()
        try:
            outcomes = await crm.upsert([plan.patch for plan in plans])
        except Exception as error:
            raise self._trouble(error) from error
        finally:
            self._parts.turns.note(self._runtime.elapsed() - began)
        now = await self._now()
        self._parts.outcomes.update((self._connection.name, type(one).__name__.lower()) for one in outcomes)
        since = now - round((self._runtime.elapsed() - began) * 1_000_000)
        return [self._result(plan, outcome, since, now) for plan, outcome in zip(plans, outcomes, strict=True)]

    def _result(self, plan: _Plan, outcome: Outcome, since: int, now: int) -> Result:
        task, patch = plan.task, plan.patch
        if isinstance(outcome, Done):
            # As of the answer: an edit made while we wrote is written again, rather than taken for the later one.
            # Where we take none, the profile says nothing of an edit: what is told of it since we began stands there.
            at = {one: now if one in self._taken else since for one in patch.fields}
            known = {**plan.known, **{one: FieldState(value, at[one]) for one, value in patch.fields.items()}}
            record = SyncRecord(
                profile=task.profile,
                email=patch.email,
                record_id=outcome.reference,
                known=known,
                earlier={} if plan.record is None else earlier(plan.record, patch, self._taken, now),
                synced_at=now,
            )
            return Written(task=task, record=record)
        attempt = Attempt(now, outcome.reason)
        if isinstance(outcome, Deferred) and task.tries + 1 < MOST_TRIES:
            return self._again(task, attempt, plan.doubtful)
        _log.warning(
            "a contact was refused",
            connection=self._connection.name,
            profile=task.profile.hex(),
            final=isinstance(outcome, Refused),
        )
        fields = {**patch.fields, "email": patch.email}
        return Died(task=task, fields=fields, attempt=attempt, sending=plan.doubtful)

    def _again(self, task: Task, attempt: Attempt, doubtful: Mapping[str, str]) -> Again:
        wait = min(LONGEST, 2.0 ** min(task.tries, 20)) * (0.5 + self._runtime.random.random() / 2)
        return Again(task=task, due_at=attempt.at + round(wait * 1_000_000), attempt=attempt, sending=doubtful)

    async def _pace(self, crm: Crm) -> None:
        """Keep within the CRM's limit, evenly: what comes in one heap is refused in one heap."""
        await self._runtime.sleep(max(0.0, self._next_call - self._runtime.elapsed()))
        self._next_call = self._runtime.elapsed() + crm.limits.seconds / crm.limits.requests

    def _trouble(self, error: Exception) -> _Trouble:
        if isinstance(error, AccessRefused):
            return _Trouble("refused", str(error), "correct the connection's credentials", after=MENDING)
        if not isinstance(error, Unreachable):
            # A fault of one CRM's adapter is seen, and is nobody else's matter.
            _log.exception("an adapter failed", connection=self._connection.name, reason=repr(error))
            reason = f"the adapter of this CRM failed ({type(error).__name__}: {error})"
            return _Trouble("unreachable", reason, "please report it; it is tried again meanwhile", after=MENDING)
        silence = min(LONGEST_SILENCE, 0.5 * 2.0 ** min(self._silences, 10))
        self._silences += 1
        remedy = "nothing, if it is down for a while: what waits is written when it answers again"
        return _Trouble("unreachable", str(error), remedy, after=max(silence, error.after))

    async def _stand(self, standing: Standing) -> None:
        """Note how the connection is, if that is news."""
        before = self._standing
        at = standing.last_success_at or before.last_success_at
        now = replace(standing, last_success_at=at, mapping=before.mapping)
        self._standing = now
        if now == self._noted:
            return
        if now.state != before.state:
            _log.log(_LEVELS[now.state], "a connection stands otherwise", connection=self._connection.name,
                     state=now.state, reason=now.reason)  # fmt: skip
        await self._parts.worker.stand(self._connection.name, now)
        self._noted = now


def mapping_of(connection: Connection) -> str:
    """What names its mapping in its standing."""
    said = [connection.crm, connection.settings, connection.fields]
    return blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


_LEVELS: Final[Mapping[State, int]] = {"ok": 20, "waiting": 20, "unreachable": 30, "refused": 40}


def news_for(
    profile: Profile, address: str, record: SyncRecord | None, connection: Connection, definitions: Definitions
) -> tuple[ContactPatch, Mapping[str, FieldState]] | None:
    """What has to be written so that a record says what a profile says, and what it holds beside; None: nothing."""
    wanted = mapping.said(profile, connection, definitions)
    told = mapping.told_by(profile, connection, record.record_id if record else None)
    # What was given to the CRM and never answered may stand there, or not.
    doubtful = {} if record is None else record.sending
    known = {} if record is None else {one: state for one, state in record.known.items() if one not in doubtful}
    held = later(known, told)
    fields = mapping.news(wanted, {one: state.value for one, state in held.items()})
    fields |= {one: wanted[one] for one in doubtful if one in wanted}
    if record is not None and record.record_id and record.email == address and not fields:
        return None
    return ContactPatch(email=address, fields=fields, record_id=record.record_id if record else None), held


def record_of(profile: Profile, address: str, records: Sequence[SyncRecord]) -> SyncRecord | None:
    """The record of this address if the CRM has one that we know, whoever had it; else the profile's own."""
    by_address = [one for one in records if one.email == address and one.record_id]
    own = [one for one in records if one.profile == profile.id]
    return next(iter([*by_address, *own]), None)

"""Deliver: a message to everybody who enters a campaign's audience, and to whom a caller names; each once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from obverse.core import changes
from obverse.core.clock_steps import ClockSteps
from obverse.core.definitions import Definitions
from obverse.core.identity import id_text
from obverse.core.messages import Attempt, Message, Status, campaign_message
from obverse.core.profiles import Profile
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.following import changes_in
from obverse.flows.vitals import Vitals, keep_on
from obverse.flows.wanted import ANYTIME, wanted_by, woken_by
from obverse.flows.writing import NO_ADDRESS, SOON, NoAddress, NotYet, Unwritable, Writer, Written
from obverse.ports.email_service import EmailService, Outcome
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outbox import MOST_CLAIMED, Outbox, OutboxWorker, Settled
from obverse.ports.outcomes import AccessRefused, Deferred, Done, Refused, Unreachable
from obverse.ports.runtime import Runtime

LOOK: Final = 0.25
"""Seconds between two looks at what the api has accepted."""
LONGEST: Final = 300.0
"""Seconds at most between two deliveries of one message."""
PATIENCE: Final = 72 * 3600 * 1_000_000
"""Microseconds after which a message that was only ever deferred is given up."""
MEMORY: Final = 24 * 3600 * 1_000_000
"""Microseconds that an answer to an idempotency key is remembered."""
LONGEST_SILENCE: Final = 15.0
"""Seconds at most between two tries of a mail service that does not answer, unless it asks for more."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverParts:
    """What it works with."""

    log: EventLog
    outbox: Outbox
    profiles: CurrentProfiles
    service: EmailService
    definitions: Callable[[], Definitions]
    runtime: Runtime


class Deliver:
    """
    Follows the changes into the outbox, and empties the outbox into the mail service.

    A message is noted as `sending` before the service is given it. Whoever dies in between leaves a doubt: a service
    that can be asked is asked, and where it cannot, the message is `unknown` until a person says what became of it.
    """

    def __init__(self, parts: DeliverParts) -> None:
        self._parts = parts
        self._runtime = parts.runtime
        self._writer = Writer(parts.profiles, parts.definitions)
        self._wake = asyncio.Event()
        self._ended: asyncio.Queue[BaseException] = asyncio.Queue()
        self._silences = 0
        self._steps: ClockSteps | None = None
        """Since we have been the worker; before, another one saw to it."""
        self._worker: OutboxWorker | None = None
        self._woken: set[bytes] = set()
        """Who may have got an address since those were read to whom messages are being written."""
        self._waking = asyncio.Lock()
        """Held while these are told apart, and until the outbox knows."""
        self.vitals = Vitals()
        """Of it, `records` are messages."""

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        await keep_on(self._run, self.vitals, self._runtime, doing="delivering")

    async def _run(self) -> None:
        self._worker = worker = await self._parts.outbox.open_worker()
        self._ended = asyncio.Queue()
        works = [
            self._runtime.spawn(name, self._telling(work))
            for name, work in (
                ("follow changes into the outbox", self._follow(worker)),
                ("send messages", self._send_all(worker)),
                ("look into the outbox", self._look(worker)),
            )
        ]
        self.vitals.failure = None
        try:
            raise await self._ended.get()
        finally:
            self._worker = None
            for work in works:
                await work.stop()
            await worker.close()

    async def put(self, messages: Sequence[Message]) -> None:
        """
        Queue messages; those whose ids are known are passed over, whatever became of them.

        Raises:
            Unreachable: nothing is known; put them again.
        """
        if self._worker is None:
            raise Unreachable("nobody holds the outbox at this moment")
        await self._worker.put(messages, mark=None, now=self._runtime.now())
        self._wake.set()

    async def _telling(self, work: Awaitable[None]) -> None:
        """All of them end together, so that one that has failed is not missed."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - raised where it is heard
            self._ended.put_nowait(error)

    async def _look(self, worker: OutboxWorker) -> None:
        since = 0.0
        while True:
            if self._runtime.elapsed() >= since:
                since = self._runtime.elapsed() + 3600
                await worker.forget(self._runtime.now() - MEMORY)
            self._wake.set()
            await self._runtime.sleep(LOOK)

    async def _follow(self, worker: OutboxWorker) -> None:
        reader = await self._parts.log.open_reader(Stream.CHANGES, {0: worker.mark})
        try:
            while True:
                batches = await reader.next()
                definitions, now = self._parts.definitions(), self._runtime.now()
                words = {changes.ENTERED, *ANYTIME} if definitions.campaigns else ANYTIME
                moved = changes_in(batches, words)
                messages = wanted_by(moved, definitions, now)
                woken = woken_by(moved)
                async with self._waking:
                    self._woken |= woken
                    await worker.put(messages, mark=batches[-1].end, now=now, woken=woken)
                if messages or woken:
                    self._wake.set()
        finally:
            await reader.close()

    async def _send_all(self, worker: OutboxWorker) -> None:
        while True:
            self._wake.clear()
            try:
                doubts = await self._resolve_doubts(worker)
                claimed = await self._claim(worker)
                await self._send(worker, claimed)
            except _Silent as silent:
                await self._runtime.sleep(silent.after * (0.5 + self._runtime.random.random() / 2))
            else:
                if not claimed and not doubts:
                    await self._wake.wait()

    async def _claim(self, worker: OutboxWorker) -> Sequence[Message]:
        """Claim what is due. Whoever is stopped meanwhile has given none of it to the service, and gives it back."""
        claimed: list[Message] = []
        claiming = self._runtime.spawn("claim messages", self._claim_into(claimed, worker, await self._now(worker)))
        try:
            await claiming.wait()
        except asyncio.CancelledError:
            await claiming.wait()
            await self._settle(worker, [Settled(id=one.id, status="queued") for one in claimed])
            raise
        return claimed

    @staticmethod
    async def _claim_into(claimed: list[Message], worker: OutboxWorker, now: int) -> None:
        claimed += await worker.claim(limit=MOST_CLAIMED, now=now)

    async def _now(self, worker: OutboxWorker) -> int:
        """What time it is; if somebody has set the clock, what waits is as far away as before."""
        now, elapsed = self._runtime.now(), self._runtime.elapsed()
        if self._steps is None:
            self._steps = ClockSteps(now, elapsed)
        step = self._steps.step(now, elapsed)
        if step:
            _log.warning("the clock was set", seconds=step / 1_000_000)
            await worker.clock_set(step, now=now)
            self._steps.followed(step)
        return now

    async def _resolve_doubts(self, worker: OutboxWorker) -> int:
        """Ask what became of messages that nobody can tell of; how many there were."""
        now = await self._now(worker)
        service = self._parts.service
        doubts = await worker.doubts(limit=service.limits.batch_size, now=now)
        if not doubts:
            return 0
        if not service.limits.can_be_asked:
            reason = "it was given to the mail service, which never said what became of it; look there, then resolve it"
            await self._settle(worker, [Settled(id=one.id, status="unknown", reason=reason) for one in doubts])
            return len(doubts)
        try:
            there = await service.sent([one.message_id for one in doubts])
        except (Unreachable, AccessRefused) as error:
            raise self._silence(error) from error
        self._silences = 0
        await self._settle(worker, [self._asked(one, sent, now) for one, sent in zip(doubts, there, strict=True)])
        return len(doubts)

    @staticmethod
    def _asked(message: Message, sent: bool, now: int) -> Settled:  # noqa: FBT001 - an answer
        attempt = Attempt(now, "asked", "it has it" if sent else "it does not have it")
        if sent:
            return Settled(id=message.id, status="sent", sent_at=now, attempt=attempt)
        return Settled(id=message.id, status="queued", due_at=now, attempt=attempt)

    async def _send(self, worker: OutboxWorker, claimed: Sequence[Message]) -> None:
        size = self._parts.service.limits.batch_size
        left = [one.id for one in claimed]
        try:
            rest = await self._write(worker, claimed)
            while rest:
                batch, rest = rest[:size], rest[size:]
                left = [one.message.id for one in rest]
                await self._send_batch(worker, batch, rest)
        except _Silent:
            raise
        except BaseException:
            # Whatever ended us, the service was not given these: there is no doubt about them.
            await self._settle(worker, [Settled(id=one, status="queued") for one in left])
            raise

    async def _write(self, worker: OutboxWorker, claimed: Sequence[Message]) -> Sequence[Written]:
        """Write what can be written now; what became of the others is settled."""
        written: list[Written] = []
        settled: list[Settled] = []
        homeless: list[Message] = []
        theirs: list[Message] = []
        self._woken.clear()
        people, unreadable = await self._writer.people_of(claimed)
        for message in claimed:
            reason = unreadable.get(message.profile or b"")
            if reason is not None:
                _log.warning(reason, message=id_text(message.id))
                settled.append(self._early(message, reason, await self._now(worker)))
                continue
            instead = self._instead(message, people)
            if instead is not None:
                theirs.append(instead)
                reason = f"its person is {id_text(instead.profile or b'')} by now, who gets it once"
                settled.append(Settled(id=message.id, status="refused", reason=reason))
                continue
            try:
                written.append(self._writer.write(message, people))
            except NotYet as early:
                settled.append(self._early(message, str(early), await self._now(worker)))
            except NoAddress:
                homeless.append(message)
            except Unwritable as error:
                settled.append(Settled(id=message.id, status="refused", reason=str(error)))
        if theirs:
            await worker.put(theirs, mark=None, now=self._runtime.now())
        async with self._waking:
            for message in homeless:
                holder = people.get(message.profile or b"")
                waits_for = message.profile if holder is None else holder.id
                # Whoever was woken meanwhile was not waiting yet, and is woken by nobody again.
                status: Status = "waiting" if self._woken.isdisjoint({message.profile, waits_for}) else "queued"
                settled.append(Settled(id=message.id, status=status, profile=waits_for, reason=NO_ADDRESS))
            await self._settle(worker, settled)
        return written

    @staticmethod
    def _early(message: Message, reason: str, now: int) -> Settled:
        """What becomes of a message that cannot be written yet. No delivery was tried, so none is noted."""
        waited = now - message.created_at
        if waited > PATIENCE:
            reason = f"given up after three days: {reason}"
            return Settled(id=message.id, status="refused", reason=reason)
        # Mostly it is a moment; of an entry that was undone since it is for ever.
        wait = max(round(SOON * 1_000_000), min(waited // 10, round(LONGEST * 1_000_000)))
        return Settled(id=message.id, status="queued", due_at=now + wait, reason=reason)

    def _instead(self, message: Message, people: Mapping[bytes, Profile]) -> Message | None:
        """
        Return a campaign's message to whoever holds its person by now, if that is another one.

        It is the same for each who became one with them, and the one that they may have got for their own entry.
        """
        holder = people.get(message.profile or b"")
        if message.campaign is None or holder is None or holder.id == message.profile:
            return None
        template = next((one for one in self._parts.definitions().templates if one.name == message.template), None)
        if template is None:
            return None  # and it cannot be written
        return campaign_message(message.campaign, template, holder.id, message.number, now=self._runtime.now())

    async def _send_batch(self, worker: OutboxWorker, batch: Sequence[Written], rest: Sequence[Written]) -> None:
        began = self._runtime.elapsed()
        try:
            outcomes = await self._parts.service.send([one.mail for one in batch])
        except (Unreachable, AccessRefused) as error:
            # The port promises that none of these was sent.
            unsent = [Settled(id=one.message.id, status="queued", reason=str(error)) for one in (*batch, *rest)]
            await self._settle(worker, unsent)
            raise self._silence(error) from error
        finally:
            self.vitals.turns.note(self._runtime.elapsed() - began)
        self._silences = 0
        self.vitals.failure = None
        now = await self._now(worker)
        await self._settle(worker, [self._became(one, said, now) for one, said in zip(batch, outcomes, strict=True)])

    def _became(self, written: Written, outcome: Outcome, now: int) -> Settled:
        message, mail = written.message, written.mail
        if isinstance(outcome, Done):
            said = Attempt(now, "sent", outcome.reference)
            return Settled(
                id=message.id, status="sent", to=mail.to, subject=mail.subject, sent_at=now, attempt=said
            )  # fmt: skip
        reason = outcome.reason
        if isinstance(outcome, Refused):
            return Settled(
                id=message.id,
                status="refused",
                to=mail.to,
                subject=mail.subject,
                reason=reason,
                attempt=Attempt(now, "refused", reason),
            )
        if isinstance(outcome, Deferred):
            return self._deferred(written, reason, now)
        # It may be there or not: `sending`, and nobody's, is asked about at once, where there is somebody to ask.
        can_be_asked = self._parts.service.limits.can_be_asked
        return Settled(
            id=message.id,
            status="sending" if can_be_asked else "unknown",
            to=mail.to,
            subject=mail.subject,
            due_at=now,
            reason=reason,
            attempt=Attempt(now, "unknown", reason),
        )

    def _deferred(self, written: Written, reason: str, now: int) -> Settled:
        message, mail = written.message, written.mail
        given_up = now - message.created_at > PATIENCE
        tries = sum(1 for one in message.attempts if one.outcome == "deferred")
        wait = min(LONGEST, 2.0 ** min(tries, 20)) * (0.5 + self._runtime.random.random() / 2)
        return Settled(
            id=message.id,
            status="refused" if given_up else "queued",
            to=mail.to,
            subject=mail.subject,
            due_at=now + round(wait * 1_000_000),
            reason=f"given up after three days: {reason}" if given_up else reason,
            attempt=Attempt(now, "deferred", reason),
        )

    async def _settle(self, worker: OutboxWorker, settled: Sequence[Settled]) -> None:
        await worker.settle(settled)
        for one in settled:
            if one.status in {"sent", "refused", "unknown"}:
                self.vitals.records[one.status] += 1

    def _silence(self, error: Unreachable | AccessRefused) -> _Silent:
        self.vitals.interrupted(str(error))
        least = error.after if isinstance(error, Unreachable) else LONGEST_SILENCE
        silence = min(LONGEST_SILENCE, 0.25 * 2.0 ** min(self._silences, 10))
        self._silences += 1
        if self._silences == 1:
            _log.warning("the mail service cannot be used", reason=str(error))
        return _Silent(max(silence, least))


class _Silent(Exception):
    """The mail service cannot be used now."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after

"""Port: messages that were wanted, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from obverse.core.messages import Attempt, Message, Status

MOST_CLAIMED: Final = 200
"""Messages of one claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a message is from now on."""

    id: bytes
    status: Status
    to: str | None = None
    """None leaves what is known; so for the subject, and the profile."""
    subject: str | None = None
    profile: bytes | None = None
    due_at: int | None = None
    """Of one that is queued again: when; of one that is `sending` still: when to ask what became of it."""
    sent_at: int | None = None
    reason: str | None = None
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An answer that was given for an idempotency key."""

    route: str
    key: str
    request_hash: bytes
    """Another one under the same key is another request."""
    status: int
    body: bytes
    at: int
    """Microseconds since 1970."""


class InFlight(Exception):
    """A request of the same key is being worked on at this moment."""


class NoDoubt(Exception):
    """A message that is no doubt, so there is nothing to resolve; the message says what it is."""


class OutboxWorker(Protocol):
    """The one that sends a workspace's messages, until it is closed or its process ends."""

    @property
    def mark(self) -> int:
        """Offset in the stream of changes that comes next."""
        ...

    async def put(
        self, messages: Sequence[Message], *, mark: int | None, now: int, woken: Collection[bytes] = ()
    ) -> None:
        """
        Queue messages and move the mark with them, or do nothing at all.

        A message whose id is known is passed over. What is `waiting` for the profiles of `woken` is queued, due now.

        Raises:
            Unreachable: nothing is known; open the worker again and ask its mark.
        """
        ...

    async def claim(self, *, limit: int, now: int) -> Sequence[Message]:
        """
        Return queued messages that are due, the longest due first; they are `sending` from now on.

        That is durable before this returns. `limit` is at most `MOST_CLAIMED`.
        """
        ...

    async def doubts(self, *, limit: int, now: int) -> Sequence[Message]:
        """Return messages that are `sending`, but by nobody: their claimant died, or gave them up until now."""
        ...

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Note what became of messages, all or nothing. One that is `sending` still is nobody's from now on."""
        ...

    async def clock_set(self, by: int, *, now: int) -> None:
        """
        Note that somebody set the clock, which tells `now`, ahead by so many microseconds, or back if it is negative.

        What was not due yet stays as far away as it was; what was due is due.
        """
        ...

    async def forget(self, before: int) -> None:
        """Forget answers that were remembered before this time."""
        ...

    async def close(self) -> None:
        """Let the next worker in."""
        ...


class Outbox(Protocol):
    """
    One workspace's messages.

    Promises, proved for every adapter by `obverse.contracts.outbox`:

    * what was accepted or put is there until it is settled, through any crash, once an id;
    * a message that was claimed is never claimed again, unless it was settled as queued;
    * one worker at a time;
    * an answer is remembered with its message, or neither is there.

    Every method raises `Unreachable` where nothing can be read or written now.
    """

    async def open_worker(self) -> OutboxWorker:
        """Become the worker, waiting for the former one to go."""
        ...

    async def accept(self, message: Message | None, answer: Remembered | None) -> Remembered | None:
        """
        Queue a message and remember what was answered for it; return what was remembered before under this key.

        If something is returned, nothing was queued.

        Raises:
            InFlight: another call with this key is under way; nothing was queued.
        """
        ...

    async def recall(self, route: str, key: str) -> Remembered | None:
        """Return what is remembered under a key."""
        ...

    async def find(self, id_: bytes) -> Message | None:
        """Return a message."""
        ...

    async def statuses(self, ids: Collection[bytes]) -> Mapping[bytes, Status]:
        """Return how those of these messages stand that are known."""
        ...

    async def page(
        self, *, limit: int, before: tuple[int, bytes] | None = None, status: Status | None = None, prefix: str = ""
    ) -> Sequence[Message]:
        """
        Return messages, the latest made first, those after (time it was made, id) of another.

        Only those of a status, if one is given, and whose address begins so.
        """
        ...

    async def counts(self) -> Mapping[str | None, Mapping[Status, int]]:
        """Return how many messages there are of each campaign (None: of no campaign) and status."""
        ...

    async def due_since(self) -> int | None:
        """Return when the first of the queued messages was, or is, due, in microseconds since 1970; None: of none."""
        ...

    async def mark(self) -> int:
        """Return the offset in the stream of changes that comes next."""
        ...

    async def resolve(self, id_: bytes, as_: Literal["sent", "resend"], *, now: int) -> Message | None:
        """
        Say what became of an `unknown` message: that it was sent, or that it is to be sent again.

        Return it as it is then; None if there is no such message.

        Raises:
            NoDoubt: it is not `unknown`.
        """
        ...

    async def close(self) -> None:
        """Close what this outbox opened."""
        ...

"""Messages that a caller asks for, and those that are read and resolved by people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from obverse.core import json_values, mapping, times
from obverse.core.definitions import Definitions
from obverse.core.identity import id_named, id_text
from obverse.core.mails import BadMail, check_address
from obverse.core.messages import Message, Status, message_id
from obverse.flows.serve import Serve
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outbox import Outbox, Remembered
from obverse.ports.runtime import Runtime

ROUTE: Final = "messages"
"""Of idempotency keys."""
LONGEST_KEY: Final = 255
STATUSES: Final[tuple[Status, ...]] = ("queued", "waiting", "sending", "sent", "refused", "unknown")

Time = Annotated[str, Meta(description="ISO 8601, UTC.", examples=["2026-01-31T12:00:00Z"])]


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person, by any of their identifiers."""

    identifier: Annotated[str, Meta(examples=["user_id:42"])]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that is asked for."""

    template: Annotated[str, Meta(description="Name of a template's definition.")]
    to: Annotated[str | Recipient, Meta(description="An address, or a person.")]
    data: Annotated[dict[str, Any], Meta(description="What the template reads as `trigger`.")] = {}


class AttemptView(msgspec.Struct, frozen=True):
    """One delivery, or what else was learnt of it."""

    at: Time
    outcome: Annotated[str, Meta(description="`sent`, `refused`, `deferred`, `unknown`, `asked` or `resolved`.")]
    detail: str


class MessageView(msgspec.Struct, frozen=True):
    """One person's copy of a template."""

    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    status: Annotated[
        Status,
        Meta(
            description=(
                "`waiting`: the person has no address yet; `sending`: the mail service has it and has not answered; "
                "`unknown`: it never did and cannot be asked, "
                "so a person must say what became of it."
            )
        ),
    ]
    to: Annotated[str | None, Meta(description="The address, once it is known.")]
    subject: Annotated[str | None, Meta(description="Once it is filled in.")]
    template: str
    campaign: str | None
    profile: Annotated[str | None, Meta(description="Id of the person's profile.")]
    message_id: Annotated[str, Meta(description="As RFC 5322 has it.")]
    created_at: Time
    sent_at: Time | None
    attempts: Annotated[list[AttemptView], Meta(description="The latest ones.")]
    reason: Annotated[str | None, Meta(description="Why it is where it is.")]


class MessagesView(msgspec.Struct, frozen=True):
    """Some messages, the latest made first."""

    messages: list[MessageView]
    next: Annotated[str | None, Meta(description="Give it as `after` for what follows; null at the end.")]


class CampaignView(msgspec.Struct, frozen=True):
    """A campaign, and what became of its messages."""

    name: str
    trigger: Annotated[str, Meta(examples=["entered big_spenders"])]
    template: str
    queued: int
    waiting: Annotated[int, Meta(description="Of people without an address.")]
    sending: int
    sent: int
    refused: int
    unknown: int


class CampaignsView(msgspec.Struct, frozen=True):
    """Every campaign that is defined."""

    campaigns: list[CampaignView]


class BadWanted(ValueError):
    """What is asked for cannot be; the message says what is wrong, where, and what to write."""


class NotFound(LookupError):
    """What is named is not there; the message says what there is."""


class KeyReused(Exception):
    """An idempotency key that another request came with before."""


def request_hash(wanted: Wanted) -> bytes:
    """What tells two requests apart: the same fields in another order are the same request."""
    return sha256(msgspec.json.encode(msgspec.to_builtins(wanted), order="deterministic")).digest()


class Messages:
    """What callers and people see and do of a workspace's messages."""

    def __init__(
        self,
        outbox: Outbox,
        serve: Serve,
        definitions: Callable[[], Definitions],
        runtime: Runtime,
        *,
        log: EventLog | None = None,
    ) -> None:
        self._outbox = outbox
        self._serve = serve
        self._definitions = definitions
        self._runtime = runtime
        self._log = log

    async def recall(self, key: str, wanted: Wanted) -> Remembered | None:
        """
        Return what was answered to this key before.

        Raises:
            BadWanted: no key can be so.
            KeyReused: the request was another one.
            Unreachable, AccessRefused: the outbox cannot be read. So do all below.
        """
        if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
            raise BadWanted(f"Idempotency-Key: {len(key)} characters; give it 1 to {LONGEST_KEY} printable ones")
        return self._checked(await self._outbox.recall(ROUTE, key), wanted)

    def _checked(self, known: Remembered | None, wanted: Wanted) -> Remembered | None:
        if known is not None and known.request_hash != request_hash(wanted):
            raise KeyReused(f"the key {known.key!r} came with another body at {times.to_text(known.at)}")
        return known

    async def accept(self, wanted: Wanted, key: str | None, status: int) -> tuple[bytes, Remembered | None]:
        """
        Queue a message; return the body to answer with, and what was answered before if the key was known by then.

        Raises:
            BadWanted, NotFound: nothing was queued, and nothing remembered.
            KeyReused: the key came with another body.
            InFlight: the same key is being worked on.
        """
        message = await self._message(wanted)
        body = json_values.encode(view(message))
        answer = None if key is None else self.answer(key, wanted, status, body)
        known = self._checked(await self._outbox.accept(message, answer), wanted)
        return body, known

    async def remember(self, key: str, wanted: Wanted, status: int, body: bytes) -> None:
        """Remember an answer that queued nothing: an error of ours is answered to each repetition too."""
        await self._outbox.accept(None, self.answer(key, wanted, status, body))

    def answer(self, key: str, wanted: Wanted, status: int, body: bytes) -> Remembered:
        """An answer as it is remembered."""
        return Remembered(
            route=ROUTE, key=key, request_hash=request_hash(wanted), status=status, body=body, at=self._runtime.now()
        )

    async def _message(self, wanted: Wanted) -> Message:
        templates = {one.name: one for one in self._definitions().templates}
        template = templates.get(wanted.template)
        if template is None:
            known = ", ".join(sorted(templates)) or "none"
            raise NotFound(f"template: {wanted.template!r} is not defined; there are {known}")
        person = wanted.to.identifier if isinstance(wanted.to, Recipient) else None
        to = None if person is not None else str(wanted.to).strip()
        if to is not None:
            try:
                check_address(to, "to")
            except BadMail as error:
                raise BadWanted(str(error)) from error
        profile = await self._serve.current(person or f"email:{str(to).lower()}")
        if person is not None:
            if profile is None:
                raise NotFound(f"to.identifier: no profile has {person!r}; check it, or give an address")
            to = mapping.address(profile)
        id_ = self._runtime.random.getrandbits(128).to_bytes(16, "big")
        now = self._runtime.now()
        return Message(
            id=id_,
            message_id=message_id(id_, template.sender),
            template=template.name,
            to=to,
            profile=None if profile is None else profile.id,
            data=json_values.encode(wanted.data),
            created_at=now,
            due_at=now,
        )

    async def find(self, id_: str) -> MessageView:
        """
        Return a message.

        Raises:
            NotFound: there is none.
        """
        message = await self._outbox.find(_id(id_))
        if message is None:
            raise NotFound(f"there is no message {id_}")
        return view(message)

    async def page(self, *, limit: int, after: str | None, status: Status | None, prefix: str) -> MessagesView:
        """
        Return messages whose address begins so.

        Raises:
            BadWanted: the cursor is none of ours.
        """
        before = None if after is None else _place(after)
        found = await self._outbox.page(limit=limit + 1, before=before, status=status, prefix=prefix.strip().lower())
        last = found[limit - 1] if len(found) > limit else None
        cursor = None if last is None else f"{last.created_at}.{last.id.hex()}"
        return MessagesView([view(one) for one in found[:limit]], cursor)

    async def resolve(self, id_: str, as_: Literal["sent", "resend"]) -> MessageView:
        """
        Say what became of an `unknown` message.

        Raises:
            NotFound: there is none.
            NoDoubt: it is not `unknown`.
        """
        message = await self._outbox.resolve(_id(id_), as_, now=self._runtime.now())
        if message is None:
            raise NotFound(f"there is no message {id_}")
        return view(message)

    async def counts(self) -> Mapping[Status, int]:
        """Return how many messages there are by status."""
        counted = await self._outbox.counts()
        return {status: sum(one.get(status, 0) for one in counted.values()) for status in STATUSES}

    async def behind(self) -> int | None:
        """Return how many changes were not looked at yet; None if there is no log to compare with."""
        if self._log is None:
            return None
        mark = await self._outbox.mark()
        return max(0, (await self._log.bounds(Stream.CHANGES))[0][1] - mark)

    async def campaigns(self) -> CampaignsView:
        """Return every campaign that is defined, in order of name."""
        counted = await self._outbox.counts()
        return CampaignsView(
            [
                CampaignView(
                    name=one.name,
                    trigger=f"entered {one.audience}",
                    template=one.template,
                    **{str(status): counted.get(one.name, {}).get(status, 0) for status in STATUSES},
                )
                for one in sorted(self._definitions().campaigns, key=lambda one: one.name)
            ]
        )


def view(message: Message) -> MessageView:
    """The message as it is read."""
    return MessageView(
        id=id_text(message.id),
        status=message.status,
        to=message.to,
        subject=message.subject,
        template=message.template,
        campaign=message.campaign,
        profile=None if message.profile is None else id_text(message.profile),
        message_id=message.message_id,
        created_at=times.to_text(message.created_at),
        sent_at=None if message.sent_at is None else times.to_text(message.sent_at),
        attempts=[AttemptView(times.to_text(one.at), one.outcome, one.detail) for one in message.attempts],
        reason=message.reason,
    )


def _id(text: str) -> bytes:
    found = id_named(f"id:{text}")
    if found is None:
        raise NotFound(f"{text!r} is no message's id, which is a UUID")
    return found


_CURSOR: Final = re.compile(r"(\d{1,18})\.([0-9a-f]{32})", re.ASCII)


def _place(cursor: str) -> tuple[int, bytes]:
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[1]) > times.LATEST:
        raise BadWanted(f"after: {cursor!r} is no cursor; take `next` of the answer before")
    return int(found[1]), bytes.fromhex(found[2])

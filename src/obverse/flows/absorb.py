"""Absorb: what people change in a CRM becomes events like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
import structlog

from obverse.core import mapping
from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent
from obverse.core.outgoing import Connection
from obverse.core.records import EMAIL, BadCallback, Callback, Edit, FieldState, Forged, SyncRecord, is_echo
from obverse.flows.answers import SOON, Answer
from obverse.flows.collect import Collect
from obverse.flows.sender import OpenCrm
from obverse.flows.vitals import Vitals
from obverse.ports.crm import Crm
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime
from obverse.ports.sync_queue import Heard, SyncQueue

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What is answered, and what came of the edits."""

    answer: Answer
    echoes: int = 0
    """Edits that told only what we wrote there ourselves."""
    ignored: int = 0
    """Edits of fields that the mapping does not take."""


@dataclass(slots=True)
class _Heard:
    """What a callback's edits come to."""

    events: list[Event] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    states: list[Heard] = field(default_factory=list)
    echoes: int = 0
    ignored: int = 0


class Absorb:
    """
    Answers 200 once what a CRM told is durable in the log, and what we know of its records is noted.

    The event comes first: whoever dies in between is told again, and the event's message id is known by then. What the
    records hold is told to the queue, which has every profile compared with its record: an edit that lost against a
    newer value is written over.
    """

    def __init__(
        self,
        *,
        collect: Collect,
        queue: SyncQueue,
        definitions: Callable[[], Definitions],
        open_crm: OpenCrm,
        runtime: Runtime,
    ) -> None:
        self._collect = collect
        self._queue = queue
        self._definitions = definitions
        self._open_crm = open_crm
        self._runtime = runtime
        self._crms: dict[str, tuple[Connection, Crm]] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        """Held while a callback of a connection is taken."""
        self.vitals = Vitals()
        """Of it, `records` are edits."""

    async def take(self, name: str, callback: Callback) -> Absorbed:
        """Answer one callback for the connection of this name, after those that came before."""
        try:
            connections = {one.name: one for one in self._definitions().connections}
        except Unreachable as error:
            return Absorbed(_later(str(error)))
        connection = connections.get(name)
        if connection is None:
            known = ", ".join(sorted(connections)) or "none"
            message = f"there is no connection {name!r}; there are {known}"
            return Absorbed(Answer(status=HTTPStatus.NOT_FOUND, code="unknown_connection", message=message))
        # Whether one is an echo is seen by what those before it told, once that is noted.
        async with self._turns.setdefault(name, asyncio.Lock()):
            return await self._take(connection, callback)

    async def _take(self, connection: Connection, callback: Callback) -> Absorbed:
        began, name = self._runtime.elapsed(), connection.name
        try:
            crm = await self._crm(connection)
            edits = crm.edits(callback)
            heard = await self._hear(connection, crm, edits)
        except Forged as error:
            await self._forget(name)
            return Absorbed(Answer(status=HTTPStatus.UNAUTHORIZED, code="forged", message=str(error)))
        except BadCallback as error:
            return Absorbed(Answer(status=HTTPStatus.BAD_REQUEST, code="bad_callback", message=str(error)))
        except (Unreachable, AccessRefused, ValueError) as error:
            self.vitals.interrupted(str(error))
            _log.warning("a callback cannot be taken now", connection=name, reason=str(error))
            return Absorbed(_later(str(error)))
        refusal = await self._collect.append(heard.events, heard.rejected, len(callback.body))
        if refusal is not None:
            return Absorbed(refusal)
        try:
            await self._queue.hear(name, heard.states, now=self._runtime.now())
        except (Unreachable, AccessRefused) as error:
            self.vitals.interrupted(str(error))
            return Absorbed(_later(str(error)))
        self.vitals.failure = None
        self.vitals.turns.note(self._runtime.elapsed() - began)
        self.vitals.records.update(
            taken=len(heard.events), rejected=len(heard.rejected), echoes=heard.echoes, ignored=heard.ignored
        )
        answer = Answer(source=name, events=heard.events, rejected=heard.rejected)
        return Absorbed(answer, heard.echoes, heard.ignored)

    async def close(self) -> None:
        """Close the connections that were opened."""
        crms, self._crms = self._crms, {}
        for _, crm in crms.values():
            await crm.close()

    async def _crm(self, connection: Connection) -> Crm:
        known = self._crms.get(connection.name)
        if known is not None and known[0] == connection:
            return known[1]
        await self._forget(connection.name)
        crm = await self._open_crm(connection)
        self._crms[connection.name] = (connection, crm)
        return crm

    async def _forget(self, name: str) -> None:
        """Have a connection opened anew, and its secrets read again."""
        known = self._crms.pop(name, None)
        if known is not None:
            await known[1].close()

    async def _hear(self, connection: Connection, crm: Crm, edits: Sequence[Edit]) -> _Heard:
        mapped = {one.field for one in connection.fields} | {EMAIL}
        ours = [edit for edit in edits if edit.field in mapped]
        heard = _Heard(ignored=len(edits) - len(ours))
        records = await self._records(connection, crm, {edit.record_id for edit in ours})
        others: dict[tuple[str, str], Edit] = {}
        # In the order in which they were made: CRMs tell them in any.
        for edit in sorted(ours, key=lambda one: one.at):
            record = records.get(edit.record_id)
            if record is None:
                heard.rejected.append(self._unknown(connection, edit))
                continue
            place = edit.record_id, edit.field
            if record.profile:
                state = FieldState(edit.value, edit.at)
                answers = _answers(edit, record) and place not in others
                heard.states.append(Heard(record.profile, edit.field, state, answers))
            if _tells_ours(edit, record) and not _sets_back(edit, record, others.get(place)):
                heard.echoes += 1
                continue
            others[place] = edit
            attribute = EMAIL if edit.field == EMAIL else mapping.attribute_of(edit, connection)
            if attribute is None:
                heard.ignored += 1
            else:
                heard.events.append(self._event(connection, edit, attribute, record.email))
        return heard

    async def _records(self, connection: Connection, crm: Crm, ids: set[str]) -> Mapping[str, SyncRecord]:
        """What we know of these records; of those that we do not know, their address, as the CRM tells it."""
        if not ids:
            return {}
        known = await self._queue.records(connection.name, record_ids=ids)
        found = {one.record_id: one for one in known if one.record_id is not None}
        strange = sorted(ids - found.keys())
        addresses: dict[str, str] = {}
        for at in range(0, len(strange), crm.limits.batch_size):
            part = strange[at : at + crm.limits.batch_size]
            contacts = await crm.read(part, ())
            addresses |= {
                one: contact.email.strip().lower()
                for one, contact in zip(part, contacts, strict=True)
                if contact is not None and contact.email
            }
        # One that we are making at this moment is known by its address, and not yet by its id.
        made = await self._queue.records(connection.name, emails=addresses.values()) if addresses else []
        by_address = {one.email: one for one in made}
        for one, address in addresses.items():
            found[one] = by_address.get(address) or SyncRecord(profile=b"", email=address, record_id=one)
        return found

    def _event(self, connection: Connection, edit: Edit, attribute: str, address: str) -> Event:
        # The address stands in the context, where it says whose this is and tells no attribute.
        return Event(
            type="identify",
            message_id=mapping.message_id(edit),
            source=connection.name,
            received_at=self._runtime.now(),
            timestamp=edit.at,
            properties=msgspec.json.encode({attribute: edit.value}),
            context=msgspec.json.encode({"traits": {EMAIL: address}, "crm": {"record_id": edit.record_id}}),
        )

    def _unknown(self, connection: Connection, edit: Edit) -> RejectedEvent:
        return RejectedEvent(
            source=connection.name,
            received_at=self._runtime.now(),
            code="unknown_contact",
            reason=(
                f"record {edit.record_id} of the CRM has no address, or is gone, so nobody can be found whose it is; "
                "give it an address there"
            ),
            field=f"$.{edit.field}",
            message_id=mapping.message_id(edit),
            type="identify",
            body=msgspec.json.encode({edit.field: edit.value}),
        )


def _tells_ours(edit: Edit, record: SyncRecord) -> bool:
    """Whether an edit tells what we wrote there."""
    return is_echo(edit, record) or (edit.field == EMAIL and edit.value.strip().lower() == record.email)


def _answers(edit: Edit, record: SyncRecord) -> bool:
    """Whether an edit says that what we gave to the CRM stands there: who says the same later has set it back."""
    known = record.known.get(edit.field)
    return record.sending.get(edit.field) == edit.value and (known is None or known.at < edit.at)


def _sets_back(edit: Edit, record: SyncRecord, before: Edit | None) -> bool:
    """Whether a person had written something else, after we wrote what this edit says again."""
    known = record.known.get(edit.field)
    if before is not None and before.value != edit.value and (known is None or known.at < before.at):
        return True
    # Of an address we note only what is told of it, and when the record was written last.
    if edit.field != EMAIL or known is None or known.value == edit.value:
        return False
    return record.synced_at < known.at < edit.at


def _later(reason: str) -> Answer:
    return Answer(
        status=HTTPStatus.SERVICE_UNAVAILABLE, code="unavailable", message=f"{reason}; call again", retry_after=SOON
    )

"""A CRM in memory: for tests, for trying mappings out, and for runs that repeat from a seed."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import msgspec

from obverse.core.records import BadCallback, Callback, Contact, ContactPatch, Edit, Forged
from obverse.ports.crm import Crm, CrmLimits, Outcome
from obverse.ports.outcomes import AccessRefused, Done, Refused
from obverse.ports.runtime import Runtime

SIGNATURE: Final = "x-memory-signature"
LATEST: Final = 300_000_000
"""Microseconds after which a callback is too old."""


@dataclass(slots=True)
class MemoryAccount:
    """The CRM itself, which outlives its connections."""

    key: str = "key"
    contacts: dict[str, dict[str, str]] = field(default_factory=dict)
    """By record id; the address is the field `email`."""
    fields: set[str] = field(default_factory=lambda: {"email", "firstname", "lastname"})
    trouble: Exception | None = None
    """Raised by every call, for as long as it is set."""
    calls: int = 0
    written: list[tuple[str, str, str, int]] = field(default_factory=list)
    """What its connections wrote, field by field: record id, field, value, time. A CRM tells of that too."""
    _ids: count[int] = field(default_factory=lambda: count(1))

    def find(self, email: str) -> str | None:
        """The record of this address."""
        return next((one for one, fields in self.contacts.items() if fields["email"] == email), None)

    def put(self, record_id: str | None, fields: Mapping[str, str]) -> str:
        """Change a record, or make one; return its id."""
        record_id = record_id or str(next(self._ids))
        contact = self.contacts.setdefault(record_id, {})
        contact.update(fields)
        for name in [name for name, value in contact.items() if not value]:
            del contact[name]
        return record_id

    def edit(self, record_id: str, fields: Mapping[str, str], at: int) -> Callback:
        """Change a record as a person does, and return the callback that tells of it."""
        self.put(record_id, fields)
        edits = [[f"{record_id}:{name}:{at}", record_id, name, value, at] for name, value in fields.items()]
        return self.call(msgspec.json.encode(edits), at)

    def echo(self, at: int) -> Callback:
        """The callback that tells of all that was written since the last one."""
        told, self.written = self.written, []
        edits = [[f"{record_id}:{name}:{when}", record_id, name, value, when] for record_id, name, value, when in told]
        return self.call(msgspec.json.encode(edits), at)

    def call(self, body: bytes, at: int) -> Callback:
        """A callback, signed."""
        return Callback(
            method="POST",
            url="memory:",
            headers={SIGNATURE: f"{at}.{_sign(self.key, at, body)}"},
            body=body,
            received_at=at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCrmSettings:
    """The settings of a connection to it."""

    key: str = field(default="key", repr=False)
    account: MemoryAccount = field(default_factory=MemoryAccount, repr=False)


async def open_crm(settings: MemoryCrmSettings, runtime: Runtime) -> Crm:
    """Entry point `obverse.crm:memory`."""
    return MemoryCrm(settings, runtime)


class MemoryCrm:
    """See `Crm`."""

    limits = CrmLimits(batch_size=10, requests=1000, seconds=1.0)

    def __init__(self, settings: MemoryCrmSettings, runtime: Runtime) -> None:
        self._key = settings.key
        self._account = settings.account
        self._runtime = runtime

    async def fields(self) -> Mapping[str, bool]:
        """See `Crm.fields`."""
        await self._call()
        return dict.fromkeys(sorted(self._account.fields), True)

    async def upsert(self, patches: Sequence[ContactPatch]) -> Sequence[Outcome]:
        """See `Crm.upsert`."""
        if len(patches) > self.limits.batch_size:
            raise ValueError(f"{len(patches)} patches in one call; at most {self.limits.batch_size} are taken")
        if patches:
            await self._call()
        return [self._upsert(patch) for patch in patches]

    def _upsert(self, patch: ContactPatch) -> Outcome:
        account = self._account
        unknown = sorted(set(patch.fields) - account.fields)
        if unknown:
            return Refused(f"there is no field {unknown[0]!r}; there are {', '.join(sorted(account.fields))}")
        if " " in patch.email or "@" not in patch.email:
            return Refused(f"{patch.email!r} is no address")
        owner = account.find(patch.email)
        if patch.record_id is not None and patch.record_id not in account.contacts:
            return Refused(f"there is no record {patch.record_id}")
        if patch.record_id is not None and owner not in {None, patch.record_id}:
            return Refused(f"record {owner} has the address {patch.email} already")
        record_id = account.put(patch.record_id or owner, {**patch.fields, "email": patch.email})
        now = self._runtime.now()
        account.written += [(record_id, name, value, now) for name, value in patch.fields.items()]
        return Done(record_id)

    async def read(self, record_ids: Sequence[str], fields: Collection[str]) -> Sequence[Contact | None]:
        """See `Crm.read`."""
        if record_ids:
            await self._call()
        return [self._read(record_id, fields) for record_id in record_ids]

    def _read(self, record_id: str, fields: Collection[str]) -> Contact | None:
        held = self._account.contacts.get(record_id)
        if held is None:
            return None
        asked = {name: value for name, value in held.items() if name in fields}
        return Contact(record_id=record_id, email=held.get("email"), fields=asked)

    def edits(self, callback: Callback) -> Sequence[Edit]:
        """See `Crm.edits`."""
        at, _, signature = callback.headers.get(SIGNATURE, "").partition(".")
        if not (at.isascii() and at.isdigit()) or abs(callback.received_at - int(at)) > LATEST:
            raise Forged("there is no signature, or one that is older than five minutes: send it anew")
        if not hmac.compare_digest(_sign(self._key, int(at), callback.body).encode(), signature.encode()):
            raise Forged("the signature is not that of this body: see that both sides have the same key")
        try:
            told = msgspec.json.decode(callback.body, type=list[tuple[str, str, str, str, int]])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadCallback(f"the body is no list of edits: {error}") from error
        return [Edit(id=one, record_id=record, field=name, value=value, at=at) for one, record, name, value, at in told]

    async def close(self) -> None:
        """See `Crm.close`."""

    async def _call(self) -> None:
        await self._runtime.sleep(0)  # others have their turn, as with a real one
        self._account.calls += 1
        if self._account.trouble is not None:
            raise self._account.trouble
        if self._key != self._account.key:
            raise AccessRefused("the key is not this account's: put the right one into the connection")


def _sign(key: str, at: int, body: bytes) -> str:
    return hmac.digest(key.encode(), b"%d." % at + body, "sha256").hex()

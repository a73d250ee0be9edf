"""HubSpot contacts, through CRM v3 batches, and its webhooks, signed as version 3."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

from obverse.adapters._http import Answer, VendorHttp
from obverse.core import times
from obverse.core.records import BadCallback, Callback, Contact, ContactPatch, Edit, Forged
from obverse.ports.crm import Crm, CrmLimits, Outcome
from obverse.ports.outcomes import Deferred, Done, Refused, Unreachable
from obverse.ports.runtime import Runtime

SIGNATURE: Final = "x-hubspot-signature-v3"
SIGNED_AT: Final = "x-hubspot-request-timestamp"
OLDEST: Final = 300_000
"""Milliseconds after which HubSpot says to refuse a webhook."""
_CONTACTS: Final = "/crm/v3/objects/contacts"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotSettings:
    """The `settings` of a connection to HubSpot."""

    token: str = field(repr=False)
    """Of the private app."""
    client_secret: str = field(repr=False)
    """Of the same app; it signs webhooks."""
    base_url: str = "https://api.hubapi.com"
    requests: int = 190
    """Most calls in ten seconds; 100 for Free and Starter."""


async def open_crm(settings: HubSpotSettings, runtime: Runtime) -> Crm:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.crm:hubspot`."""
    return HubSpotCrm(settings, VendorHttp())


class HubSpotCrm:
    """A `Crm` that speaks to one HubSpot account."""

    def __init__(self, settings: HubSpotSettings, http: VendorHttp) -> None:
        self.limits = CrmLimits(batch_size=100, requests=settings.requests, seconds=10.0)
        self._url = settings.base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {settings.token}"}
        self._secret = settings.client_secret
        self._http = http

    async def fields(self) -> Mapping[str, bool]:
        """See `Crm.fields`."""
        answer = await self._call("GET", "/crm/v3/properties/contacts", None)
        return {
            str(one["name"]): not _object(one, "modificationMetadata").get("readOnlyValue", False)
            for one in _results(answer, "name")
        }

    async def upsert(self, patches: Sequence[ContactPatch]) -> Sequence[Outcome]:
        """See `Crm.upsert`. Contacts whose id is known are changed by it, the others found by their address."""
        if len(patches) > self.limits.batch_size:
            raise ValueError(f"{len(patches)} patches in one call; HubSpot takes {self.limits.batch_size}")
        outcomes: dict[int, Outcome] = {}
        for path, places in (
            ("batch/upsert", [place for place, patch in enumerate(patches) if patch.record_id is None]),
            ("batch/update", [place for place, patch in enumerate(patches) if patch.record_id is not None]),
        ):
            if places:
                told = await self._write(path, [patches[place] for place in places])
                outcomes |= dict(zip(places, told, strict=True))
        return [outcomes[place] for place in range(len(patches))]

    async def _write(self, path: str, patches: Sequence[ContactPatch]) -> list[Outcome]:
        answer = await self._call("POST", f"{_CONTACTS}/{path}", encode(patches))
        if answer.status in _SPOILED and len(patches) > 1:
            # One bad contact spoils a whole batch: halve it until it stands alone.
            middle = len(patches) // 2
            return [*await self._write(path, patches[:middle]), *await self._write(path, patches[middle:])]
        return decode(answer, len(patches))

    async def read(self, record_ids: Sequence[str], fields: Collection[str]) -> Sequence[Contact | None]:
        """See `Crm.read`."""
        if not record_ids:
            return []
        asked = {"inputs": [{"id": one} for one in record_ids], "properties": sorted({"email", *fields})}
        answer = await self._call("POST", f"{_CONTACTS}/batch/read", asked)
        found = {str(one["id"]): _object(one, "properties") for one in _results(answer, "id")}
        return [_contact(one, found[one], fields) if one in found else None for one in record_ids]

    def edits(self, callback: Callback) -> Sequence[Edit]:
        """See `Crm.edits`."""
        verify(callback, self._secret)
        return read_webhook(callback.body)

    async def close(self) -> None:
        """See `Crm.close`."""
        await self._http.close()

    async def _call(self, method: str, path: str, body: Any) -> Answer:
        return await self._http.call(method, self._url + path, headers=self._headers, json=body, who="HubSpot")


_SPOILED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
_WRITTEN: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.MULTI_STATUS})
_PASSING: Final = frozenset({"RATE_LIMITS", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE"})
"""Categories of errors that another time may not have."""


def encode(patches: Sequence[ContactPatch]) -> dict[str, Any]:
    """Write patches as one batch, each traced by its place in it."""
    return {
        "inputs": [
            {
                **({"idProperty": "email", "id": patch.email} if patch.record_id is None else {"id": patch.record_id}),
                "properties": {**patch.fields, "email": patch.email},
                "objectWriteTraceId": str(place),
            }
            for place, patch in enumerate(patches)
        ]
    }


def decode(answer: Answer, count: int) -> list[Outcome]:
    """
    Read an answer back into the order of the batch.

    HubSpot answers in an order of its own. A place that no result names was refused, by the errors that name it;
    where none does, the words of all of them stand for it.
    """
    if answer.status not in _WRITTEN:
        return [_refusal([answer.json])] * count
    done = {str(one.get("objectWriteTraceId")): Done(str(one["id"])) for one in _results(answer, "id")}
    told = answer.json.get("errors")
    errors = [error for error in told if isinstance(error, dict)] if isinstance(told, list) else []
    outcomes: list[Outcome] = []
    for place in range(count):
        traced = [error for error in errors if str(place) in _traces(error)]
        outcomes.append(done.get(str(place)) or _refusal(traced or errors))
    return outcomes


def _traces(error: Mapping[str, Any]) -> list[str]:
    context = error.get("context")
    traces = context.get("objectWriteTraceId", ()) if isinstance(context, dict) else ()
    return [str(one) for one in traces] if isinstance(traces, list) else [str(traces)]


def _refusal(errors: Sequence[Any]) -> Outcome:
    told = [error for error in errors if isinstance(error, dict)]
    reason = "; ".join(str(error.get("message", "no reason given")) for error in told) or "HubSpot gave no reason"
    if told and all(str(error.get("category")) in _PASSING for error in told):
        return Deferred(reason)
    return Refused(reason)


def _results(answer: Answer, key: str) -> list[dict[str, Any]]:
    results = answer.json.get("results") if isinstance(answer.json, dict) else None
    if answer.status not in _WRITTEN or not isinstance(results, list):
        raise Unreachable(f"HubSpot answered {answer.status} with what we do not understand: {answer.json!r:.300}")
    return [one for one in results if isinstance(one, dict) and key in one]


def _object(one: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = one.get(name)
    return value if isinstance(value, dict) else {}


def _contact(record_id: str, properties: Mapping[str, Any], fields: Collection[str]) -> Contact:
    # Values are texts; one that is not is shown as it was sent.
    texts = {
        name: _kept(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in properties.items()
        if value is not None
    }
    said = {name: text for name, text in texts.items() if text}
    return Contact(
        record_id=record_id,
        email=said.get("email"),
        fields={name: value for name, value in said.items() if name in fields},
    )


def _kept(value: str) -> str:
    """A text without NUL, which no database keeps."""
    return value.replace("\0", "")


_DECODED: Final = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'",
    "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""What HubSpot writes plain in the URL that it signs (its page "Validate requests")."""


_LONGEST: Final = 20
"""Digits of a time in milliseconds; Python reads no number of 5,000."""


def verify(callback: Callback, secret: str) -> None:
    """Raise `Forged` if HubSpot did not sign this, or signed it more than five minutes ago."""
    at = callback.headers.get(SIGNED_AT, "")
    if (
        not (at.isascii() and at.isdigit() and len(at) <= _LONGEST)
        or abs(callback.received_at // 1000 - int(at)) > OLDEST
    ):
        raise Forged(
            f"{SIGNED_AT} is missing, or more than five minutes away from our clock: see that both clocks are right"
        )
    url = callback.url
    for coded, plain in _DECODED.items():
        url = url.replace(coded, plain).replace(coded.lower(), plain)
    signed = callback.method.encode() + url.encode() + callback.body + at.encode()
    expected = b64encode(hmac.digest(secret.encode(), signed, "sha256"))
    if not hmac.compare_digest(expected, callback.headers.get(SIGNATURE, "").encode()):
        raise Forged(
            f"{SIGNATURE} is not HubSpot's for {url}: see that the connection has the app's client secret, "
            "and that HubSpot calls this very address"
        )


class _Change(msgspec.Struct, rename="camel"):
    subscription_type: str
    object_id: int
    occurred_at: int
    property_name: str = ""
    property_value: str | None = None


_changes: Final = msgspec.json.Decoder(list[_Change])


def read_webhook(body: bytes) -> list[Edit]:
    """
    Read a webhook's events; of those that are no change of a contact's property, none.

    An edit's id is made of what it says, since HubSpot promises of its `eventId` only that it is not unique.

    Raises:
        BadCallback: it is no list of events.
    """
    try:
        changes = _changes.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadCallback(f"the body is no list of HubSpot's events: {error}") from error
    return [
        Edit(
            id=f"{one.object_id}:{one.property_name}:{one.occurred_at}",
            record_id=str(one.object_id),
            field=one.property_name,
            value=_kept(one.property_value or ""),
            at=times.clamp(one.occurred_at * 1000),
        )
        for one in changes
        if one.subscription_type == "contact.propertyChange" and one.property_name
    ]

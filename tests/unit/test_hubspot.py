"""HubSpot's words: signatures by its own vectors, batches as its own client sends them, answers of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from obverse.adapters._http import Answer, VendorHttp
from obverse.adapters.hubspot import (
    SIGNATURE,
    SIGNED_AT,
    HubSpotCrm,
    HubSpotSettings,
    decode,
    encode,
    read_webhook,
    verify,
)
from obverse.core import times
from obverse.core.records import BadCallback, Callback, Contact, ContactPatch, Edit, Forged
from obverse.ports.outcomes import Deferred, Done, Refused

DATA = Path(__file__).parents[1] / "data"
VECTORS = [
    one
    for one in json.loads((DATA / "webhooks" / "vectors.json").read_text())["vectors"]
    if one["provider"] == "hubspot" and one["version"] == "v3"
]


def callback(vector: dict[str, Any], **other: Any) -> Callback:
    told = {
        "method": vector["method"],
        "url": vector["url"],
        "headers": {SIGNATURE: vector["signature"], SIGNED_AT: vector["timestamp_ms"]},
        "body": vector["body"].encode(),
        "received_at": int(vector["timestamp_ms"]) * 1000,
    }
    return Callback(**{**told, **other})


@pytest.mark.parametrize("vector", VECTORS, ids=[str(place) for place in range(len(VECTORS))])
def test_signatures_are_those_of_hubspots_own_libraries(vector: dict[str, Any]) -> None:
    assert vector["valid"]
    verify(callback(vector), vector["secret"])
    for wrong in (
        callback(vector, body=vector["body"].encode() + b" "),
        callback(vector, url=vector["url"] + "?a=1"),
        callback(vector, method="PUT"),
        callback(vector, headers={SIGNATURE: vector["signature"], SIGNED_AT: "9" * 5_000}),
        callback(vector, received_at=(int(vector["timestamp_ms"]) + 300_001) * 1000),
        callback(vector, received_at=(int(vector["timestamp_ms"]) - 300_001) * 1000),
    ):
        with pytest.raises(Forged):
            verify(wrong, vector["secret"])
    with pytest.raises(Forged):
        verify(callback(vector), vector["secret"] + "x")


def test_there_are_vectors() -> None:
    assert VECTORS


def test_a_batch_is_what_hubspots_own_client_sends() -> None:
    recorded = json.loads((DATA / "vendor_recordings" / "hubspot-api-client.json").read_text())
    (theirs,) = [one["json"] for one in recorded["requests"] if one["path"].endswith("batch/upsert")]

    ours = encode([ContactPatch(email=one["id"], fields=one["properties"]) for one in theirs["inputs"]])

    for mine, other in zip(ours["inputs"], theirs["inputs"], strict=True):
        assert other.items() <= {**mine, "properties": other["properties"]}.items()
        assert mine["properties"] == {**other["properties"], "email": other["id"]}
    by_id = encode([ContactPatch(email="a@b.co", record_id="7")])["inputs"][0]
    assert (by_id["id"], by_id.get("idProperty")) == ("7", None)


def done(place: int, number: int) -> dict[str, Any]:
    return {"id": str(number), "objectWriteTraceId": str(place), "properties": {}}


def error(message: str, category: str = "VALIDATION_ERROR", *traces: str) -> dict[str, Any]:
    context = {"objectWriteTraceId": list(traces)} if traces else {}
    return {"status": "error", "message": message, "category": category, "context": context}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"results": [done(1, 11), done(0, 10)]}, [Done("10"), Done("11")]),
        (
            207,
            {"results": [done(1, 11)], "errors": [error("bad", "VALIDATION_ERROR", "0")]},
            [Refused("bad"), Done("11")],
        ),
        (
            207,
            {"results": [], "errors": [error("one", "VALIDATION_ERROR", "0"), error("two", "RATE_LIMITS", "1")]},
            [Refused("one"), Deferred("two")],
        ),
        (207, {"results": [done(0, 10)], "errors": [error("x"), error("y")]}, [Done("10"), Refused("x; y")]),
        (207, {"results": [done(0, 10)]}, [Done("10"), Refused("HubSpot gave no reason")]),
        (207, {"results": [done(0, 10)], "errors": ["x", 7]}, [Done("10"), Refused("HubSpot gave no reason")]),
        (
            207,
            {"results": [done(0, 10), {"name": "no id"}], "errors": 7},
            [Done("10"), Refused("HubSpot gave no reason")],
        ),
        (400, error("no") | {"category": ["RATE_LIMITS"]}, [Refused("no")] * 2),
        (400, error("no"), [Refused("no")] * 2),
        (404, None, [Refused("HubSpot gave no reason")] * 2),
    ],
)
def test_each_contact_has_its_outcome_in_the_order_given(status: int, body: Any, expected: list[Any]) -> None:
    assert decode(Answer(status, body), 2) == expected


class Saying(VendorHttp):
    """HubSpot, which answers always the same."""

    def __init__(self, *results: Any) -> None:
        super().__init__()
        self._results = results

    async def call(self, *_: Any, **__: Any) -> Answer:
        return Answer(200, {"results": [*self._results]})


def crm(*results: Any) -> HubSpotCrm:
    return HubSpotCrm(HubSpotSettings(token="t", client_secret="s"), Saying(*results))


async def test_a_contact_whose_values_are_no_texts_is_read() -> None:
    odd = {"email": "ada@example.com", "a": ["x"], "b": {"y": 1}, "c": 3, "d": True, "e": None, "f": "", "g": "z\0"}
    door = crm({"id": 1, "properties": odd}, {"id": "2", "properties": None}, {"id": "3"}, {"name": "none"})

    found = await door.read(["1", "2", "3", "4"], list(odd))

    said = {"email": "ada@example.com", "a": '["x"]', "b": '{"y":1}', "c": "3", "d": "true", "g": "z"}
    first, *others = found
    assert first == Contact(record_id="1", email="ada@example.com", fields=said)
    assert others == [*(Contact(record_id=one, email=None, fields={}) for one in "23"), None]


async def test_a_field_of_which_little_is_said_can_be_written() -> None:
    locked = {"name": "b", "modificationMetadata": {"readOnlyValue": True}}
    door = crm({"name": "a", "modificationMetadata": None}, locked, {"name": "c"}, {"id": "none"})
    assert await door.fields() == {"a": True, "b": False, "c": True}


CHANGE = {
    "eventId": 1,
    "subscriptionId": 12,
    "portalId": 62515,
    "occurredAt": 1_700_000_000_123,
    "subscriptionType": "contact.propertyChange",
    "attemptNumber": 0,
    "objectId": 123,
    "changeSource": "CRM_UI",
    "propertyName": "firstname",
    "propertyValue": "Augusta",
}


def test_of_a_webhook_changes_of_properties_are_read() -> None:
    others = [
        CHANGE | {"subscriptionType": "contact.creation"},
        CHANGE | {"subscriptionType": "company.propertyChange"},
        CHANGE | {"propertyName": ""},
        {key: value for key, value in CHANGE.items() if key != "propertyValue"} | {"propertyName": "city"},
    ]

    first, cleared = read_webhook(json.dumps([CHANGE, *others]).encode())

    at = 1_700_000_000_123_000
    assert first == Edit(id="123:firstname:1700000000123", record_id="123", field="firstname", value="Augusta", at=at)
    assert (cleared.field, cleared.value) == ("city", "")


def test_what_no_database_could_keep_of_a_webhook_is_mended() -> None:
    """Else it would be told again and again, and never taken."""
    odd = CHANGE | {"propertyValue": "Ada\0", "occurredAt": 10**18}
    (edit,) = read_webhook(json.dumps([odd]).encode())
    assert (edit.value, edit.at) == ("Ada", times.LATEST)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'[{"objectId":1}]', json.dumps([CHANGE | {"occurredAt": "yesterday"}]).encode(), b"\xff"]
)
def test_a_webhook_that_is_none_is_told_so(body: bytes) -> None:
    with pytest.raises(BadCallback):
        read_webhook(body)

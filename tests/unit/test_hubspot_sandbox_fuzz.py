"""Whatever is sent, the answer is HubSpot's: never a failure of the sandbox."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_steps import CONTACTS, PROPERTIES, TOKEN, account

POSTS = [
    CONTACTS,
    *(f"{CONTACTS}/batch/{name}" for name in ("create", "read", "update", "upsert", "archive")),
    f"{CONTACTS}/search",
    f"{CONTACTS}/gdpr-delete",
    PROPERTIES,
]
ROUTES = [
    *(("POST", path) for path in POSTS),
    ("PATCH", f"{CONTACTS}/33451"),
    ("PUT", "/sandbox/contacts/33451"),
    ("PUT", "/sandbox/webhooks"),
]
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["email", "hs_object_id", "firstname", "closedate", "annualrevenue", "lifecyclestage", "", "0"]),
    st.sampled_from(["a@b.co", "33451", "EQ", "IN", "GT", "enumeration", "select", "-1", "1e999", "99999999999999999"]),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
NAMES = st.one_of(
    TEXTS,
    st.sampled_from(["inputs", "properties", "id", "idProperty", "objectWriteTraceId", "limit", "after", "sorts"]),
    st.sampled_from(["filterGroups", "filters", "propertyName", "operator", "value", "values", "highValue", "query"]),
    st.sampled_from(["objectId", "name", "label", "type", "fieldType", "groupName", "options", "url"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=15,
)
PROPERTY_VALUES = st.dictionaries(TEXTS, JSON, max_size=4)
INPUT = st.fixed_dictionaries(
    {"id": SCALARS, "properties": PROPERTY_VALUES}, optional={"idProperty": TEXTS, "objectWriteTraceId": SCALARS}
)
FILTER = st.fixed_dictionaries(
    {
        "propertyName": TEXTS,
        "operator": st.sampled_from(["EQ", "LT", "BETWEEN", "IN", "NOT_IN", "CONTAINS_TOKEN", "X"]),
    },
    optional={"value": SCALARS, "highValue": SCALARS, "values": st.lists(SCALARS, max_size=3)},
)
BODIES = st.one_of(
    JSON,
    st.fixed_dictionaries({"inputs": st.lists(INPUT, max_size=4)}, optional={"properties": JSON, "idProperty": TEXTS}),
    st.fixed_dictionaries({"properties": PROPERTY_VALUES}),
    st.fixed_dictionaries(
        {"filterGroups": st.lists(st.fixed_dictionaries({"filters": st.lists(FILTER, max_size=2)}), max_size=2)},
        optional={"sorts": JSON, "limit": SCALARS, "after": SCALARS, "query": SCALARS},
    ),
    st.fixed_dictionaries(
        dict.fromkeys(("name", "label", "type", "fieldType", "groupName"), TEXTS), optional={"options": JSON}
    ),
)
ODD = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{" * 100_000,
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe",
    b'{"properties":{"firstname":"\\ud800"}}',
    b'{"properties":{"firstname":"\\u0000"}}',
    b'{"properties":{"firstname":NaN}}',
    b'{"properties":{"firstname":1e400}}',
    b'{"properties":{"firstname":' + b"9" * 5_000 + b"}}",
    b'{"inputs":[{"id":' + b"9" * 5_000 + b',"properties":{}}]}',
    b'{"properties":{"a":1,"a":2}}',
]


async def send_all(path: Path, requests: list[tuple[str, str, bytes]]) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    async with account(path, webhook_url="http://127.0.0.1:1/") as hubspot:
        await hubspot.create(email="known@b.co")
        for method, target, body in requests:
            # An exception in the sandbox comes out of this call, where a server would answer 500.
            answer = await hubspot.send(method, target, body=body, headers=headers)
            assert answer.status in {200, 201, 204, 207, 400, 404, 409}, (target, body[:200], answer.body[:500])
            if answer.status >= 400:
                assert {"status", "message", "correlationId", "category"} <= set(answer.json)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ROUTES), BODIES), min_size=1, max_size=6))
def test_arbitrary_json(asked: list[tuple[tuple[str, str], Any]]) -> None:
    requests = [(method, path, json.dumps(body).encode()) for (method, path), body in asked]
    with TemporaryDirectory() as folder:
        asyncio.run(send_all(Path(folder), requests))


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_odd_bodies(tmp_path: Path, body: bytes) -> None:
    await send_all(tmp_path, [(method, path, body) for method, path in ROUTES])


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=20),
    st.dictionaries(
        st.sampled_from(["idProperty", "properties", "limit", "after", "archived", "propertiesWithHistory"]), TEXTS
    ),
)
def test_arbitrary_paths_and_queries(name: str, query: dict[str, str]) -> None:
    said = urlencode(query)
    targets = [
        f"{CONTACTS}/{quote(name, safe='')}?{said}",
        f"{CONTACTS}?{said}",
        f"{PROPERTIES}/{quote(name, safe='')}",
    ]
    with TemporaryDirectory() as folder:
        asyncio.run(send_all(Path(folder), [("GET", target, b"") for target in targets]))

"""The official client's own requests, and HubSpot's own signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubspot_steps import DATA, Account, account
from obverse.sandboxes.hubspot.signatures import decode, sign_v1, sign_v3

VECTORS = json.loads((DATA / "webhook_signatures.json").read_text())["vectors"]
CONVERSATION = json.loads((DATA / "client_conversation.json").read_text())["requests"]
RECORDED = json.loads((DATA / "hubspot-api-client.json").read_text())["requests"]


async def replay(hubspot: Account, request: dict[str, Any]) -> tuple[int, Any]:
    body = b"" if request.get("json") is None else json.dumps(request["json"]).encode()
    headers = {name: value for name, value in request["headers"] if name.lower() != "content-length"}
    answer = await hubspot.send(request["method"], request["path"], body=body, headers=headers)
    return answer.status, answer.json if answer.body else None


def shape(value: Any) -> Any:
    """The value with its texts and numbers left out."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


async def test_recorded_requests_of_the_official_client_are_answered(tmp_path: Path) -> None:
    async with account(tmp_path) as hubspot:
        answered = [
            (await replay(hubspot, request))[0] for request in RECORDED if request["path"].startswith("/crm/v3/")
        ]
    assert answered == [201, 200, 200, 200]


async def test_each_answer_is_of_the_shape_that_the_official_client_read(tmp_path: Path) -> None:
    assert len(CONVERSATION) > 20
    async with account(tmp_path) as hubspot:
        for request in CONVERSATION:
            # In the recording time passed between two writes.
            hubspot.clock.now += 0.001
            status, body = await replay(hubspot, request)
            assert (status, shape(body)) == (request["answered"][0], shape(request["answered"][1])), request["path"]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one["version"] == "v1"])
def test_v1_signatures_are_those_of_hubspot(vector: dict[str, Any]) -> None:
    assert sign_v1(vector["secret"], vector["body"].encode()) == vector["signature"]


@pytest.mark.parametrize("vector", [one for one in VECTORS if one["version"] == "v3"])
def test_v3_signatures_are_those_of_hubspot(vector: dict[str, Any]) -> None:
    signed = sign_v3(vector["secret"], vector["method"], vector["url"], vector["body"].encode(), vector["timestamp_ms"])
    assert signed == vector["signature"]


def test_the_address_is_signed_as_the_receiver_decodes_it() -> None:
    said = ("secret", "POST", "https://a.b/hooks?to=x%40y%20z", b"[]", "1700000000000")
    assert sign_v3(*said) == "AVnZ9B/d2Yf5s2eG4AkaCPfv1gFTeO5Rwn7uTNM7sUQ="


def test_only_the_characters_that_hubspot_names_are_decoded() -> None:
    assert decode("https://a.b/c%3A%2f%3F%40%21%24%27%28%29%2A%2C%3B?d=%20%3D%26%C3%A9") == (
        "https://a.b/c:/?@!$'()*,;?d=%20%3D%26%C3%A9"
    )

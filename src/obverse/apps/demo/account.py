"""The demo's HubSpot account: what its owner would set up there, and the connection to it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

NUMBER: Final = {"type": "number", "fieldType": "number"}
YES_NO: Final = {
    "type": "enumeration",
    "fieldType": "booleancheckbox",
    "options": [{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}],
}
PROPERTIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "orders_completed": ("Orders completed", NUMBER),
    "lifetime_value": ("Lifetime value", NUMBER),
    "big_spender": ("Big spender", YES_NO),
}
"""Of the account's own: name -> label and kind."""


async def set_up_account(http: aiohttp.ClientSession, hubspot: str, token: str, callbacks: str) -> None:
    """Make the properties that the mapping names, and have edits told to `callbacks`; again while it is starting."""
    for name, (label, kind) in PROPERTIES.items():
        body = {"name": name, "label": label, "groupName": "contactinformation", **kind}
        await _send(http, "POST", f"{hubspot}/crm/v3/properties/contacts", token, body)
    await _send(http, "PUT", f"{hubspot}/sandbox/webhooks", token, {"url": callbacks})


async def _send(http: aiohttp.ClientSession, method: str, url: str, token: str, body: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        try:
            async with http.request(method, url, json=body, headers=headers) as answer:
                if answer.ok or answer.status == HTTPStatus.CONFLICT:  # it was made before the sandbox was killed
                    return
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise RuntimeError(f"{method} {url}: {answer.status} {await answer.text()}")
        except (aiohttp.ClientError, TimeoutError):
            pass  # it is being started again
        await asyncio.sleep(0.1)


def connect(definitions: Path, hubspot: str) -> None:
    """Write the connection's definition; the roles take it up within a second."""
    text = (files(__package__) / "hubspot.yml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    document["spec"]["settings"]["base_url"] = hubspot
    path = definitions / "connections" / "hubspot.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first, so that nobody reads half of it.
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    new.replace(path)

"""A HubSpot sandbox in this process, and requests to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from starlette.applications import Starlette

from asgi import Answer
from obverse.sandboxes.hubspot import HubSpotSandbox, HubSpotSandboxSettings, open_hubspot_sandbox

TOKEN = "pat-test"
CONTACTS = "/crm/v3/objects/contacts"
PROPERTIES = "/crm/v3/properties/contacts"
START = 1_700_000_000.0
DATA = Path(__file__).parent / "data" / "hubspot"


class Clock:
    """Tells the time it is told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Account:
    """A sandbox, asked as a server would ask it."""

    def __init__(self, sandbox: HubSpotSandbox, clock: Clock) -> None:
        self.sandbox = sandbox
        self.clock = clock

    async def send(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        app: Starlette | None = None,
    ) -> Answer:
        """Send a request as it stands, to another application if one is named, such as one that mounts this one."""
        path, _, query = target.partition("?")
        given = {"host": "127.0.0.1:8080", **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def note(message: Any) -> None:
            sent.append(message)

        await (app or self.sandbox.app)(scope, receive, note)
        start, *parts = sent
        return Answer(
            start["status"],
            {name.decode().lower(): value.decode() for name, value in start["headers"]},
            b"".join(part.get("body", b"") for part in parts),
        )

    async def ask(self, method: str, target: str, body: Any = None, *, token: str = TOKEN) -> Answer:
        """Send JSON with the token."""
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self.send(method, target, body=b"" if body is None else json.dumps(body).encode(), headers=headers)

    async def create(self, **properties: str) -> str:
        """Add a contact; its id."""
        answer = await self.ask("POST", CONTACTS, {"properties": properties})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def define(self, name: str, kind: str = "string", field: str = "text", **more: Any) -> None:
        """Add a property."""
        body = {
            "name": name,
            "label": name.title(),
            "type": kind,
            "fieldType": field,
            "groupName": "contactinformation",
            **more,
        }
        answer = await self.ask("POST", PROPERTIES, body)
        assert answer.status == 201, answer.body

    async def properties(self, number: str, *names: str) -> Any:
        """The properties of a contact."""
        answer = await self.ask("GET", f"{CONTACTS}/{number}?properties={','.join(names)}")
        assert answer.status == 200, answer.body
        return answer.json["properties"]

    async def figures(self) -> Any:
        """What it counted."""
        return (await self.send("GET", "/sandbox/figures")).json


@asynccontextmanager
async def account(folder: Path, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Account]:
    """A sandbox in that folder."""
    clock = clock or Clock()
    given = {"token": TOKEN, "client_secret": "secret", "requests": 10_000, "searches": 10_000, "seed": 1, **settings}
    sandbox = await open_hubspot_sandbox(folder, HubSpotSandboxSettings(**given), clock=clock)
    try:
        yield Account(sandbox, clock)
    finally:
        await sandbox.close()


def assert_refused(answer: Answer, status: int, category: str) -> Any:
    """HubSpot's error body, whose required fields are those of its OpenAPI documents; it is returned."""
    assert answer.status == status, answer.body
    body = answer.json
    assert body["status"] == "error"
    assert body["category"] == category
    assert body["message"]
    assert UUID(body["correlationId"])
    for error in body.get("errors", ()):
        assert error["message"]
    return body

"""Every CRM keeps its promises."""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obverse.adapters.hubspot import SIGNATURE, SIGNED_AT, HubSpotSettings, read_webhook
from obverse.adapters.hubspot import open_crm as open_hubspot
from obverse.adapters.memory.crm import MemoryAccount, MemoryCrmSettings, open_crm
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.crm import CrmContract, Trouble
from obverse.core.records import Callback
from obverse.ports.crm import Crm
from obverse.ports.outcomes import Unreachable
from obverse.sandboxes.hubspot import HubSpotSandboxSettings, open_hubspot_sandbox
from serving import serving

NOW = 1_767_225_600_000_000


class TestMemory(CrmContract):
    async def open_crm(self) -> Crm:
        self.account = MemoryAccount()
        return await open_crm(MemoryCrmSettings(account=self.account), open_runtime())

    async def open_troubled(self, trouble: Trouble) -> Crm:
        account = MemoryAccount(trouble=None if trouble == "wrong_key" else Unreachable(trouble, after=2))
        key = "another" if trouble == "wrong_key" else account.key
        return await open_crm(MemoryCrmSettings(key=key, account=account), open_runtime())

    async def read_back(self, email: str) -> Mapping[str, str] | None:
        found = self.account.find(email)
        return None if found is None else self.account.contacts[found]

    async def edit(self, record_id: str, fields: Mapping[str, str]) -> Sequence[Callback]:
        return [self.account.edit(record_id, fields, NOW)]

    def signed(self, body: bytes) -> Callback:
        return self.account.call(body, NOW)


TOKEN, SECRET = "pat-test", "a secret of the app"


class TestHubSpot(CrmContract):
    """Against the sandbox, which is a real server on loopback, and calls us back at another."""

    @pytest.fixture(autouse=True)
    async def around(self, tmp_path: Path) -> AsyncIterator[None]:
        self.folder = tmp_path
        self.received = list[Callback]()
        async with AsyncExitStack() as self.opened:
            self.ours = await self.opened.enter_async_context(serving(self.our_door()))
            self.http = await self.opened.enter_async_context(aiohttp.ClientSession())
            yield

    def our_door(self) -> Starlette:
        async def take(request: Request) -> Response:
            headers = {name.lower(): value for name, value in request.headers.items()}
            body = await request.body()
            self.received.append(
                Callback(
                    method="POST", url=str(request.url), headers=headers, body=body, received_at=int(time.time() * 1e6)
                )
            )
            return Response(status_code=204)

        return Starlette(routes=[Route("/webhooks/crm/hubspot", take, methods=["POST"])])

    async def sandbox(self, **settings: Any) -> str:
        """A sandbox, its webhooks under way; gives its address."""
        known = HubSpotSandboxSettings(
            token=TOKEN, client_secret=SECRET, webhook_url=f"{self.ours}/webhooks/crm/hubspot", seed=1
        )
        sandbox = await open_hubspot_sandbox(self.folder, replace(known, **settings))
        self.opened.push_async_callback(sandbox.close)
        url = await self.opened.enter_async_context(serving(sandbox.app))
        self.opened.push_async_callback(open_runtime().spawn("webhooks", sandbox.run()).stop)
        return url

    async def connect(self, url: str, token: str = TOKEN) -> Crm:
        settings = HubSpotSettings(token=token, client_secret=SECRET, base_url=url)
        crm = await open_hubspot(settings, open_runtime())
        self.opened.push_async_callback(crm.close)
        return crm

    async def open_crm(self) -> Crm:
        self.url = await self.sandbox()
        return await self.connect(self.url)

    async def open_troubled(self, trouble: Trouble) -> Crm:
        async def fail(_: Request) -> Response:
            return Response("<html>502</html>", status_code=502)

        match trouble:
            case "wrong_key":
                return await self.connect(await self.sandbox(), token="another")
            case "throttled":
                return await self.connect(await self.sandbox(requests=0))
            case "broken":
                app = Starlette(routes=[Route("/{path:path}", fail, methods=["GET", "POST"])])
                return await self.connect(await self.opened.enter_async_context(serving(app)))
            case "gone":
                with socket.create_server(("127.0.0.1", 0)) as door:
                    port = door.getsockname()[1]
                return await self.connect(f"http://127.0.0.1:{port}")

    async def read_back(self, email: str) -> Mapping[str, str] | None:
        place = f"{self.url}/crm/v3/objects/contacts/{email}?idProperty=email&properties=email,firstname,lastname"
        async with self.http.get(place, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            if answer.status == 404:
                return None
            said = (await answer.json())["properties"]
        return {name: said[name] for name in ("email", "firstname", "lastname") if said.get(name)}

    async def edit(self, record_id: str, fields: Mapping[str, str]) -> Sequence[Callback]:
        async with self.http.put(
            f"{self.url}/sandbox/contacts/{record_id}", json={"properties": dict(fields)}
        ) as answer:
            assert answer.ok, await answer.text()
        async with asyncio.timeout(20):
            while not all(self.told(name, value) for name, value in fields.items()):  # noqa: ASYNC110 - from outside
                await asyncio.sleep(0.01)
        return self.received

    def told(self, field: str, value: str) -> bool:
        crm_edits = [edit for callback in self.received for edit in read_webhook(callback.body)]
        return any((edit.field, edit.value) == (field, value) for edit in crm_edits)

    def signed(self, body: bytes) -> Callback:
        at, url = str(int(time.time() * 1000)), "https://example.com/webhooks/crm/hubspot"
        signature = hmac.digest(SECRET.encode(), b"POST" + url.encode() + body + at.encode(), "sha256")
        headers = {SIGNATURE: b64encode(signature).decode(), SIGNED_AT: at}
        return Callback(method="POST", url=url, headers=headers, body=body, received_at=int(at) * 1000)

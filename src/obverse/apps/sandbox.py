"""The sandbox role: what stands in for the outside on this machine, so that nobody needs an account to try things."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from socket import socket
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from obverse.apps import http_door
from obverse.apps.metrics import CONTENT_TYPE, exposition, new_registry
from obverse.apps.own_secrets import own_secret
from obverse.ports.runtime import Runtime
from obverse.sandboxes.hubspot import HubSpotSandboxSettings, open_hubspot_sandbox
from obverse.sandboxes.inbox import open_inbox
from obverse.settings import Settings

HUBSPOT_TOKEN: Final = "hubspot-sandbox-token"  # noqa: S105 - the name of a file
HUBSPOT_SECRET: Final = "hubspot-sandbox-client-secret"  # noqa: S105 - as above
RETRY_SCALE: Final = 0.01
"""A HubSpot waits a day in all before it gives a webhook up; on a laptop nobody waits that long."""


async def sandbox(settings: Settings, runtime: Runtime, door: socket, smtp_door: socket, stop: asyncio.Event) -> None:
    """Run the local inbox, and the HubSpot sandbox if it is asked for, until `stop` is set."""
    folder = settings.data / "sandbox"

    async def well(_: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    registry = new_registry("sandbox")

    async def metrics(_: Request) -> Response:
        return Response(exposition(registry), media_type=CONTENT_TYPE)

    routes: list[BaseRoute] = [Route(path, well) for path in ("/health", "/livez", "/healthz", "/ready", "/readyz")]
    routes.append(Route("/metrics", metrics))
    async with AsyncExitStack() as stack:
        inbox = await open_inbox(folder / "inbox")
        stack.push_async_callback(inbox.close)
        stack.push_async_callback(runtime.spawn("take mail", inbox.serve_smtp(smtp_door)).stop)
        routes.append(Mount("/inbox", inbox.app))
        if settings.sandbox.hubspot:
            hubspot = await open_hubspot_sandbox(
                folder / "hubspot",
                HubSpotSandboxSettings(
                    token=own_secret(settings.data, HUBSPOT_TOKEN),
                    client_secret=own_secret(settings.data, HUBSPOT_SECRET),
                    retry_scale=RETRY_SCALE,
                ),
            )
            stack.push_async_callback(hubspot.close)
            stack.push_async_callback(runtime.spawn("send webhooks", hubspot.run()).stop)
            routes.append(Mount("/hubspot", hubspot.app))
        await http_door.serve(Starlette(routes=routes), door, stop)

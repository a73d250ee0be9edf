"""The API's ASGI application."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from obverse.apps import console
from obverse.apps.api import docs, errors
from obverse.apps.api.door import Door
from obverse.apps.api.parts import ApiParts, RouteFactory
from obverse.apps.api.schema import document

__all__ = ["ApiParts", "RouteFactory", "build"]

_TAGS: Final = (
    {"name": "profiles", "description": "People, by any of their identifiers."},
    {"name": "spaces", "description": "Segment's Profile API: its addresses and shapes, for clients that know them."},
    {"name": "audiences", "description": "Who belongs together, by a definition."},
    {"name": "traits", "description": "What is computed of each person, by a definition."},
    {"name": "groups", "description": "Accounts or companies, and who is a member of them."},
    {"name": "events", "description": "What comes in, as it comes in."},
    {"name": "rejected events", "description": "What was refused on the way in, and is sent again after a fix."},
    {"name": "proposals", "description": "Pairs of profiles that may be one person, for people to decide upon."},
    {"name": "definitions", "description": "What is in force, as it was written, and who changed it."},
    {"name": "sources", "description": "Who sends events, and with which keys."},
    {"name": "loads", "description": "Files of history, brought in."},
    {"name": "connections", "description": "CRMs that are kept in step: their records, queues and dead letters."},
    {"name": "messages", "description": "Mails to one person, and campaigns."},
    {"name": "inbox", "description": "Mails in the local inbox."},
    {"name": "session", "description": "Signing in to the console."},
    {"name": "workspace", "description": "Figures."},
    {"name": "operations", "description": "For those who run it. None of it needs the key."},
)


def build(parts: ApiParts) -> FastAPI:
    """The application, with every route that the parts name."""
    door = Middleware(
        Door, runtime=parts.runtime, registry=parts.registry, api_key=parts.api_key, sign_in=parts.sign_in
    )
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[door],
    )
    errors.install(app)
    # As they are: a router that is included looks through its routes twice, at several times the cost of each.
    own = [route for factory in parts.routes for route in factory(parts).routes]
    app.router.routes += sorted(own, key=_asked_seldom)
    _publish(app)
    console.mount(app)
    return app


def _asked_seldom(route: BaseRoute) -> bool:
    """Programs read profiles all day long, and a request looks through all routes before its own."""
    return not getattr(route, "path", "").startswith("/v1/profiles")


def _publish(app: FastAPI) -> None:
    """Serve the OpenAPI document, and a page to read it."""
    written: list[bytes] = []

    def tree() -> dict[str, Any]:
        return document(app, _TAGS)

    async def openapi(_: Request) -> Response:
        if not written:
            written.append(msgspec.json.encode(tree()))
        return Response(written[0], media_type="application/json")

    app.openapi = tree  # type: ignore[method-assign]  # FastAPI's own way to say it
    app.add_route("/openapi.json", openapi, include_in_schema=False)
    app.router.routes += docs.routes().routes

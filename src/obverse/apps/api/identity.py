"""Routes that tell of identity."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.responses import Response

from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times

_ERRORS: Final = (HTTPStatus.SERVICE_UNAVAILABLE,)


class SetAsideView(msgspec.Struct, frozen=True):
    """An identifier that ties nothing any more, since too many profiles share it."""

    kind: str
    value: str
    profiles: Annotated[int, Meta(description="How many shared it when it was set aside.")]
    event: Annotated[str, Meta(description="Message id of the event that showed it with one too many.")]
    at: Annotated[str, Meta(description="Time of that event.")]


class SetAsidesView(msgspec.Struct, frozen=True):
    """Every identifier that was set aside, in order."""

    identifiers: list[SetAsideView]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:identity`."""
    router = APIRouter(prefix="/v1/identity", tags=["identity"])

    @router.get(
        "/set-aside",
        summary="Identifiers that too many share",
        operation_id="set_aside_identifiers",
        **describe(SetAsidesView, "Identifiers that tie nothing any more, as of the last checkpoint.", *_ERRORS),
    )
    async def set_aside() -> Response:
        found = []
        for one in await parts.serve.set_aside():
            kind, _, value = one.identifier.partition(":")
            found.append(SetAsideView(kind, value, one.profiles, one.event, times.to_text(one.at)))
        return Response(json_values.encode(SetAsidesView(found)), media_type="application/json")

    return router

"""Routes that tell of traits and of their values."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.measure import TraitsView

_TAGS: Final[list[Any]] = ["traits"]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:traits`."""
    router = APIRouter(prefix="/v1/traits", tags=_TAGS)
    measure = parts.measure

    @router.get(
        "",
        summary="Traits that are defined",
        operation_id="traits",
        **describe(TraitsView, "The traits.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def traits() -> Response:
        return Response(json_values.encode(await measure.traits()), media_type="application/json")

    return router

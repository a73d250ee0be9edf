"""Routes that tell of traits and of their values."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.measure import NoSuchTrait, TraitsView, TraitValuesView

_TAGS: Final[list[Any]] = ["traits"]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:traits`."""
    router = APIRouter(prefix="/v1/traits", tags=_TAGS)
    measure = parts.measure

    @router.get(
        "",
        summary="Traits that are defined, and how many people have a value of each",
        operation_id="traits",
        **describe(TraitsView, "The traits.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def traits() -> Response:
        return Response(json_values.encode(await measure.traits()), media_type="application/json")

    @router.get(
        "/{name}",
        summary="A trait, and how its values are spread",
        operation_id="trait",
        **describe(TraitValuesView, "The trait.", HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def trait(name: Annotated[str, Path(description="The trait's name.")]) -> Response:
        try:
            found = await measure.trait(name)
        except NoSuchTrait as error:
            remedy = "define it, or correct its name"
            raise refuse(HTTPStatus.NOT_FOUND, "trait-not-found", str(error), remedy) from error
        return Response(json_values.encode(found), media_type="application/json")

    return router

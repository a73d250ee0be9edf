"""Routes that tell of audiences and of who is in them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.browse import AudiencesView, MembersView, NoSuchAudience
from obverse.flows.cursors import BadCursor

MOST: Final = 500
"""Of a page."""
_TAGS: Final[list[Any]] = ["audiences"]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:audiences`."""
    router = APIRouter(prefix="/v1/audiences", tags=_TAGS)
    browse = parts.browse

    @router.get(
        "",
        summary="Audiences that are defined, and how many are in each",
        operation_id="audiences",
        **describe(AudiencesView, "The audiences.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def audiences() -> Response:
        return Response(json_values.encode(await browse.audiences()), media_type="application/json")

    @router.get(
        "/{name}/members",
        summary="Who is in an audience, as of the last checkpoint",
        operation_id="audience_members",
        **describe(
            MembersView,
            "The members.",
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    async def members(
        name: Annotated[str, Path(description="The audience's name.")],
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 50,
        after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
    ) -> Response:
        try:
            found = await browse.members(name, limit=limit, after=after)
        except NoSuchAudience as error:
            raise refuse(
                HTTPStatus.NOT_FOUND, "audience-not-found", str(error), "define it, or correct its name"
            ) from error
        except BadCursor as error:
            raise refuse(
                HTTPStatus.BAD_REQUEST, "invalid-parameter", f"after: {error}", "take it from the answer before"
            ) from error
        return Response(json_values.encode(found), media_type="application/json")

    return router

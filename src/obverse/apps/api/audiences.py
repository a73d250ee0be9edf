"""Routes that tell of audiences and of who is in them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.addresses import identifier_in
from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import Refusal, refuse
from obverse.apps.api.identifiers import Identifier, unknown
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.browse import AudiencesView, MembersView, NoSuchAudience
from obverse.flows.cursors import BadCursor
from obverse.flows.explain import WhyView
from obverse.flows.preview import PreviewView

_HOW: Final = 'send {"where": {"op": "gte", "trait": "orders", "value": 2}}, or {"sql": "trait.orders >= 2"}'
MOST: Final = 500
"""Of a page."""
_TAGS: Final[list[Any]] = ["audiences"]


class ConditionSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition, in one of its two forms."""

    where: Annotated[dict[str, Any] | None, Meta(description="As a definition says it: a tree.")] = None
    sql: Annotated[str | None, Meta(description="As SQL, after WHERE.")] = None
    overlaps: Annotated[bool, Meta(description="Whether other audiences are looked at too, which takes longer.")] = True


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
            raise _no_such_audience(error) from error
        except BadCursor as error:
            raise refuse(
                HTTPStatus.BAD_REQUEST, "invalid-parameter", f"after: {error}", "take it from the answer before"
            ) from error
        return Response(json_values.encode(found), media_type="application/json")

    _add_preview(router, parts)
    return router


def _add_preview(router: APIRouter, parts: ApiParts) -> None:
    @router.post(
        "/preview",
        summary="How many a condition would hold for, node by node",
        operation_id="preview_audience",
        description="Counts people as of the last checkpoint; defines nothing.",
        **describe_body(
            describe(PreviewView, "The counts.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE), ConditionSaid
        ),
    )
    async def preview(request: Request) -> Response:
        wanted = await read_body(request, ConditionSaid, _HOW)
        if (wanted.where is None) == (wanted.sql is None):
            raise refuse(
                HTTPStatus.BAD_REQUEST, "invalid-body", "the body has neither `where` nor `sql`, or both", _HOW
            )
        try:
            if wanted.sql is not None:
                condition = await asyncio.to_thread(parts.preview.read_sql, wanted.sql)
            else:
                condition = parts.preview.read(wanted.where)
        except ValueError as error:
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-condition", str(error), _HOW) from error
        found = await parts.preview.preview(condition, overlaps=wanted.overlaps)
        return Response(json_values.encode(found), media_type="application/json")


def add_why(router: APIRouter, parts: ApiParts) -> None:
    """Add the route that tells why somebody is in an audience; before those that would take its parts for a value."""

    @router.get(
        "/{identifier:path}/audiences/{audience}/why",
        summary="Why a person is in an audience, or is not",
        operation_id="why_in_audience",
        **describe(
            WhyView,
            "Each node of the condition, with what was found.",
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    async def why(
        identifier: Identifier, audience: Annotated[str, Path(description="The audience's name.")]
    ) -> Response:
        name = identifier_in(parts.serve, identifier)
        try:
            found = await parts.explain.why(name, audience)
        except NoSuchAudience as error:
            raise _no_such_audience(error) from error
        if found is None:
            raise await unknown(parts.serve, name)
        return Response(json_values.encode(found), media_type="application/json")


def _no_such_audience(error: NoSuchAudience) -> Refusal:
    return refuse(HTTPStatus.NOT_FOUND, "audience-not-found", str(error), "define it, or correct its name")

"""Routes that tell of groups and of their members."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from obverse.apps.api.addresses import group_in
from obverse.apps.api.errors import Refusal, refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.browse import BadGroup, Browse, GroupMembersView, GroupsView, GroupView, NoSuchGroup
from obverse.flows.cursors import BadCursor

MOST: Final = 500
"""Of a page."""
MOST_SOUGHT: Final = 500
"""Characters."""
_TAGS: Final[list[Any]] = ["groups"]
_ERRORS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)

GroupId = Annotated[
    str,
    Path(
        description="The `groupId` of its group calls. Percent-encode it as UTF-8: a `/` in it is `%2F`.",
        examples=["acme"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many.")]
After = Annotated[str | None, Query(description="`next` of the answer before.")]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:groups`."""
    router = APIRouter(prefix="/v1/groups", tags=_TAGS)
    browse = parts.browse
    _add_list(router, browse)
    _add_members(router, browse)

    @router.get(
        "/{id:path}",
        summary="A group, as of the last checkpoint",
        operation_id="group",
        **describe(GroupView, "What systems told of the group: value, source, stamp, and what lost.", *_ERRORS),
    )
    async def group(id: GroupId) -> Response:  # noqa: A002 - as it is called
        try:
            found = await browse.group(group_in(id))
        except (BadGroup, NoSuchGroup) as error:
            raise refused(error) from error
        return Response(json_values.encode(found), media_type="application/json")

    return router


def _add_list(router: APIRouter, browse: Browse) -> None:
    @router.get(
        "",
        summary="Groups, or those that are looked for",
        operation_id="groups",
        **describe(GroupsView, "Groups, as of the last checkpoint.", HTTPStatus.BAD_REQUEST, _ERRORS[-1]),
    )
    async def groups(
        q: Annotated[str, Query(max_length=MOST_SOUGHT, description="How a group's id begins.")] = "",
        limit: Limit = 50,
        after: After = None,
    ) -> Response:
        try:
            found = await browse.groups(q, limit=limit, after=after)
        except BadCursor as error:
            raise refused(error) from error
        return Response(json_values.encode(found), media_type="application/json")


def _add_members(router: APIRouter, browse: Browse) -> None:
    # Before the group's own route, which would take the end for a part of the id.
    @router.get(
        "/{id:path}/members",
        summary="Who is a member of a group, as of the last checkpoint",
        operation_id="group_members",
        **describe(GroupMembersView, "The members.", *_ERRORS),
    )
    async def members(id: GroupId, limit: Limit = 50, after: After = None) -> Response:  # noqa: A002 - as above
        try:
            found = await browse.group_members(group_in(id), limit=limit, after=after)
        except (BadGroup, NoSuchGroup, BadCursor) as error:
            raise refused(error) from error
        return Response(json_values.encode(found), media_type="application/json")


def refused(error: BadGroup | NoSuchGroup | BadCursor) -> Refusal:
    """The refusal that an error of groups means."""
    match error:
        case NoSuchGroup():
            remedy = "take an id that GET /v1/groups lists; a group is there one checkpoint after its first group call"
            return refuse(HTTPStatus.NOT_FOUND, "group-not-found", str(error), remedy)
        case BadGroup():
            remedy = "write the groupId that its group calls have, percent-encoded as UTF-8"
            return refuse(HTTPStatus.BAD_REQUEST, "invalid-group", str(error), remedy)
    return refuse(HTTPStatus.BAD_REQUEST, "invalid-parameter", f"after: {error}", "take it from the answer before")

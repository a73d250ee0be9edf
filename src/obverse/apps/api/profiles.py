"""Routes that read profiles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from obverse.apps.api.addresses import identifier_in
from obverse.apps.api.audiences import add_why
from obverse.apps.api.errors import refuse
from obverse.apps.api.history import add_history, find_past
from obverse.apps.api.identifiers import Identifier, unknown
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.profile_batches import add_batches
from obverse.apps.api.quick_reads import QuickReads
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.browse import Browse, PeopleView
from obverse.flows.cursors import BadCursor
from obverse.flows.serve import Found, Serve
from obverse.flows.views import (
    AttributeView,
    AudienceView,
    ConsentView,
    EventsView,
    GroupOfView,
    IdentifierView,
    ProfileView,
    Traits,
    Version,
)

READ_FROM: Final = "Obverse-Read-From"
MOST: Final = 100
"""Events or profiles in one answer."""
MOST_SOUGHT: Final = 500
"""Characters."""
_LARGEST: Final = 2**63 - 1

_HEADERS: Final = {
    READ_FROM: {
        "description": (
            "`cache`: as the worker knows it now, usually within 150 ms of the event. `store`: as of the last "
            "checkpoint, since nothing happened to it lately or the worker is away."
        ),
        "schema": {"type": "string", "enum": ["cache", "store"]},
    }
}
_ERRORS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)

_PARTS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("traits", Traits, "What we computed of a profile"),
    ("audiences", list[AudienceView], "The audiences that a profile is in"),
    ("groups", list[GroupOfView], "The groups that a profile is a member of"),
    ("consents", dict[str, ConsentView], "What a person has allowed, by purpose"),
    ("identifiers", list[IdentifierView], "The identifiers of a profile"),
    ("attributes", dict[str, AttributeView], "What systems told us of a profile: value, source, stamp, and what lost"),
    ("version", Version, "What was folded into a profile"),
)


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:profiles`."""
    router = APIRouter(prefix="/v1/profiles", tags=["profiles"])
    serve = parts.serve

    async def read(identifier: str, part: str) -> Response:
        found = await _find(serve, identifier)
        return _answer(getattr(found.view, part) if part else found.view, found)

    # Before all others: it passes over whatever it does not answer.
    router.routes.append(QuickReads(router.prefix, [name for name, _, _ in _PARTS], read))
    _add_list(router, parts.browse)
    add_why(router, parts)
    # Parts first: the profile's own route would take their names for values.
    for name, shape, summary in _PARTS:
        _add_part(router, read, name, shape, summary)
    _add_events(router, serve)
    add_history(router, parts)
    add_batches(router, serve)

    @router.get(
        "/{identifier:path}",
        summary="A profile",
        operation_id="profile",
        **describe(ProfileView, "The profile.", *_ERRORS, headers=_HEADERS),
    )
    async def profile(
        identifier: Identifier,
        as_of: Annotated[
            str | None, Query(description="As it was at this time, ISO 8601: what had arrived by then.")
        ] = None,
    ) -> Response:
        if as_of is None:
            return await read(identifier, "")
        found = await find_past(parts, identifier_in(serve, identifier), as_of)
        return _answer(found.view, found)

    return router


def _add_list(router: APIRouter, browse: Browse) -> None:
    @router.get(
        "",
        summary="Profiles, or those who are looked for",
        operation_id="profiles",
        **describe(PeopleView, "Profiles, as of the last checkpoint.", HTTPStatus.BAD_REQUEST, _ERRORS[-1]),
    )
    async def profiles(
        q: Annotated[
            str,
            Query(
                max_length=MOST_SOUGHT,
                description="How an identifier begins; one of a kind, as in `email:ada@`; or a profile's `id`.",
            ),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 25,
        after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
    ) -> Response:
        try:
            found = await browse.people(q, limit=limit, after=after)
        except BadCursor as error:
            raise refuse(
                HTTPStatus.BAD_REQUEST, "invalid-parameter", f"after: {error}", "take it from the answer before"
            ) from error
        return Response(json_values.encode(found), media_type="application/json")


def _add_part(
    router: APIRouter, read: Callable[[str, str], Awaitable[Response]], name: str, shape: Any, summary: str
) -> None:
    @router.get(
        f"/{{identifier:path}}/{name}",
        summary=summary,
        operation_id=f"profile_{name}",
        **describe(shape, f"`{name}` of the profile.", *_ERRORS, headers=_HEADERS),
    )
    async def part(identifier: Identifier) -> Response:
        return await read(identifier, name)


def _add_events(router: APIRouter, serve: Serve) -> None:
    @router.get(
        "/{identifier:path}/events",
        summary="The events of a profile, the latest first",
        operation_id="profile_events",
        **describe(EventsView, "Events, as of the last checkpoint.", *_ERRORS),
    )
    async def events(
        identifier: Identifier,
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 20,
        before: Annotated[int | None, Query(ge=0, le=_LARGEST, description="`next` of the answer before.")] = None,
    ) -> Response:
        name = identifier_in(serve, identifier)
        found = await serve.events(name, limit=limit, before=before)
        if found is None:
            raise await unknown(serve, name)
        return Response(json_values.encode(found), media_type="application/json")


async def _find(serve: Serve, address: str) -> Found:
    name = identifier_in(serve, address)
    found = await serve.find(name)
    if found is None:
        raise await unknown(serve, name)
    return found


def _answer(view: msgspec.Struct | Any, found: Found) -> Response:
    return Response(json_values.encode(view), media_type="application/json", headers={READ_FROM: found.read_from})

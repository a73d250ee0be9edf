"""Routes of rejected events: looked through, and sent again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import Refusal, refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.cursors import BadCursor
from obverse.flows.review import RejectedCountsView, RejectedEventsView, Review, numbers_of
from obverse.ports.profile_store import RejectedFilter, ReplayState

MOST: Final = 1000
"""Rejected events in one answer."""
_TAGS: Final[list[Any]] = ["rejected events"]
_HOW: Final = (
    'send {"ids": [...]} with ids of rejected events, {"all": true} with a `source`, a `code`, both or neither, '
    'or {"ids": [ID], "event": "{...}"} to send something else in its place'
)


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rejected events are sent again: those that are named, or all that are open of a source and code."""

    ids: Annotated[list[str], Meta(max_length=MOST)] = []
    all: bool = False
    source: str | None = None
    code: str | None = None
    event: Annotated[
        str | None,
        Meta(description="What is sent in the place of the one that is named: an event, or a batch, as JSON text."),
    ] = None


class Asked(msgspec.Struct, frozen=True):
    """They wait for the collector, which looks once a second."""

    asked: Annotated[int, Meta(description="How many are sent again.")]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:rejected`."""
    router = APIRouter(prefix="/v1/rejected-events", tags=_TAGS)
    _add_pages(router, parts.review)
    _add_replay(router, parts.review)
    return router


def _add_pages(router: APIRouter, review: Review) -> None:
    @router.get(
        "",
        summary="Rejected events, the latest first",
        operation_id="rejected_events",
        **describe(RejectedEventsView, "The events.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def rejected(
        *,
        source: Annotated[str | None, Query(description="Of this source alone.")] = None,
        code: Annotated[str | None, Query(description="With this code alone.")] = None,
        state: Annotated[
            Literal["open", "waiting", "replayed"] | None, Query(description="In this state alone.")
        ] = None,
        event: Annotated[
            str | None, Query(description="Of this event alone: a track's name, else the type of the call.")
        ] = None,
        user: Annotated[str | None, Query(description="With this as its userId or its anonymousId alone.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 20,
        after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
    ) -> Response:
        wanted = RejectedFilter(source=source, code=code, state=state and ReplayState(state), event=event, user=user)
        try:
            found = await review.events(wanted, limit=limit, after=after)
        except BadCursor as error:
            raise _bad("invalid-parameter", error) from error
        return Response(json_values.encode(found), media_type="application/json")

    @router.get(
        "/counts",
        summary="How many there are, by source, code and state",
        operation_id="rejected_counts",
        **describe(RejectedCountsView, "The counts.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def counts() -> Response:
        return Response(json_values.encode(await review.counts()), media_type="application/json")


def _add_replay(router: APIRouter, review: Review) -> None:
    @router.post(
        "/replay",
        summary="Send rejected events again",
        operation_id="replay_rejected",
        **describe_body(describe(Asked, "How many.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE), Replay),
    )
    async def replay(request: Request) -> Response:
        wanted = await read_body(request, Replay, _HOW)
        if bool(wanted.ids) == wanted.all or (wanted.ids and (wanted.source or wanted.code)):
            raise _refused("the body names no rejected event, or all and some")
        if wanted.event is not None and len(wanted.ids) != 1:
            raise _refused("one event stands in the place of one rejected event")
        try:
            ids = numbers_of(wanted.ids) if wanted.ids else None
        except BadCursor as error:
            raise _bad("invalid-body", error) from error
        chosen = RejectedFilter(source=wanted.source, code=wanted.code, ids=ids)
        asked = await review.replay(chosen, None if wanted.event is None else wanted.event.encode())
        return Response(json_values.encode(Asked(len(asked))), media_type="application/json")


def _refused(what: str) -> Refusal:
    return refuse(HTTPStatus.BAD_REQUEST, "invalid-body", what, _HOW)


def _bad(kind: str, error: BadCursor) -> Refusal:
    return refuse(HTTPStatus.BAD_REQUEST, kind, str(error), "take it from an answer before")

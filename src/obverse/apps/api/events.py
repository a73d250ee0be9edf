"""Routes that show what comes in, as it comes in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from obverse.apps.api.door import HEAD
from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.live import BadPosition, Filter, LiveEventsView, Portion
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

MOST: Final = 500
"""Events in one answer."""
LONGEST: Final = 600.0
"""Seconds that one stream goes on; whoever listens comes again, and is asked for their key again."""
EVENT_STREAM: Final = "text/event-stream"
_LINES: Final = re.compile(rb"\r\n|\r|\n")
_TAGS: Final[list[Any]] = ["events"]


def _filter(
    source: Annotated[str | None, Query(description="Of this source alone.")] = None,
    type: Annotated[str | None, Query(description="Of this call alone, such as `track`.")] = None,  # noqa: A002
    q: Annotated[
        str, Query(max_length=200, description="Found in the event's name or ids, or those of its person.")
    ] = "",
) -> Filter:
    return Filter(source=source, type=type, text=q)


_Wanted = Annotated[Filter, Depends(_filter)]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:events`."""
    router = APIRouter(prefix="/v1/events", tags=_TAGS)
    live = parts.live

    @router.get(
        "",
        summary="The latest events, of the last thousand, taken or refused",
        operation_id="events",
        **describe(LiveEventsView, "The events.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def events(
        wanted: _Wanted, limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 100
    ) -> Response:
        return Response(json_values.encode(await live.latest(wanted, limit=limit)), media_type="application/json")

    described = describe(
        None,
        "Server-sent events: `events`, a list, the earliest first; `skipped`, a number of those "
        "that came too fast to be told. A comment comes each ten seconds. It ends after ten minutes: ask again.",
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    described["responses"][200]["content"] = {EVENT_STREAM: {"schema": {"type": "string"}}}

    @router.get("/live", summary="Events as they come in", operation_id="live_events", **described)
    async def follow(
        request: Request,
        wanted: _Wanted,
        last_event_id: Annotated[
            str, Header(max_length=40_000, description="`id` of the message after which to go on.")
        ] = "",
    ) -> Response:
        if request.scope.get(HEAD):
            return Response(media_type=EVENT_STREAM)
        portions = live.follow(wanted, after=last_event_id)
        try:
            # Before the answer begins, so that what cannot be had is told as such.
            first = await anext(portions)
        except BadPosition as error:
            raise refuse(
                HTTPStatus.BAD_REQUEST, "invalid-parameter", f"Last-Event-ID: {error}", "or leave it out to begin now"
            ) from error
        return StreamingResponse(_messages(first, portions, parts.runtime), media_type=EVENT_STREAM)

    return router


async def _messages(first: Portion, portions: AsyncIterator[Portion], runtime: Runtime) -> AsyncIterator[bytes]:
    began = runtime.elapsed()
    async with aclosing(portions):  # type: ignore[type-var]  # a generator
        yield _message(first)
        try:
            async for portion in portions:
                yield _message(portion)
                if runtime.elapsed() - began > LONGEST:
                    return
        except (Unreachable, AccessRefused):
            return  # whoever listens comes again, and is told then


def _message(portion: Portion) -> bytes:
    place = b"id: " + portion.position.encode() + b"\n"
    told = []
    if portion.skipped:
        told.append(b"event: skipped\n" + place + b"data: %d\n\n" % portion.skipped)
    if portion.events:
        # What was sent may have line breaks within its JSON.
        lines = _LINES.split(json_values.encode(portion.events))
        told.append(b"event: events\n" + place + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n")
    return b"".join(told) or b": still here\n\n"

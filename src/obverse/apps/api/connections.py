"""Routes that tell of connections to CRMs, and have dead letters tried again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import Refusal, refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.cursors import BadCursor
from obverse.flows.syncs import (
    ConnectionsView,
    DeadLettersView,
    NoSuchConnection,
    QueueView,
    RecordsView,
    Retried,
    Syncs,
)

MOST: Final = 500
"""Of a page."""

Name = Annotated[str, Path(description="The connection's name.")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many.")]
After = Annotated[str | None, Query(description="`next` of the answer before.")]
_ERRORS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
_TAGS: Final[list[Any]] = ["connections"]


class Retry(msgspec.Struct, forbid_unknown_fields=True):
    """Which dead letters: either of the two."""

    ids: list[str] = []
    all: bool = False


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:connections`."""
    router = APIRouter(prefix="/v1/connections", tags=_TAGS)
    syncs = parts.syncs

    @router.get(
        "",
        summary="Connections to CRMs, and how they are",
        operation_id="connections",
        **describe(ConnectionsView, "The connections.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def connections() -> Response:
        return _answer(ConnectionsView(await syncs.connections()))

    _add_pages(router, syncs)
    _add_retry(router, syncs)
    return router


def _add_pages(router: APIRouter, syncs: Syncs) -> None:
    @router.get(
        "/{name}/records",
        summary="Records of a CRM, as far as we know them",
        operation_id="connection_records",
        **describe(RecordsView, "The records.", *_ERRORS),
    )
    async def records(
        name: Name,
        limit: Limit = 50,
        after: After = None,
        q: Annotated[str, Query(description="How the address begins.")] = "",
    ) -> Response:
        return await _told(syncs.records(name, limit=limit, after=after, prefix=q))

    @router.get(
        "/{name}/queue",
        summary="Profiles that wait to be compared with their records",
        operation_id="connection_queue",
        **describe(QueueView, "What waits.", *_ERRORS),
    )
    async def queue(name: Name, limit: Limit = 50, after: After = None) -> Response:
        return await _told(syncs.waiting(name, limit=limit, after=after))

    @router.get(
        "/{name}/dead-letters",
        summary="What could not be written, and why",
        operation_id="connection_dead_letters",
        **describe(DeadLettersView, "The dead letters.", *_ERRORS),
    )
    async def dead_letters(name: Name, limit: Limit = 50, after: After = None) -> Response:
        return await _told(syncs.dead_letters(name, limit=limit, after=after))


def _add_retry(router: APIRouter, syncs: Syncs) -> None:
    @router.post(
        "/{name}/dead-letters/retry",
        summary="Have dead letters tried again",
        operation_id="retry_dead_letters",
        **describe_body(describe(Retried, "How many wait again.", *_ERRORS), Retry),
    )
    async def retry(name: Name, request: Request) -> Response:
        wanted = await _read(request)
        return await _told(_retried(syncs, name, None if wanted.all else wanted.ids))


async def _retried(syncs: Syncs, name: str, ids: list[str] | None) -> Retried:
    return Retried(await syncs.retry(name, ids))


async def _read(request: Request) -> Retry:
    how = 'send {"ids": [...]} with ids of dead letters, or {"all": true}'
    wanted = await read_body(request, Retry, how)
    if bool(wanted.ids) == wanted.all:
        raise refuse(HTTPStatus.BAD_REQUEST, "invalid-body", "the body names no dead letter, or all and some", how)
    return wanted


async def _told(asked: Any) -> Response:
    try:
        return _answer(await asked)
    except NoSuchConnection as error:
        raise refuse(
            HTTPStatus.NOT_FOUND, "connection-not-found", str(error), "define it, or correct its name"
        ) from error
    except BadCursor as error:
        raise _bad(error) from error


def _bad(error: BadCursor) -> Refusal:
    return refuse(HTTPStatus.BAD_REQUEST, "invalid-parameter", str(error), "take it from the answer before")


def _answer(view: msgspec.Struct) -> Response:
    return Response(json_values.encode(view), media_type="application/json")

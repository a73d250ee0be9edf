"""Routes of replays: planned, looked at, run, cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.door import who
from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows import ask_replay
from obverse.flows.ask_replay import BadReplay, NoSuchReplay, ReplayView, view
from obverse.ports.replays import Replay

MOST: Final = 100
"""Replays in one answer."""
_TAGS: Final[list[Any]] = ["replays"]
_ERRORS: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE)
_HOW: Final = 'send {"to": "all"}, or unify, activate or deliver; with since and until, or partition, from and before'

Id = Annotated[int, Path(ge=1, le=2**63 - 1, description="`id` of a replay.")]


class ReplaysView(msgspec.Struct, frozen=True):
    """Replays, the latest first."""

    replays: Sequence[ReplayView]
    next: int | None
    """`before` of the next request; null at the end."""


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:replays`."""
    router = APIRouter(prefix="/v1/replays", tags=_TAGS)
    _add_ledger(router, parts)
    _add_verdicts(router, parts)
    return router


def _add_ledger(router: APIRouter, parts: ApiParts) -> None:
    asking = parts.ask_replay

    @router.get(
        "",
        summary="Parts of the log that were sent again, the latest first",
        operation_id="replays",
        **describe(ReplaysView, "The replays.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def replays(
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 20,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the answer before.")] = None,
    ) -> Response:
        found = await asking.page(limit=limit + 1, before=before)
        shown = [view(one) for one in found[:limit]]
        return _json(ReplaysView(shown, shown[-1].id if len(found) > limit else None))

    @router.post(
        "",
        summary="Plan a replay; nothing is sent before it is run",
        operation_id="plan_replay",
        **describe_body(
            describe(
                ReplayView,
                "The replay. Read it again until it is planned.",
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.SERVICE_UNAVAILABLE,
            ),
            ask_replay.ReplayRequest,
        ),
    )
    async def plan(request: Request) -> Response:
        wanted = await read_body(request, ask_replay.ReplayRequest, _HOW)
        try:
            id_ = await asking.ask(wanted, by=await who(parts.sign_in, request))
        except BadReplay as error:
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-body", str(error), _HOW) from error
        return _json(view(await asking.find(id_)))

    @router.get(
        "/{id}",
        summary="What a replay would do, and what it did",
        operation_id="replay",
        **describe(
            ReplayView, "The replay.", HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    )
    async def replay(id: Id) -> Response:  # noqa: A002 - its name in the address
        return await _told(lambda: asking.find(id))


def _add_verdicts(router: APIRouter, parts: ApiParts) -> None:
    @router.post(
        "/{id}/run",
        summary="Run a replay that is planned",
        operation_id="run_replay",
        **describe(ReplayView, "The replay. Read it again until it is done.", HTTPStatus.BAD_REQUEST, *_ERRORS),
    )
    async def run(id: Id, request: Request) -> Response:  # noqa: A002 - its name in the address
        by = await who(parts.sign_in, request)
        return await _told(lambda: parts.ask_replay.confirm(id, by=by))

    @router.post(
        "/{id}/cancel",
        summary="Have a replay go no further; what it did stays done",
        operation_id="cancel_replay",
        **describe(ReplayView, "The replay.", HTTPStatus.BAD_REQUEST, *_ERRORS),
    )
    async def cancel(id: Id) -> Response:  # noqa: A002 - its name in the address
        return await _told(lambda: parts.ask_replay.cancel(id))


async def _told(find: Callable[[], Awaitable[Replay]]) -> Response:
    try:
        return _json(view(await find()))
    except NoSuchReplay as error:
        raise refuse(HTTPStatus.NOT_FOUND, "unknown-replay", str(error), "take an id from GET /v1/replays") from error
    except BadReplay as error:
        raise refuse(HTTPStatus.CONFLICT, "not-open", str(error), "read it again: GET /v1/replays") from error


def _json(told: ReplayView | ReplaysView) -> Response:
    return Response(json_values.encode(told), media_type="application/json")

"""Routes of proposals: pairs of profiles that may be one person, looked through and decided upon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.door import who
from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.core.matching import State, Tier
from obverse.flows.cursors import BadCursor
from obverse.flows.decide import Decide, ProposalCountsView, ProposalsView, ProposalView
from obverse.ports.proposals import AlreadyDecided

MOST: Final = 100
"""Proposals in one answer."""
_TAGS: Final[list[Any]] = ["proposals"]
_ERRORS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

Id = Annotated[str, Path(description="`id` of a proposal.")]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:proposals`."""
    router = APIRouter(prefix="/v1/proposals", tags=_TAGS)
    _add_pages(router, parts.decide)
    _add_verdicts(router, parts)
    return router


def _add_pages(router: APIRouter, decide: Decide) -> None:
    @router.get(
        "",
        summary="Pairs of profiles that may be one person, the most probable first",
        operation_id="proposals",
        **describe(ProposalsView, "The proposals.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def proposals(
        tier: Annotated[Literal["exact", "strict", "loose"] | None, Query(description="Of this tier alone.")] = None,
        state: Annotated[
            Literal["open", "accepted", "rejected", "merged", "closed"] | None,
            Query(description="In this state alone."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 20,
        after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
    ) -> Response:
        try:
            found = await decide.page(limit=limit, after=after, state=state and State(state), tier=tier and Tier(tier))
        except BadCursor as error:
            raise refuse(
                HTTPStatus.BAD_REQUEST, "invalid-parameter", f"after: {error}", "take it from the answer before"
            ) from error
        return Response(json_values.encode(found), media_type="application/json")

    @router.get(
        "/counts",
        summary="How many there are, by tier and state",
        operation_id="proposal_counts",
        **describe(ProposalCountsView, "The counts.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def counts() -> Response:
        return Response(json_values.encode(await decide.counts()), media_type="application/json")


def _add_verdicts(router: APIRouter, parts: ApiParts) -> None:
    @router.post(
        "/{id}/accept",
        summary="They are one person: have them merged",
        operation_id="accept_proposal",
        **describe(ProposalView, "The proposal. The merge follows within moments.", *_ERRORS),
    )
    async def accept(id: Id, request: Request) -> Response:  # noqa: A002 - its name in the address
        by = await who(parts.sign_in, request)
        return await _decided(lambda: parts.decide.accept(id, by=by), id)

    @router.post(
        "/{id}/reject",
        summary="They are two: do not propose them again",
        operation_id="reject_proposal",
        **describe(ProposalView, "The proposal.", *_ERRORS),
    )
    async def reject(id: Id, request: Request) -> Response:  # noqa: A002 - its name in the address
        by = await who(parts.sign_in, request)
        return await _decided(lambda: parts.decide.reject(id, by=by), id)


async def _decided(decide: Callable[[], Awaitable[ProposalView | None]], id_: str) -> Response:
    try:
        decided = await decide()
    except BadCursor as error:
        raise refuse(HTTPStatus.BAD_REQUEST, "invalid-id", str(error), "take it from GET /v1/proposals") from error
    except AlreadyDecided as error:
        raise refuse(
            HTTPStatus.CONFLICT,
            "already-decided",
            f"proposal {id_} is not open: {error}",
            "read it again; a decision stands",
        ) from error
    if decided is None:
        raise refuse(
            HTTPStatus.NOT_FOUND, "unknown-proposal", f"there is no proposal {id_}", "take an id from GET /v1/proposals"
        )
    return Response(json_values.encode(decided), media_type="application/json")

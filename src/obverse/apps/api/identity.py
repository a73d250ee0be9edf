"""Routes that tell of identity."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Path
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times
from obverse.flows.ask_identity import AskIdentity, NoSuchEdge
from obverse.flows.serve import BadIdentifier
from obverse.ports.identity_requests import IdentityRequest

_HOW: Final = 'send {"one": "user_id:42", "other": "anonymous_id:7f3a"}, the two ends of an edge'
_ERRORS: Final = (HTTPStatus.SERVICE_UNAVAILABLE,)


class SetAsideView(msgspec.Struct, frozen=True):
    """An identifier that ties nothing any more, since too many profiles share it."""

    kind: str
    value: str
    profiles: Annotated[int, Meta(description="How many shared it when it was set aside.")]
    event: Annotated[str, Meta(description="Message id of the event that showed it with one too many.")]
    at: Annotated[str, Meta(description="Time of that event.")]


class Unmerge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which edge is to be taken back."""

    one: Annotated[str, Meta(description="One end, as `kind:value`.", examples=["user_id:42"], max_length=500)]
    other: Annotated[str, Meta(description="The other one.", examples=["anonymous_id:7f3a"], max_length=500)]
    why: Annotated[str, Meta(description="For whoever looks at it later.", max_length=1000)] = ""


class RequestView(msgspec.Struct, frozen=True):
    """What was asked of identity, and what became of it."""

    id: str
    kind: Literal["unmerge", "merge"]
    one: str
    other: str
    by: str
    why: str
    asked_at: str
    status: Annotated[
        Literal["waiting", "done", "refused"], Meta(description="`waiting` until the worker has done it.")
    ]
    detail: Annotated[str | None, Meta(description="What was done, and what could not be; null while it waits.")]


class SetAsidesView(msgspec.Struct, frozen=True):
    """Every identifier that was set aside, in order."""

    identifiers: list[SetAsideView]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:identity`."""
    router = APIRouter(prefix="/v1/identity", tags=["identity"])

    @router.get(
        "/set-aside",
        summary="Identifiers that too many share",
        operation_id="set_aside_identifiers",
        **describe(SetAsidesView, "Identifiers that tie nothing any more, as of the last checkpoint.", *_ERRORS),
    )
    async def set_aside() -> Response:
        found = []
        for one in await parts.serve.set_aside():
            kind, _, value = one.identifier.partition(":")
            found.append(SetAsideView(kind, value, one.profiles, one.event, times.to_text(one.at)))
        return Response(json_values.encode(SetAsidesView(found)), media_type="application/json")

    _add_unmerge(router, parts.ask_identity)
    return router


def _add_unmerge(router: APIRouter, ask: AskIdentity) -> None:
    told = describe(
        RequestView,
        "The request; it is done within seconds, if the worker runs.",
        *(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, *_ERRORS),
        status=HTTPStatus.ACCEPTED,
    )

    @router.post(
        "/unmerge",
        summary="Take an edge back",
        description=(
            "What the edge alone held together becomes two profiles, each as if the edge had never been: events, "
            "traits, attributes and audiences included, as far back as events are kept. The pair is not tied again."
        ),
        operation_id="unmerge",
        status_code=HTTPStatus.ACCEPTED,
        **describe_body(told, Unmerge),
    )
    async def unmerge(request: Request) -> Response:
        wanted = await read_body(request, Unmerge, _HOW)
        try:
            asked = await ask.unmerge(wanted.one, wanted.other, by="api", why=wanted.why)
        except BadIdentifier as error:
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-identifier", str(error), _HOW) from error
        except NoSuchEdge as error:
            remedy = "take both ends of one of the profile's `edges`"
            raise refuse(HTTPStatus.NOT_FOUND, "edge-not-found", str(error), remedy) from error
        return _answer(asked, HTTPStatus.ACCEPTED)

    @router.get(
        "/requests/{id}",
        summary="What became of a request",
        operation_id="identity_request",
        **describe(RequestView, "The request.", HTTPStatus.NOT_FOUND, *_ERRORS),
    )
    async def request(id: Annotated[str, Path(description="The request's id.")]) -> Response:  # noqa: A002 - as sent
        found = await ask.request(id)
        if found is None:
            raise refuse(
                HTTPStatus.NOT_FOUND,
                "request-not-found",
                f"there is no request {id!r}",
                "take the id from the answer to the request",
            )
        return _answer(found, HTTPStatus.OK)


def _answer(request: IdentityRequest, status: HTTPStatus) -> Response:
    outcome = request.outcome
    view = RequestView(
        id=request.id,
        kind=request.kind,
        one=request.one,
        other=request.other,
        by=request.by,
        why=request.why,
        asked_at=times.to_text(request.asked_at),
        status="waiting" if outcome is None else "done" if outcome.done else "refused",
        detail=None if outcome is None else outcome.detail,
    )
    return Response(json_values.encode(view), status_code=status, media_type="application/json")

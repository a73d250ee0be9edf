"""Routes that take messages, and tell what became of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import Refusal, refuse, respond, unexpected
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.core.messages import Status
from obverse.flows.messages import (
    BadWanted,
    CampaignsView,
    KeyReused,
    Messages,
    MessagesView,
    MessageView,
    NotFound,
    Wanted,
)
from obverse.flows.serve import BadIdentifier
from obverse.ports.outbox import InFlight, NoDoubt, Remembered
from obverse.ports.outcomes import AccessRefused, Unreachable

REPLAYED: Final = "Idempotent-Replayed"
MOST: Final = 500
_HOW: Final = (
    'send {"template": NAME, "to": "ada@example.com" or {"identifier": "user_id:42"}, "data": {...}}; '
    "data may be left out"
)
_RESOLVE: Final = 'send {"as": "sent"} if the person has it, {"as": "resend"} to send it again'
_TAGS: Final[list[Any]] = ["messages"]
_log = structlog.get_logger(__name__)

Id = Annotated[str, Path(description="The message's id.")]


class Resolution(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"as_": "as"}):
    """What became of a message."""

    as_: Literal["sent", "resend"]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:messages`."""
    router = APIRouter(prefix="/v1", tags=_TAGS)
    _add_post(router, parts.messages)
    _add_reading(router, parts.messages)
    _add_resolving(router, parts.messages)
    return router


def _add_post(router: APIRouter, messages: Messages) -> None:
    told = describe(MessageView, "The message; it is sent from now on.", *_ERRORS, status=HTTPStatus.ACCEPTED)

    @router.post(
        "/messages",
        summary="Send a message to one person",
        operation_id="send_message",
        status_code=HTTPStatus.ACCEPTED,
        **describe_body(told, Wanted),
    )
    async def send(
        request: Request,
        idempotency_key: Annotated[
            str | None,
            Header(
                description=(
                    "1 to 255 characters. The same key with the same body is answered as it was the first time, for a "
                    "day, and nothing is sent again. Without a key each call is a message of its own."
                )
            ),
        ] = None,
    ) -> Response:
        wanted = await read_body(request, Wanted, _HOW)
        try:
            return await _send(messages, wanted, idempotency_key)
        except (BadWanted, BadIdentifier) as error:
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-message", str(error), _HOW) from error
        except NotFound as error:
            raise refuse(HTTPStatus.NOT_FOUND, "not-found", str(error), "define it, or correct its name") from error
        except KeyReused as error:
            remedy = "use a new key for a new message, and the same body with the same key"
            raise refuse(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", str(error), remedy) from error
        except InFlight as error:
            remedy = "ask again after the time in Retry-After"
            raise refuse(
                HTTPStatus.CONFLICT, "request-in-flight", str(error), remedy, headers={"Retry-After": "1"}
            ) from error


async def _send(messages: Messages, wanted: Wanted, key: str | None) -> Response:
    known = None if key is None else await messages.recall(key, wanted)
    if known is not None:
        return _replayed(known)
    try:
        body, known = await messages.accept(wanted, key, HTTPStatus.ACCEPTED)
    except (Refusal, BadWanted, BadIdentifier, NotFound, KeyReused, InFlight, Unreachable, AccessRefused):
        raise  # nothing was begun, so trying again is safe
    except Exception:
        if key is None:
            raise
        _log.exception("a message could not be taken")
        answer = respond(unexpected())
        await messages.remember(key, wanted, answer.status_code, bytes(answer.body))
        return answer
    if known is not None:
        return _replayed(known)
    return Response(body, status_code=HTTPStatus.ACCEPTED, media_type="application/json")


def _replayed(known: Remembered) -> Response:
    kind = "application/json" if known.status < HTTPStatus.BAD_REQUEST else "application/problem+json"
    return Response(known.body, status_code=known.status, media_type=kind, headers={REPLAYED: "true"})


def _add_reading(router: APIRouter, messages: Messages) -> None:
    @router.get(
        "/messages",
        summary="Messages, the latest made first",
        operation_id="messages",
        **describe(MessagesView, "The messages.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def page(
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 50,
        after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
        status: Annotated[Status | None, Query(description="Only those.")] = None,
        q: Annotated[str, Query(description="How the address begins.")] = "",
    ) -> Response:
        try:
            return _answer(await messages.page(limit=limit, after=after, status=status, prefix=q))
        except BadWanted as error:
            remedy = "take it from the answer before"
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-parameter", str(error), remedy) from error

    @router.get(
        "/messages/{id}",
        summary="A message, and what became of it",
        operation_id="message",
        **describe(MessageView, "The message.", HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def message(id: Id) -> Response:  # noqa: A002 - the name in the address
        try:
            return _answer(await messages.find(id))
        except NotFound as error:
            raise _missing(error) from error

    @router.get(
        "/campaigns",
        summary="Campaigns, and what became of their messages",
        operation_id="campaigns",
        **describe(CampaignsView, "The campaigns.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def campaigns() -> Response:
        return _answer(await messages.campaigns())


def _add_resolving(router: APIRouter, messages: Messages) -> None:
    @router.post(
        "/messages/{id}/resolve",
        summary="Say what became of a message of which nobody knows",
        operation_id="resolve_message",
        **describe_body(describe(MessageView, "The message as it is now.", *_ERRORS), Resolution),
    )
    async def resolve(id: Id, request: Request) -> Response:  # noqa: A002 - as above
        wanted = await read_body(request, Resolution, _RESOLVE)
        try:
            return _answer(await messages.resolve(id, wanted.as_))
        except NotFound as error:
            raise _missing(error) from error
        except NoDoubt as error:
            remedy = "only messages that are `unknown` can be resolved"
            raise refuse(HTTPStatus.CONFLICT, "no-doubt", str(error), remedy) from error


_ERRORS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def _missing(error: NotFound) -> Refusal:
    return refuse(HTTPStatus.NOT_FOUND, "message-not-found", str(error), "take it from /v1/messages")


def _answer(view: msgspec.Struct) -> Response:
    return Response(json_values.encode(view), media_type="application/json")

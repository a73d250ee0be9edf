"""Errors as RFC 9457 tells them: what was wrong, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.responses import Response

from obverse.core import json_values
from obverse.flows.serve import UnreadableProfile
from obverse.flows.views import ComponentView
from obverse.ports.outcomes import AccessRefused, Unreachable

MEDIA_TYPE: Final = "application/problem+json"


class Flaw(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request."""

    where: Annotated[str, Meta(examples=["query.limit"])]
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error, as RFC 9457 tells it."""

    type: Annotated[str, Meta(description="Names the kind of error.", examples=["urn:obverse:problem:not-found"])]
    title: str
    status: int
    detail: Annotated[str, Meta(description="What was wrong this time.")]
    remedy: Annotated[str, Meta(description="What to do.")]
    errors: Annotated[list[Flaw], Meta(description="What is wrong with the request.")] = []
    components: Annotated[list[ComponentView], Meta(description="How each component is.")] = []


SPACES: Final = "/v1/spaces/"
"""Below it we answer as Segment's Profile API does, errors too."""


class SpaceFault(msgspec.Struct, frozen=True):
    """What was wrong."""

    code: Annotated[str, Meta(examples=["not_found"])]
    message: Annotated[str, Meta(description="What was wrong this time, and what to do.")]


class SpaceError(msgspec.Struct, frozen=True):
    """An error, as Segment's Profile API tells it."""

    error: SpaceFault


_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "invalid_request_error",
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "invalid_request_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_OURS: Final = "server_error"
_FIELDS: Final = ("invalid-identifier", "invalid-group", "invalid-collection")
"""Problems of what the path names; those of its parameters are others at Segment."""


class Refusal(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = headers


def refuse(
    status: HTTPStatus, kind: str, detail: str, remedy: str, *, headers: Mapping[str, str] | None = None
) -> Refusal:
    """A refusal to raise; `kind` is the last word of its type."""
    problem = Problem(
        type=f"urn:obverse:problem:{kind}", title=status.phrase, status=int(status), detail=detail, remedy=remedy
    )
    return Refusal(problem, headers)


def in_spaces(scope: Mapping[str, Any]) -> bool:
    """Whether a request is one of Segment's Profile API."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).startswith(SPACES)


def respond(refusal: Refusal, scope: Mapping[str, Any] | None = None) -> Response:
    """The response that tells it, in the form that the request's address has; without one, as a problem."""
    problem, headers = refusal.problem, dict(refusal.headers or {})
    if scope is not None and in_spaces(scope):
        body, media_type = json_values.encode(_as_segment(problem)), "application/json"
    else:
        body, media_type = json_values.encode(problem), MEDIA_TYPE
    return Response(body, status_code=problem.status, headers=headers, media_type=media_type)


def _as_segment(problem: Problem) -> SpaceError:
    code = _CODES.get(HTTPStatus(problem.status), _OURS)
    if problem.type.endswith(_FIELDS):
        code = "validation_error"
    return SpaceError(SpaceFault(code, f"{problem.detail}: {problem.remedy}"))


def unexpected() -> Refusal:
    """What a client learns of our own failures."""
    return refuse(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "this request met an error of ours",
        "look for the request id (header X-Request-Id) in the log of the api, and please report it",
    )


def explain(error: Exception) -> Refusal:
    """The refusal that an exception means."""
    match error:
        case Refusal():
            return error
        case RequestValidationError():
            return _bad_parameters(error)
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            allowed = (error.headers or {}).get("Allow", "GET")
            return refuse(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this address does not take that method",
                f"use {allowed}; profiles change only by events, which go to the collector",
                headers=error.headers,
            )
        case HTTPException(status_code=HTTPStatus.NOT_FOUND):
            return refuse(
                HTTPStatus.NOT_FOUND, "not-found", "there is nothing at this address", "see /docs for all addresses"
            )
        case HTTPException():
            status = HTTPStatus(error.status_code)
            return refuse(status, "refused", str(error.detail), "see /docs", headers=error.headers)
        case Unreachable():
            return refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "unavailable",
                str(error),
                "ask again after the time in Retry-After; /ready tells which component is missing",
                headers={"Retry-After": str(max(1, math.ceil(error.after)))},
            )
        case AccessRefused():
            return refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "unavailable",
                str(error),
                "a person must mend the connection to the store; /ready tells more",
            )
        case UnreadableProfile():
            return refuse(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "unreadable-profile",
                str(error),
                "run the api of the release that the worker runs",
            )
    return unexpected()


def _bad_parameters(error: RequestValidationError) -> Refusal:
    flaws = [Flaw(".".join(str(part) for part in flaw["loc"]), flaw["msg"]) for flaw in error.errors()]
    detail = "; ".join(f"{flaw.where}: {flaw.message}" for flaw in flaws)
    refusal = refuse(
        HTTPStatus.BAD_REQUEST,
        "invalid-parameter",
        detail,
        "correct what is named; /docs tells what each parameter takes",
    )
    return Refusal(msgspec.structs.replace(refusal.problem, errors=flaws))


def install(app: FastAPI) -> None:
    """Let every error of the app be told as a problem; what is none of these is left to the door."""

    async def tell(request: Request, error: Exception) -> Response:
        return respond(explain(error), request.scope)

    for kind in (Refusal, RequestValidationError, HTTPException, Unreachable, AccessRefused, UnreadableProfile):
        app.add_exception_handler(kind, tell)

"""Routes to sign in, by a link that works once, and to sign out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.door import COOKIE
from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times
from obverse.flows.sign_in import SESSION_LIFE

_HOW: Final = 'send {"token": "..."} with what follows `token=` in a link that `obverse sign-in` prints'
_TAGS: Final[list[Any]] = ["session"]


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign-in link's token."""

    token: Annotated[str, Meta(max_length=200)]


class SessionView(msgspec.Struct, frozen=True):
    """Who is signed in."""

    name: str
    expires_at: Annotated[str, Meta(description="ISO 8601, UTC.")]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:session`."""
    router = APIRouter(prefix="/v1/session", tags=_TAGS)
    sign_in = parts.sign_in
    done = describe(None, "It is done.", status=HTTPStatus.NO_CONTENT)

    @router.post(
        "",
        summary="Sign in",
        operation_id="sign_in",
        status_code=HTTPStatus.NO_CONTENT,
        **describe_body(done, Link),
    )
    async def enter(request: Request) -> Response:
        link = await read_body(request, Link, _HOW)
        entered = await sign_in.enter(link.token)
        if entered is None:
            raise refuse(
                HTTPStatus.UNAUTHORIZED,
                "link-unknown",
                "this link is none of ours, was used already, or is older than a day",
                "run `obverse sign-in` where the installation runs, and open the link that it prints",
            )
        secret, _ = entered
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.set_cookie(
            COOKIE,
            secret,
            max_age=SESSION_LIFE // 1_000_000,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @router.get("", summary="Who is signed in", operation_id="session", **describe(SessionView, "You are, as this."))
    async def session(request: Request) -> Response:
        found = await sign_in.who(request.cookies.get(COOKIE, ""))
        if found is None:
            raise refuse(
                HTTPStatus.UNAUTHORIZED, "not-signed-in", "nobody is signed in here", "open a link of `obverse sign-in`"
            )
        view = SessionView(found.name, times.to_text(found.expires_at))
        return Response(json_values.encode(view), media_type="application/json")

    @router.delete("", summary="Sign out", operation_id="sign_out", status_code=HTTPStatus.NO_CONTENT, **done)
    async def leave(request: Request) -> Response:
        await sign_in.leave(request.cookies.get(COOKIE, ""))
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    return router

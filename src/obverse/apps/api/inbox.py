"""Routes that show the mails in the local inbox, where mail goes there."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

import aiohttp
import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Meta
from starlette.responses import Response

from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values

MOST: Final = 500
"""Mails in one answer."""
_PATIENCE: Final = aiohttp.ClientTimeout(total=10.0)
_TAGS: Final[list[Any]] = ["inbox"]
_Shape = TypeVar("_Shape")


class MailSummaryView(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A mail in a list."""

    id: str
    message_id: str | None
    sender: str
    to: list[str]
    subject: str
    received_at: Annotated[str, Meta(description="ISO 8601, UTC.")]
    bytes: int
    preview: str


class AttachmentView(msgspec.Struct, frozen=True):
    """A part of a mail that is a file."""

    name: str
    type: str
    bytes: int


class MailView(MailSummaryView, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A mail, as it was understood. What it says is its sender's word: show its HTML where nothing of it can run."""

    headers: Annotated[list[tuple[str, str]], Meta(description="Each a name and a value.")]
    text: str | None
    html: str | None
    attachments: list[AttachmentView]
    envelope_from: str
    envelope_to: list[str]


class MailsView(msgspec.Struct, frozen=True):
    """Some mails, the latest first. `total` and `distinct` (by Message-ID) count all that were asked for."""

    messages: list[MailSummaryView]
    next: Annotated[str | None, Meta(description="Give it as `after` for those that follow; null at the end.")]
    total: int
    distinct: int


class _Told(msgspec.Struct):
    detail: str = "it says no more"
    remedy: str = "ask for something else"


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:inbox`."""
    router = APIRouter(prefix="/v1/inbox", tags=_TAGS)
    errors = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get(
        "",
        summary="The mails in the local inbox, the latest first",
        operation_id="inbox",
        **describe(MailsView, "The mails.", *errors),
    )
    async def mails(
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 50,
        after: Annotated[str, Query(description="`next` of the answer before.")] = "",
        q: Annotated[str, Query(max_length=200, description="Found in subject, addresses or text.")] = "",
    ) -> Response:
        query = {"limit": str(limit), "q": q} | ({"after": after} if after else {})
        return await _asked(parts.inbox_url, "/messages", query, MailsView)

    @router.get(
        "/{id}",
        summary="A mail in the local inbox",
        operation_id="inbox_mail",
        **describe(MailView, "The mail.", *errors),
    )
    async def mail(id: Annotated[str, Path(pattern="^[0-9]{1,18}$", description="Its id there.")]) -> Response:  # noqa: A002
        return await _asked(parts.inbox_url, f"/messages/{id}", {}, MailView)

    return router


async def _asked(url: str | None, path: str, query: dict[str, str], shape: type[_Shape]) -> Response:
    if url is None:
        raise refuse(
            HTTPStatus.NOT_FOUND,
            "no-inbox",
            "mail goes out to a mail service here, so there is no local inbox",
            "read it where it arrives, or set email_service.adapter to local_inbox",
        )
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as http,
            http.get(url + path, params=query, allow_redirects=False) as answer,
        ):
            status, body = answer.status, await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _away(url, str(error) or type(error).__name__) from error
    try:
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
            told = msgspec.json.decode(body, type=_Told)
            kind = "mail-not-found" if status == HTTPStatus.NOT_FOUND else "invalid-parameter"
            raise refuse(HTTPStatus(status), kind, told.detail, told.remedy)
        if status == HTTPStatus.OK:
            return Response(json_values.encode(msgspec.json.decode(body, type=shape)), media_type="application/json")
    except msgspec.MsgspecError as error:
        raise _away(url, f"what answers there is no local inbox: {error}") from error
    raise _away(url, f"it answered {status}")


def _away(url: str, why: str) -> Exception:
    return refuse(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "inbox-away",
        f"the local inbox at {url} does not answer ({why})",
        "start the sandbox role; mail waits meanwhile",
        headers={"Retry-After": "1"},
    )

"""The ASGI application: the mails as JSON, and the pages that show them."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obverse.sandboxes.inbox import pages
from obverse.sandboxes.inbox.mime import normal_message_id, read_mail
from obverse.sandboxes.inbox.questions import MOST, Problem, Question, Refusal, missing, number, question
from obverse.sandboxes.inbox.reception import Unsettled
from obverse.sandboxes.inbox.shapes import Found, Page, Whole, summary, whole
from obverse.sandboxes.inbox.store import Reader, Wanted

Result = TypeVar("Result")
Handler = Callable[[Request], Awaitable[Response]]

# Mails are hostile, so whatever is answered is taken for what it is, and for nothing that runs or loads.
_SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-DNS-Prefetch-Control": "off",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_NOTHING: Final = "default-src 'none'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Read(Protocol):
    """Runs something in the thread that reads."""

    async def __call__(self, do: Callable[[], Result]) -> Result:
        """Return what it returns."""
        ...


class _Desk:
    """Answers requests."""

    def __init__(
        self, reader: Reader, read: Read, settle: Callable[[], Awaitable[None]], empty: Callable[[], Awaitable[None]]
    ) -> None:
        self._reader = reader
        self._read = read
        self._settle = settle
        self._empty = empty

    async def show(self, request: Request) -> Response:
        """One mail."""
        return _json(await self._whole(request))

    async def raw(self, request: Request) -> Response:
        """One mail as it came, to be saved."""
        _, raw = await self._mail(request)
        name = f"message-{request.path_params['id']}.eml"
        return _answer(raw, "message/rfc822", {"Content-Disposition": f'attachment; filename="{name}"'})

    async def by_message_id(self, request: Request) -> Response:
        """The mails with a Message-ID: all that was answered 250, and all whose last dot was sent before."""
        try:
            await self._settle()
        except Unsettled as error:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "unsettled", str(error), "ask again when Retry-After has passed"
            ) from error
        wanted = normal_message_id(request.path_params["message_id"]) or ""
        count, kept = await self._read(lambda: self._reader.by_message_id(wanted, MOST))
        return _json(Found(count, [summary(one) for one in kept]))

    async def list_or_empty(self, request: Request) -> Response:
        """The newest mails; with DELETE, delete every mail."""
        if request.method != "DELETE":
            return _json(await self._page(question(request.query_params)))
        await self._empty()
        return _answer(b"", None, status=HTTPStatus.NO_CONTENT)

    async def health(self, _request: Request) -> Response:
        """Whether this process answers."""
        return _json({"status": "ok"})

    async def figures(self, _request: Request) -> Response:
        """How many mails there are."""
        return _json(await self._read(lambda: self._reader.figures(Wanted())))

    async def list_page(self, request: Request) -> Response:
        """The newest mails, for people."""
        asked = question(request.query_params, limit=pages.ROWS)
        return _page(pages.list_page(await self._page(asked), asked))

    async def mail_page(self, request: Request) -> Response:
        """One mail, for people."""
        return _page(pages.mail_page(await self._whole(request)))

    async def frame(self, request: Request) -> Response:
        """A mail's HTML, to stand in the frame of its page."""
        mail = await self._whole(request)
        headers = {"Content-Security-Policy": pages.FRAME_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return _answer(pages.frame(mail.html or "").encode(), "text/html; charset=utf-8", headers)

    async def _page(self, asked: Question) -> Page:
        reader, wanted = self._reader, asked.wanted
        kept = await self._read(lambda: reader.list(wanted, limit=asked.limit + 1, before=asked.before))
        figures = await self._read(lambda: reader.figures(wanted))
        shown = kept[: asked.limit]
        following = str(shown[-1].id) if len(kept) > asked.limit else None
        return Page([summary(one) for one in shown], following, figures.messages, figures.distinct)

    async def _mail(self, request: Request) -> tuple[Any, bytes]:
        wanted = number(request.path_params["id"])
        found = await self._read(lambda: self._reader.message(wanted))
        if found is None:
            raise missing(str(wanted))
        return found

    async def _whole(self, request: Request) -> Whole:
        kept, raw = await self._mail(request)
        return whole(kept, await self._read(lambda: read_mail(raw)))


def build_app(
    reader: Reader, *, read: Read, settle: Callable[[], Awaitable[None]], empty: Callable[[], Awaitable[None]]
) -> Starlette:
    """The application. `settle` waits for mails that were handed over, `empty` deletes all."""
    desk = _Desk(reader, read, settle, empty)
    seen: dict[str, Handler] = {"/": desk.list_page, "/mail/{id}": desk.mail_page, "/mail/{id}/html": desk.frame}
    api: dict[str, Handler] = {
        "/messages/{id}": desk.show,
        "/messages/{id}/raw": desk.raw,
        "/by-message-id/{message_id:path}": desk.by_message_id,
        "/health": desk.health,
        "/figures": desk.figures,
    }
    app = Starlette(
        routes=[
            *(Route(path, _told(handler, _refused_page), methods=["GET"]) for path, handler in seen.items()),
            *(Route(path, _told(handler, _refused), methods=["GET"]) for path, handler in api.items()),
            # One route, so that a method that is neither is told of both.
            Route("/messages", _told(desk.list_or_empty, _refused), methods=["GET", "DELETE"]),
        ],
        exception_handlers={HTTPException: _tell_route},
    )
    app.router.redirect_slashes = False
    return app


def _told(handler: Handler, tell: Callable[[Problem], Response]) -> Handler:
    """Tells what goes wrong."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refused:
            return tell(refused.problem)
        except sqlite3.Error as error:
            remedy = "see that the disk of the inbox's folder has room and that the file is not damaged; then ask again"
            told = f"the inbox's file: {error}"
            return tell(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", told, remedy).problem)

    return handle


async def _tell_route(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "GET")
        detail, remedy = "this address does not take that method", f"use {allowed}"
        refused = _refused(Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, remedy).problem)
        refused.headers["Allow"] = allowed
        return refused
    detail, remedy = "there is nothing at this address", "see / for the mails, or /messages for them as JSON"
    return _refused(Refusal(HTTPStatus.NOT_FOUND, "not-found", detail, remedy).problem)


def _refused_page(problem: Problem) -> Response:
    """For people."""
    return _page(pages.error_page(problem), problem.status)


def _refused(problem: Problem) -> Response:
    """For programs."""
    headers = {"Retry-After": "1"} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return _answer(msgspec.json.encode(problem), "application/problem+json", headers, status=problem.status)


def _json(told: Any) -> Response:
    return _answer(msgspec.json.encode(told), "application/json")


def _page(html: str, status: int = HTTPStatus.OK) -> Response:
    headers = {"Content-Security-Policy": pages.POLICY, "X-Frame-Options": "DENY"}
    return _answer(html.encode(), "text/html; charset=utf-8", headers, status=status)


def _answer(
    body: bytes, kind: str | None, headers: dict[str, str] | None = None, *, status: int = HTTPStatus.OK
) -> Response:
    told = {**_SAFE, "Content-Security-Policy": _NOTHING, **(headers or {})}
    return Response(body, status_code=int(status), headers=told, media_type=kind)

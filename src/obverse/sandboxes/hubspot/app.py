"""The ASGI application: HubSpot's routes at the root, and those of the sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from obverse.sandboxes.hubspot.answers import Answer, Ask, Refusal, Reply
from obverse.sandboxes.hubspot.gate import Gate, respond
from obverse.sandboxes.hubspot.pages import POLICY, Page, error_page

LARGEST_BODY: Final = 10 * 1024 * 1024
_BEARS_BODY: Final = frozenset({"POST", "PATCH", "PUT"})

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
Turn = Callable[[Ask], Page | None]
Handler = Callable[[Request], Awaitable[Response]]


def build_app(
    *,
    api: Sequence[tuple[str, str, Answer]],
    desk: Sequence[tuple[str, str, Answer]],
    pages: Sequence[tuple[str, str, Turn]],
    gate: Mapping[str, Any],
    run: Run,
) -> Starlette:
    """The application. `run` runs an answer in the thread that the state belongs to."""
    hubspot = Starlette(
        routes=[Route(path, _json_handler(answer, run), methods=[method]) for method, path, answer in api],
        middleware=[Middleware(Gate, **gate)],
        exception_handlers={HTTPException: _tell},
    )
    hubspot.router.redirect_slashes = False
    return Starlette(
        routes=[
            *(Route(path, _json_handler(answer, run, own=True), methods=[method]) for method, path, answer in desk),
            *(Route(path, _page_handler(turn, run), methods=[method]) for method, path, turn in pages),
            Mount("", app=hubspot),
        ],
        exception_handlers={HTTPException: _tell},
    )


def _json_handler(answer: Answer, run: Run, *, own: bool = False) -> Handler:
    """Answers with JSON; what is the sandbox's own is not for pages of other origins."""

    async def handle(request: Request) -> Response:
        try:
            if own:
                _hold_same_origin(request, strict=False)
            if request.method in _BEARS_BODY:
                _hold_json(request)
            ask = await _read(request)
            reply: Reply = await run(lambda: answer(ask))
        except Refusal as refusal:
            return respond(int(refusal.status), refusal.body())
        return respond(reply.status, reply.body)

    return handle


def _page_handler(turn: Turn, run: Run) -> Handler:
    """Answers with a page; a form that was saved leads back to where it was."""

    async def handle(request: Request) -> Response:
        try:
            if request.method == "POST":
                _hold_same_origin(request, strict=True)
            ask = await _read(request)
            page: Page | None = await run(lambda: turn(ask))
        except Refusal as refusal:
            page = error_page(_base(request), int(refusal.status), refusal.message)
        if page is None:
            # A path of ours alone: what follows a host of another's name leads nowhere else.
            return RedirectResponse(f"{ask.base}/sandbox/contacts/{int(ask.place['id'])}?saved", status_code=303)
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
        return HTMLResponse(page.html, status_code=page.status, headers=headers)

    return handle


async def _read(request: Request) -> Ask:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "VALIDATION_ERROR",
                f"The request is too large: the most is {LARGEST_BODY} bytes",
            )
        chunks.append(chunk)
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    return Ask(
        place=request.path_params,
        query=query,
        body=b"".join(chunks),
        url=str(request.url.replace(query="", fragment="")),
        base=_base(request),
    )


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


def _hold_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "VALIDATION_ERROR",
            f"Content-Type {kind[:100]!r} is not supported: send application/json",
        )


def _hold_same_origin(request: Request, *, strict: bool) -> None:
    """
    Refuse what a page of another origin sends.

    A browser says where a request comes from. A program says nothing, which `strict` refuses too: a form is for
    browsers.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        same = site in {"same-origin", "none"}
    elif origin is not None:
        same = urlsplit(origin).netloc == request.headers.get("host")
    else:
        same = not strict
    if not same:
        raise Refusal(HTTPStatus.FORBIDDEN, "BANNED", "This was sent from a page of another origin, which may not edit")


async def _tell(_request: Request, error: Exception) -> Response:
    """HubSpot's error body for what has no route."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    category = "OBJECT_NOT_FOUND" if status == HTTPStatus.NOT_FOUND else "VALIDATION_ERROR"
    refusal = Refusal(HTTPStatus(status), category, f"{HTTPStatus(status).phrase}: this sandbox has no such route")
    response = respond(status, refusal.body())
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response

"""The console: the pages that are built from the folder `console`, served beside the API."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URLPath
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

PAGES: Final = Path(__file__).parent / "pages"
"""Where the build writes to."""

_NOT_OURS: Final = re.compile(
    r"/(v\d+|docs|redoc|openapi\.json|graphql|health|livez|healthz|ready|readyz|version|metrics|webhooks"
    r"|robots\.txt|favicon\.ico|\.well-known)(/|$)"
)
"""Addresses of the API, also those that it does not have yet: they never become a page."""

_ASSETS: Final = "/assets/"
_ASSET: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""The build's own names. None holds a slash or begins with a dot, so none leads out of its folder."""

_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}

_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

_EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_NOT_BUILT: Final = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Obverse: the console is not built</title>
<h1>The console is not built</h1>
<p>This checkout has no built pages. Run <code>make console</code>, then load this page again.</p>
<p>The API works without it: see <a href="/docs">/docs</a>.</p>
</html>
"""


def is_page(path: str) -> bool:
    """
    Whether a path (without the root path, percent-decoded) is the console's.

    What is served there is the same for everybody and tells of nobody, so it needs no credentials.
    """
    return _NOT_OURS.match(path) is None


def serves(app: Starlette, scope: Scope) -> bool:
    """Whether a request to this app gets one of the console's pages, and not something that another route has."""
    for route in app.router.routes:
        if route.matches(scope)[0] is Match.FULL:
            return isinstance(route, _Console)
    return False


def mount(app: Starlette, pages: Path = PAGES) -> None:
    """
    Serve the console at every address that no route of the app takes and that is none of the API's.

    Call it when the app's own routes are there. Pages are read as they are asked for, so a new build needs no restart;
    while there are none, every page is answered 503 and says how to build them.
    """
    app.router.routes.append(_Console(pages))


class _Console(BaseRoute):
    """Takes GET and HEAD, and leaves everything else as if it were not there."""

    path_format = "/{page}"
    """For metrics: one name for all pages."""

    def __init__(self, pages: Path) -> None:
        self._pages = pages

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See `BaseRoute.matches`."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and is_page(_path(scope)):
            return Match.FULL, {"route": self, "endpoint": self}
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: str) -> URLPath:
        """No address is made from a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `BaseRoute.handle`."""
        path = _path(scope)
        serve = _asset if path.startswith(_ASSETS) else _index
        response = await run_in_threadpool(serve, self._pages, path)
        if Request(scope).method == "HEAD":
            response.body = b""  # its length is told already
        await response(scope, receive, send)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _asset(pages: Path, path: str) -> Response:
    """A file of the build. Its name holds a hash of its content, so it may be kept for ever."""
    name = path.removeprefix(_ASSETS)
    media_type = _TYPES.get(Path(name).suffix)
    if media_type is None or _ASSET.fullmatch(name) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    try:
        content = (pages / "assets" / name).read_bytes()
    except OSError:
        # A tab that was open during a new build asks for the old names: that is no page either.
        raise HTTPException(HTTPStatus.NOT_FOUND) from None
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, media_type=media_type, headers={**_EVERYWHERE, **kept})


def _index(pages: Path, _: str) -> Response:
    """The one page, which shows what its address names."""
    try:
        content, status = (pages / "index.html").read_bytes(), HTTPStatus.OK
    except OSError:
        content, status = _NOT_BUILT, HTTPStatus.SERVICE_UNAVAILABLE
    headers = {**_EVERYWHERE, "Cache-Control": "no-cache", "Content-Security-Policy": _policy(content)}
    return Response(content, status_code=int(status), media_type="text/html", headers=headers)


def _policy(page: bytes) -> str:
    """Nothing from elsewhere, and of scripts within the page those alone that the build put there."""
    scripts = [b64encode(sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page)]
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(["script-src 'self'", *(f"'sha256-{digest}'" for digest in scripts)]),
            # The components set styles by element; a mail that is shown brings its own, and may load nothing with them.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "frame-src 'none'",  # a mail stands in the page itself (srcdoc), which this does not hinder
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )

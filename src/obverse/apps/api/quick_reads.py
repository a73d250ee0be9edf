"""The way of reads that programs make all day long: a profile or a part of it, by an address without parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound

_NONE: Final[tuple[Match, MutableMapping[str, Any]]] = (Match.NONE, {})


class QuickReads(BaseRoute):
    """
    Answers `PREFIX/{identifier}` and `PREFIX/{identifier}/{part}`, of these parts.

    Whoever has parameters goes on to the routes of FastAPI behind it, which are documented, check parameters, and
    answer all else just the same. Finding one of those and filling in its parameters costs four times what it takes to
    find the profile and write it down.
    """

    def __init__(self, prefix: str, parts: Collection[str], read: Callable[[str, str], Awaitable[Response]]) -> None:
        """Ask `read` for the answer to an identifier, as it stands in the address, and a part, which may be empty."""
        self.path = f"{prefix}/{{identifier}}"
        """As the documented route has it: so it is sorted, and what metrics call it."""
        self._within = f"{prefix}/"
        self._read = read
        self._routes = {"": _Named(self.path), **{part: _Named(f"{self.path}/{part}") for part in parts}}

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, MutableMapping[str, Any]]:
        """Whether it answers this request, and who is asked for."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            return _NONE
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not path.startswith(self._within):
            return _NONE
        identifier, slash, part = path[len(self._within) :].partition("/")
        route = self._routes.get(part)
        if route is None or ":" not in identifier or (slash and not part):
            return _NONE
        return Match.FULL, {"route": route, "path_params": {"identifier": identifier, "part": part}}

    async def handle(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer."""
        response = await self._read(scope["path_params"]["identifier"], scope["path_params"]["part"])
        await response(scope, receive, send)

    def url_path_for(self, name: str, /, **_: Any) -> Any:
        """Nothing has its address from here."""
        raise NoMatchFound(name, {})


class _Named:
    """What metrics call a request by."""

    def __init__(self, path: str) -> None:
        self.path_format = path

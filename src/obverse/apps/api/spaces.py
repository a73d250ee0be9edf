"""Routes of Segment's Profile API: the same profiles, in the addresses and shapes that its clients know."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, NoReturn
from urllib.parse import unquote

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from obverse.apps.api.addresses import group_in, identifier_in
from obverse.apps.api.errors import SPACES, Refusal, refuse
from obverse.apps.api.groups import refused
from obverse.apps.api.identifiers import unknown
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times
from obverse.core.rates import Bucket
from obverse.flows.browse import BadGroup, NoSuchGroup
from obverse.flows.cursors import BadCursor
from obverse.flows.mirror import ACCOUNTS, GROUP_ID, USERS, Asked, Class, Mirror, Sought
from obverse.flows.mirror_views import SpaceEvents, SpaceExternalIds, SpaceLinks, SpaceMetadata, SpaceTraits

MOST_TRAITS: Final = 200
"""In one answer."""
MOST: Final = 100
"""Identifiers or events."""
MOST_LINKS: Final = 20
LONGEST: Final = 16_000
"""Characters of a list of names, or of a cursor, which may be a name."""
_TAGS: Final[list[Any]] = ["spaces"]
_ERRORS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

Space = Annotated[str, PathParameter(description="The workspace.", examples=["main"])]
Collection = Annotated[str, PathParameter(description="`users`, or `accounts`: groups.", examples=["users"])]
Name = Annotated[
    str,
    PathParameter(
        description=(
            "`kind:value`, as elsewhere; of accounts `group_id:value`. Percent-encode it as UTF-8: a `+` may be `%2B`, "
            "a `/` in the value is `%2F`."
        ),
        examples=["user_id:42"],
    ),
]
Include = Annotated[str, Query(max_length=LONGEST, description="Names, separated by commas; all, if none is given.")]
Next = Annotated[str, Query(alias="next", max_length=LONGEST, description="`next` of the answer before.")]
Day = Annotated[str | None, Query(max_length=100, examples=["2026-01-31"])]


@dataclass(frozen=True, slots=True)
class _Path:
    """What stands in a path, percent-encoded."""

    space: str
    collection: str
    identifier: str


def _path(space: Space, collection: Collection, identifier: Name) -> _Path:
    return _Path(space, collection, identifier)


def _asked(request: Request, limit: int, following: str, include: str = "") -> Asked:
    names = frozenset(filter(None, map(str.strip, include.split(","))))
    return Asked(url=request.scope["path"], limit=limit, next=following, include=names or None)


def _asked_traits(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_TRAITS, description="How many.")] = 10,
    following: Next = "",
    include: Include = "",
) -> Asked:
    return _asked(request, limit, following, include)


def _asked_others(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 10,
    following: Next = "",
    include: Include = "",
) -> Asked:
    return _asked(request, limit, following, include)


def _asked_links(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_LINKS, description="How many.")] = 10,
    following: Next = "",
) -> Asked:
    return _asked(request, limit, following)


def _sought(
    exclude: Annotated[str, Query(max_length=LONGEST, description="Names of events, separated by commas.")] = "",
    start: Annotated[Day, Query(description="Events from this time on, ISO 8601.")] = None,
    end: Annotated[Day, Query(description="Events before this time, ISO 8601.")] = None,
    sort: Annotated[Literal["desc"], Query(description="The latest first; there is no other order.")] = "desc",  # noqa: ARG001 - told what it may be
) -> Sought:
    return Sought(
        exclude=frozenset(filter(None, map(str.strip, exclude.split(",")))),
        start=_instant("start", start, times.EARLIEST),
        end=_instant("end", end, times.LATEST),
    )


def _instant(name: str, text: str | None, otherwise: int) -> int:
    at = otherwise if text is None else times.parse(text)
    if at is None:
        raise _invalid(name, f"{text!r} is no time", "write it as ISO 8601, as in 2026-01-31 or 2026-01-31T12:00:00Z")
    return at


def _invalid(parameter: str, detail: str, remedy: str) -> Refusal:
    return refuse(HTTPStatus.BAD_REQUEST, "invalid-parameter", f"{parameter}: {detail}", remedy)


Where = Annotated[_Path, Depends(_path)]
TraitsPage = Annotated[Asked, Depends(_asked_traits)]
OthersPage = Annotated[Asked, Depends(_asked_others)]
LinksPage = Annotated[Asked, Depends(_asked_links)]
Events = Annotated[Sought, Depends(_sought)]
Only = Annotated[Class | None, Query(alias="class", description="Audiences alone, or computed traits alone.")]
Verbose = Annotated[bool, Query(description="Each value with its source and time.")]
Ignored = Annotated[bool, Query(description="Taken since Segment takes it; everything is told in any case.")]


@dataclass(frozen=True, slots=True)
class _Whose:
    """What a path names."""

    collection: str
    name: str
    """The identifier, or a group's id."""


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:spaces`."""
    router = APIRouter(
        prefix=f"{SPACES}{{space}}/collections/{{collection}}/profiles/{{identifier:path}}",
        tags=_TAGS,
        dependencies=[Depends(_limit(parts))],
    )
    asking = _Asking(parts)
    _add_traits(router, asking)
    _add_ids(router, asking)
    _add_events(router, asking)
    _add_metadata(router, asking)
    _add_links(router, asking)
    return router


def _limit(parts: ApiParts) -> Callable[[], Awaitable[None]]:
    """What turns a request away that comes too soon. A process has one space, so one bucket."""
    rate = parts.space_requests_per_second
    bucket = None if rate is None else Bucket(rate, parts.runtime.elapsed())

    async def admit() -> None:
        wait = 0.0 if bucket is None else bucket.take(parts.runtime.elapsed())
        if wait > 0:
            raise refuse(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                f"a space takes {rate} requests a second",
                "ask again after the seconds in Retry-After, or raise api.space_requests_per_second",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    return admit


class _Asking:
    """What every route does around its own question."""

    def __init__(self, parts: ApiParts) -> None:
        self.mirror = Mirror(parts.serve, parts.browse, parts.runtime)
        self._parts = parts

    def whose(self, where: _Path) -> _Whose:
        """
        Read what the path names.

        Raises:
            Refusal: there is no such space or collection, or it is no identifier.
        """
        if where.space != self._parts.workspace:
            raise refuse(
                HTTPStatus.NOT_FOUND,
                "space-not-found",
                f"there is no space {unquote(where.space)!r}",
                f"write {self._parts.workspace!r}, the workspace of this installation",
            )
        if where.collection == USERS:
            return _Whose(USERS, identifier_in(self._parts.serve, where.identifier))
        if where.collection == ACCOUNTS:
            kind, _, value = group_in(where.identifier).partition(":")
            if kind == GROUP_ID and value:
                return _Whose(ACCOUNTS, value)
            raise refuse(
                HTTPStatus.BAD_REQUEST,
                "invalid-group",
                f"{group_in(where.identifier)!r} names no account",
                f"write {GROUP_ID}:value, with the groupId of its group calls",
            )
        raise refuse(
            HTTPStatus.BAD_REQUEST,
            "invalid-collection",
            f"the parameter `collection` is {unquote(where.collection)!r}",
            f"use {USERS} or {ACCOUNTS}",
        )

    async def answer(
        self,
        where: _Path,
        user: Callable[[str], Awaitable[msgspec.Struct | None]],
        account: Callable[[str], Awaitable[msgspec.Struct]],
    ) -> Response:
        """
        Ask for a user or an account, and write what is answered.

        Raises:
            Refusal: the path names nobody, or a cursor is none of ours.
        """
        whose = self.whose(where)
        try:
            found = await (user if whose.collection == USERS else account)(whose.name)
        except (BadGroup, NoSuchGroup) as error:
            raise refused(error) from error
        except BadCursor as error:
            raise _invalid("next", str(error), "take it from the answer before") from error
        if found is None:
            raise await unknown(self._parts.serve, whose.name)
        return Response(json_values.encode(found), media_type="application/json")


def _add_traits(router: APIRouter, asking: _Asking) -> None:
    mirror = asking.mirror

    @router.get(
        "/traits",
        summary="Segment's Profile API: attributes, computed traits and audiences",
        operation_id="space_traits",
        **describe(SpaceTraits, "The traits, in order of their names.", *_ERRORS),
    )
    async def traits(where: Where, asked: TraitsPage, only: Only = None, verbose: Verbose = False) -> Response:  # noqa: FBT002 - a parameter
        return await asking.answer(
            where,
            lambda one: mirror.user_traits(one, asked, only=only, verbose=verbose),
            lambda one: mirror.account_traits(one, asked, only=only, verbose=verbose),
        )


def _add_ids(router: APIRouter, asking: _Asking) -> None:
    mirror = asking.mirror

    @router.get(
        "/external_ids",
        summary="Segment's Profile API: identifiers",
        operation_id="space_external_ids",
        **describe(SpaceExternalIds, "The identifiers, in order of type and value.", *_ERRORS),
    )
    async def external_ids(where: Where, asked: OthersPage, verbose: Ignored = False) -> Response:  # noqa: ARG001, FBT002 - taken, and needless
        return await asking.answer(
            where, lambda one: mirror.user_ids(one, asked), lambda one: mirror.account_ids(one, asked)
        )


def _add_events(router: APIRouter, asking: _Asking) -> None:
    mirror = asking.mirror

    async def of_an_account(_: str) -> NoReturn:
        raise refuse(
            HTTPStatus.BAD_REQUEST,
            "invalid-parameter",
            "events are kept by user, and an account has none of its own",
            "ask for its users (links), and for the events of each",
        )

    @router.get(
        "/events",
        summary="Segment's Profile API: events of the last 14 days",
        operation_id="space_events",
        **describe(SpaceEvents, "The events, the latest first, as of the last checkpoint.", *_ERRORS),
    )
    async def events(where: Where, asked: OthersPage, sought: Events) -> Response:
        return await asking.answer(where, lambda one: mirror.user_events(one, asked, sought), of_an_account)


def _add_metadata(router: APIRouter, asking: _Asking) -> None:
    @router.get(
        "/metadata",
        summary="Segment's Profile API: when it began, and what came last",
        operation_id="space_metadata",
        **describe(SpaceMetadata, "The metadata.", *_ERRORS),
    )
    async def metadata(where: Where, verbose: Ignored = False) -> Response:  # noqa: ARG001, FBT002 - taken, and needless
        return await asking.answer(where, asking.mirror.user_metadata, asking.mirror.account_metadata)


def _add_links(router: APIRouter, asking: _Asking) -> None:
    mirror = asking.mirror

    @router.get(
        "/links",
        summary="Segment's Profile API: the accounts of a user, the users of an account",
        operation_id="space_links",
        **describe(SpaceLinks, "The links.", *_ERRORS),
    )
    async def links(where: Where, asked: LinksPage) -> Response:
        return await asking.answer(
            where, lambda one: mirror.user_links(one, asked), lambda one: mirror.account_links(one, asked)
        )

"""Routes of sources: who sends events, by what rules. A write key is told once, in the answer that makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.door import who
from obverse.apps.api.errors import Refusal, refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.apps.data_folder import BadDataFolder
from obverse.apps.sources import (
    BadSourceName,
    NoSuchSource,
    SourceExists,
    add_source,
    new_key,
    retire_keys,
    rotate_key,
)
from obverse.apps.stored_sources import StoredSources
from obverse.core import json_values
from obverse.core.definitions import Definitions, Source
from obverse.core.tracking_plans import version_text
from obverse.ports.definition_store import LostRace

_TAGS: Final[list[Any]] = ["sources"]
_HOW: Final = 'send {"name": "web"}; a name has a-z, 0-9, - and _'
_ERRORS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_Name = Annotated[str, Path(description="The source's name.", pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]


class SourceView(msgspec.Struct, frozen=True):
    """Who sends events, as its definition says."""

    name: str
    description: str
    enabled: bool
    keys: Annotated[int, Meta(description="Write keys that open it: two while one is being replaced.")]
    allowed_origins: Annotated[list[str], Meta(description="Pages that may send; any, if none is named.")]
    drops_bots: bool
    limits: Annotated[dict[str, int], Meta(description="What is not as for all sources.")]
    requests_per_second: int | None
    tracking_plan: Annotated[str | None, Meta(description="Name and version.", examples=["shop 1.0"])]
    mode: Annotated[str | None, Meta(description="What becomes of what is not planned: block, omit or allow.")]


class SourcesView(msgspec.Struct, frozen=True):
    """Every source that is defined."""

    sources: list[SourceView]


class NewSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source that is to be."""

    name: str


class NewKey(msgspec.Struct, frozen=True):
    """A write key, told this once: only its hash is kept. The collector takes it within two seconds."""

    source: str
    write_key: str


class Retired(msgspec.Struct, frozen=True):
    """Only the newest key is good from now on."""

    source: str


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:sources`."""
    router = APIRouter(prefix="/v1/sources", tags=_TAGS)
    _add_pages(router, parts.definitions)
    _add_new(router, parts)
    _add_rotation(router, parts)
    return router


def _add_pages(router: APIRouter, definitions: Callable[[], Definitions]) -> None:
    @router.get(
        "",
        summary="Sources that are defined",
        operation_id="sources",
        **describe(SourcesView, "The sources."),
    )
    async def sources() -> Response:
        now = definitions()
        return _answer(SourcesView([_view(one, now) for one in sorted(now.sources, key=lambda one: one.name)]))


def _add_new(router: APIRouter, parts: ApiParts) -> None:
    stored = StoredSources(parts.definition_store, parts.runtime)

    @router.post(
        "",
        summary="Make a source, and tell its write key once",
        operation_id="add_source",
        **describe_body(describe(NewKey, "The key.", HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT), NewSource),
    )
    async def add(request: Request) -> Response:
        wanted = await read_body(request, NewSource, _HOW)
        key = new_key()
        by = await who(parts.sign_in, request)
        await _write(
            parts, lambda place: add_source(place, wanted.name, key), lambda: stored.add(wanted.name, key, by=by)
        )
        return _answer(NewKey(wanted.name, key))


def _add_rotation(router: APIRouter, parts: ApiParts) -> None:
    stored = StoredSources(parts.definition_store, parts.runtime)

    @router.post(
        "/{name}/rotate",
        summary="Make another write key, and tell it once; the one before stays good until it is retired",
        operation_id="rotate_key",
        **describe(NewKey, "The key.", *_ERRORS),
    )
    async def rotate(name: _Name, request: Request) -> Response:
        key, by = new_key(), await who(parts.sign_in, request)
        await _write(parts, lambda place: rotate_key(place, name, key), lambda: stored.rotate(name, key, by=by))
        return _answer(NewKey(name, key))

    @router.post(
        "/{name}/retire",
        summary="Let only the newest write key open a source",
        operation_id="retire_keys",
        **describe(Retired, "It does.", *_ERRORS),
    )
    async def retire(name: _Name, request: Request) -> Response:
        by = await who(parts.sign_in, request)
        await _write(parts, lambda place: retire_keys(place, name), lambda: stored.retire(name, by=by))
        return _answer(Retired(name))


async def _write(
    parts: ApiParts, into_file: Callable[[FilePath], object], into_store: Callable[[], Awaitable[None]]
) -> None:
    """Into the folder that somebody applies, where there is one: else the next change there would undo it."""
    try:
        if parts.definitions_folder is None:
            await into_store()
        else:
            await asyncio.to_thread(into_file, parts.definitions_folder)
    except BadSourceName as error:
        raise refuse(HTTPStatus.BAD_REQUEST, "invalid-body", str(error), _HOW) from error
    except SourceExists as error:
        raise refuse(
            HTTPStatus.CONFLICT, "source-exists", str(error), "choose another name, or rotate the key of that one"
        ) from error
    except NoSuchSource as error:
        raise refuse(
            HTTPStatus.NOT_FOUND, "source-not-found", str(error), "make it, or write the hash into its file"
        ) from error
    except LostRace as error:
        raise refuse(
            HTTPStatus.CONFLICT, "lost-race", f"others change definitions at the same time: {error}", "ask again"
        ) from error
    except (BadDataFolder, OSError) as error:
        raise _unwritable(error) from error


def _unwritable(error: Exception) -> Refusal:
    return refuse(
        HTTPStatus.CONFLICT,
        "definitions-unwritable",
        f"the definition cannot be written: {error}",
        "let this process write there, or write the file where definitions are kept",
    )


def _view(one: Source, now: Definitions) -> SourceView:
    held = now.held.get(one.name)
    return SourceView(
        name=one.name,
        description=one.description,
        enabled=one.enabled,
        keys=len(one.key_hashes),
        allowed_origins=sorted(one.origins),
        drops_bots=one.drops_bots,
        limits=dict(one.limits),
        requests_per_second=one.requests_per_second,
        tracking_plan=None if held is None else f"{held.plan.name} {version_text(held.plan.version)}",
        mode=None if held is None else held.mode,
    )


def _answer(view: msgspec.Struct) -> Response:
    return Response(json_values.encode(view), media_type="application/json")

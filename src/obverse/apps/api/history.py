"""Routes of the past: a profile as of a time, compared between two, restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.addresses import identifier_in
from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import refuse
from obverse.apps.api.identifiers import Identifier, unknown
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times
from obverse.flows.history import BadTime, NotThere, NotWhole
from obverse.flows.history_views import ComparisonView, RestorationView
from obverse.flows.restoring import UnknownAttribute, Unnameable
from obverse.flows.serve import Found

_ERRORS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
_HOW: Final = (
    'send {"as_of": "2026-01-31T12:00:00Z"}, with "attributes": [names] for some of them, and "preview": true to see '
    "what would be written"
)
_TIME: Final = "write a time that is over as 2026-01-31T12:00:00Z; a + in it is %2B in an address"


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What attributes are to say again."""

    as_of: Annotated[str, Meta(description="What they said at this time, ISO 8601.")]
    attributes: Annotated[
        list[str] | None, Meta(description="These alone; without it, all that are told now or were then.")
    ] = None
    preview: Annotated[bool, Meta(description="Tell what would be written, and write nothing.")] = False


def add_history(router: APIRouter, parts: ApiParts) -> None:
    """Add the routes; before those that would take their last part for a value."""
    _add_compare(router, parts)
    _add_restore(router, parts)


async def find_past(parts: ApiParts, name: str, as_of: str) -> Found:
    """
    Find who had an identifier at a time.

    Raises:
        Refusal: the time is none, or nobody had it.
    """
    with _refused():
        found = await parts.history.profile(name, _time("query.as_of", as_of))
    if found is None:
        raise await unknown(parts.serve, name)
    return found


def _add_compare(router: APIRouter, parts: ApiParts) -> None:
    @router.get(
        "/{identifier:path}/compare",
        summary="What is different of a profile at two times",
        operation_id="compare_profile",
        **describe(ComparisonView, "What is different.", *_ERRORS),
    )
    async def compare(
        identifier: Identifier,
        began: Annotated[str, Query(alias="from", description="The earlier time, ISO 8601.")],
        to: Annotated[str | None, Query(description="The later time; now, if it is left out.")] = None,
    ) -> Response:
        name = identifier_in(parts.serve, identifier)
        with _refused():
            earlier = _time("query.from", began)
            later = parts.runtime.now() if to is None else _time("query.to", to)
            found = await parts.history.compare(name, earlier, later)
        if found is None:
            raise await unknown(parts.serve, name)
        return Response(json_values.encode(found), media_type="application/json")


def _add_restore(router: APIRouter, parts: ApiParts) -> None:
    @router.post(
        "/{identifier:path}/restore",
        summary="Have attributes say what they said at a time",
        operation_id="restore_profile",
        description=(
            "Writes their values of then anew, by an identify of its own that the collector appends to the log: "
            "connections follow as for any event. Asked for again, it writes nothing."
        ),
        **describe_body(describe(RestorationView, "What is written.", *_ERRORS, HTTPStatus.CONFLICT), Restore),
    )
    async def restore(identifier: Identifier, request: Request) -> Response:
        name = identifier_in(parts.serve, identifier)
        wanted = await read_body(request, Restore, _HOW)
        if wanted.attributes is not None and not wanted.attributes:
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-body", "attributes is empty: leave it out for all", _HOW)
        with _refused():
            at = _time("as_of", wanted.as_of)
            found = await parts.history.restore(name, at, wanted.attributes, preview=wanted.preview)
        if found is None:
            raise await unknown(parts.serve, name)
        return Response(json_values.encode(found), media_type="application/json")


def _time(where: str, text: str) -> int:
    at = times.parse(text.strip())
    if at is None:
        raise BadTime(f"{where}: {text[:60]!r} is no ISO 8601 time")
    return at


@contextmanager
def _refused() -> Iterator[None]:
    """Tell what the past refuses as a problem."""
    try:
        yield
    except BadTime as error:
        raise refuse(HTTPStatus.BAD_REQUEST, "invalid-time", str(error), _TIME) from error
    except NotThere as error:
        raise refuse(HTTPStatus.NOT_FOUND, "not-there-yet", str(error), error.remedy) from error
    except UnknownAttribute as error:
        raise refuse(
            HTTPStatus.BAD_REQUEST, "unknown-attribute", str(error), "name some of these, or none for all"
        ) from error
    except (NotWhole, Unnameable) as error:
        detail, _, remedy = str(error).rpartition(": ")
        raise refuse(HTTPStatus.CONFLICT, "not-restorable", detail, remedy) from error

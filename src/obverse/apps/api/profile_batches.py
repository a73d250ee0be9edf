"""The route that reads many profiles at once."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.errors import Problem, Refusal, explain, refuse
from obverse.apps.api.identifiers import nobody
from obverse.apps.api.schema import describe
from obverse.core import json_values
from obverse.flows.serve import BadIdentifier, Found, ReadFrom, Serve
from obverse.flows.views import AttributeView, AudienceView, GroupOfView, IdentifierView, ProfileView, Traits

MOST: Final = 200
"""Profiles in one answer."""

Part = Literal["traits", "audiences", "attributes", "identifiers", "groups"]
_PARTS: Final[tuple[Part, ...]] = ("traits", "audiences", "attributes", "identifiers", "groups")


class ReadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which profiles are read, and what of each."""

    identifiers: Annotated[
        list[str], Meta(max_length=MOST, description="`kind:value` each, as it is: not percent-encoded.")
    ]
    include: Annotated[list[Part], Meta(description="Parts of each profile; all of these, if none is named.")] = []


class ReadProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile: of its parts those that were asked for."""

    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    changed_at: Annotated[str, Meta(description="Arrival of the event that changed it last.")]
    traits: Traits | UnsetType = UNSET
    audiences: list[AudienceView] | UnsetType = UNSET
    attributes: dict[str, AttributeView] | UnsetType = UNSET
    identifiers: list[IdentifierView] | UnsetType = UNSET
    groups: list[GroupOfView] | UnsetType = UNSET


class ReadOne(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one identifier."""

    identifier: Annotated[str, Meta(description="As it was asked for.")]
    found: bool
    profile: ReadProfile | None = None
    read_from: Annotated[ReadFrom | None, Meta(description="As the header `Obverse-Read-From` of one profile.")] = None
    problem: Annotated[Problem | None, Meta(description="Why there is none; `status` as it would be alone.")] = None


class ReadProfiles(msgspec.Struct, frozen=True):
    """What was found, in the order in which it was asked for."""

    profiles: list[ReadOne]


_HOW: Final = 'send {"identifiers": ["user_id:42", …], "include": ["traits", …]}, with ' + f"at most {MOST} identifiers"


def add_batches(router: APIRouter, serve: Serve) -> None:
    """Add the route to those of profiles."""

    @router.post(
        "/read",
        summary="Many profiles at once",
        operation_id="read_profiles",
        **describe_body(
            describe(
                ReadProfiles,
                "Each found or not by itself.",
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.SERVICE_UNAVAILABLE,
            ),
            ReadRequest,
        ),
    )
    async def read_profiles(request: Request) -> Response:
        wanted = await read_body(request, ReadRequest, _HOW)
        answer = await _read(serve, wanted)
        return Response(json_values.encode(answer), media_type="application/json")


async def _read(serve: Serve, wanted: ReadRequest) -> ReadProfiles:
    names: dict[str, str] = {}
    refused: dict[str, Refusal] = {}
    for asked in wanted.identifiers:
        try:
            names[asked] = serve.parsed(asked)
        except BadIdentifier as error:
            how = f"write kind:value, with a kind of {', '.join(serve.kinds)}"
            refused[asked] = refuse(HTTPStatus.BAD_REQUEST, "invalid-identifier", str(error), how)
    found = await serve.find_all(names.values())
    told: dict[str, ReadOne] = {}
    for asked in dict.fromkeys(wanted.identifiers):
        name = names.get(asked)
        known = refused[asked] if name is None else found.get(name) or nobody(serve, name)
        if isinstance(known, Found):
            profile = _parts(known.view, wanted.include or _PARTS)
            told[asked] = ReadOne(identifier=asked, found=True, profile=profile, read_from=known.read_from)
        else:
            told[asked] = ReadOne(identifier=asked, found=False, problem=explain(known).problem)
    return ReadProfiles([told[asked] for asked in wanted.identifiers])


def _parts(view: ProfileView, include: Sequence[Part]) -> ReadProfile:
    return ReadProfile(id=view.id, changed_at=view.changed_at, **{part: getattr(view, part) for part in include})

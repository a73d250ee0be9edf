"""Routes that write definitions and remove them, as the console does; what files say is left to them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.door import who
from obverse.apps.api.errors import Flaw, Refusal, refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core.documents import VERSION
from obverse.core.documents.written import Key
from obverse.flows.edit_definitions import (
    ChangedMeanwhile,
    ExistsAlready,
    FlawedDocument,
    NoSuchDefinition,
    OfAnotherProject,
)
from obverse.ports.definition_store import LostRace

Kind = Annotated[str, Path(description="Such as `trait` or `tracking_plan`.")]
Name = Annotated[str, Path(description="Its name.")]
IfMatch = Annotated[
    str | None,
    Header(description="The `ETag` of the definition as it was read; without it, it is a new one.", examples=['"7"']),
]
_TAG: Final = re.compile(r'"([0-9]{1,18})"')
_HOW: Final = 'send {"description": "…", "spec": {…}}, as `metadata` and `spec` of a file say it'
_ERRORS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class NewDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a definition is to say; its kind and name are in the address."""

    spec: dict[str, Any]
    description: str = ""
    labels: dict[str, str] = {}


class WrittenDefinition(msgspec.Struct, frozen=True):
    """It is in force."""

    kind: str
    name: str
    changed_in: Annotated[int, Meta(description="Version of the set that brought it as it is; its `ETag`.")]


class RemovedDefinition(msgspec.Struct, frozen=True):
    """It is in force no more."""

    kind: str
    name: str


def etag(changed_in: int) -> str:
    """What stands for a definition as it is."""
    return f'"{changed_in}"'


def add_edits(router: APIRouter, parts: ApiParts) -> None:
    """Add the routes."""
    edit = parts.edit_definitions

    @router.put(
        "/{kind}/{name}",
        summary="Write a definition, with the checks of `obverse apply`; it belongs to the project `console`",
        operation_id="put_definition",
        **describe_body(describe(WrittenDefinition, "It is in force.", *_ERRORS), NewDefinition),
    )
    async def put(kind: Kind, name: Name, request: Request, if_match: IfMatch = None) -> Response:
        wanted = await read_body(request, NewDefinition, _HOW)
        read_as = None if if_match is None else _version(if_match)
        by = await who(parts.sign_in, request)
        try:
            entry = await edit.put(_tree(kind, name, wanted), read_as=read_as, by=by)
        except (FlawedDocument, OfAnotherProject, ChangedMeanwhile, ExistsAlready, LostRace) as error:
            raise _refused(error) from error
        view = WrittenDefinition(kind, name, entry.changed_in)
        return Response(
            msgspec.json.encode(view), media_type="application/json", headers={"ETag": etag(entry.changed_in)}
        )

    @router.delete(
        "/{kind}/{name}",
        summary="Remove a definition of the project `console`",
        operation_id="remove_definition",
        **describe(RemovedDefinition, "It is removed.", HTTPStatus.NOT_FOUND, *_ERRORS),
    )
    async def remove(
        kind: Kind,
        name: Name,
        request: Request,
        if_match: IfMatch = None,
        version: Annotated[str, Query(description="Of a tracking plan.")] = "",
    ) -> Response:
        if if_match is None:
            raise _BLIND
        by = await who(parts.sign_in, request)
        try:
            await edit.remove(Key(kind, name, version), read_as=_version(if_match), by=by)
        except NoSuchDefinition as error:
            raise no_such(str(error)) from error
        except (FlawedDocument, OfAnotherProject, ChangedMeanwhile, LostRace) as error:
            raise _refused(error) from error
        return Response(msgspec.json.encode(RemovedDefinition(kind, name)), media_type="application/json")


def no_such(what: str) -> Refusal:
    """There is no such definition."""
    return refuse(HTTPStatus.NOT_FOUND, "definition-not-found", what, "GET /v1/definitions lists what is defined")


_BLIND: Final = refuse(
    HTTPStatus.BAD_REQUEST,
    "invalid-parameter",
    "header.if-match: it is missing, so a change that somebody else made would be lost unseen",
    "read the definition, and send its `ETag` as `If-Match`",
)


def _tree(kind: str, name: str, wanted: NewDefinition) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if wanted.description:
        metadata["description"] = wanted.description
    if wanted.labels:
        metadata["labels"] = wanted.labels
    return {"version": VERSION, "kind": kind, "metadata": metadata, "spec": wanted.spec}


def _version(if_match: str) -> int:
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise refuse(
            HTTPStatus.BAD_REQUEST,
            "invalid-parameter",
            f"header.if-match: {if_match[:100]!r} is no ETag of a definition",
            'send the `ETag` that GET answers with, such as "7"; leave `If-Match` out to make a new one',
        )
    return int(found[1])


def _refused(error: Exception) -> Refusal:
    match error:
        case FlawedDocument():
            return _flawed(error)
        case OfAnotherProject():
            return refuse(
                HTTPStatus.CONFLICT,
                "of-another-project",
                str(error),
                "change it in those files, and `obverse apply` them; or take another name. `obverse pull --all` "
                "writes it into files where there are none",
            )
        case ChangedMeanwhile():
            return refuse(
                HTTPStatus.PRECONDITION_FAILED,
                "changed-meanwhile",
                str(error),
                "read it again, and change what is there now",
            )
        case ExistsAlready():
            return refuse(
                HTTPStatus.CONFLICT,
                "definition-exists",
                str(error),
                "take another name; or read it, and send its `ETag` as `If-Match` to change it",
            )
    return refuse(
        HTTPStatus.CONFLICT, "lost-race", "others change definitions at the same time; nothing was written", "ask again"
    )


def _flawed(error: FlawedDocument) -> Refusal:
    refusal = refuse(
        HTTPStatus.BAD_REQUEST,
        "flawed-definition",
        "; ".join(": ".join(filter(None, (one.where, one.what))) for one in error.flaws),
        "correct what is named; nothing was written",
    )
    errors = [Flaw(one.where, one.what) for one in error.flaws]
    return Refusal(msgspec.structs.replace(refusal.problem, errors=errors))

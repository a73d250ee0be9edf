"""Routes of loads: a file of history uploaded, looked at, corrected, brought in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from obverse.apps.api.bodies import describe_body, read_body
from obverse.apps.api.door import who
from obverse.apps.api.errors import Refusal, refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.apps.loads.kept import Asked, Busy, KeptLoads, NoSuchLoad, TooLarge
from obverse.core import json_values

_TAGS: Final[list[Any]] = ["loads"]
_ERRORS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_HOW: Final = 'send {"type": "identify", "columns": {"E-Mail": {"to": "email", "type": "text"}}}, as a load shows it'
_ANY_FILE: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_Id = Annotated[str, Path(description="The load's id.", pattern="^[a-z0-9]{8,64}$")]


class LoadColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one column is."""

    to: Annotated[
        str | None,
        Meta(description="user_id, anonymous_id, event, timestamp, message_id, or a name of its own; null: left out."),
    ] = None
    type: Annotated[str, Meta(description="As `obverse load --type` takes it.", examples=["date:DD.MM.YYYY"])] = "text"


class LoadMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How rows become events."""

    type: Annotated[str, Meta(description="identify, track, or events: each row is a whole one.")]
    event: Annotated[str, Meta(description="Name of each row's event, unless a column names it.")] = ""
    zone: Annotated[str, Meta(description="Of times without one.")] = "UTC"
    at: Annotated[str, Meta(description="When it happened, if no column says it.")] = ""
    columns: dict[str, LoadColumn] = {}


class LoadReason(msgspec.Struct, frozen=True):
    """Rows that are refused for the same."""

    column: str
    reason: str
    line: Annotated[int, Meta(description="Of the first of them.")]
    rows: int


class LoadTrial(msgspec.Struct, frozen=True):
    """What would come of it."""

    taken: int
    refused: int
    whole: Annotated[bool, Meta(description="Whether every row was looked at.")]
    events: Annotated[list[str], Meta(description="The first ones, as JSON text.")]
    reasons: list[LoadReason]


class LoadView(msgspec.Struct, frozen=True):
    """A file that was uploaded, and what becomes of it."""

    id: str
    name: str
    size: Annotated[int, Meta(description="Bytes.")]
    made_at: str
    by: str
    state: Annotated[str, Meta(description="uploaded, running, stopped, done or failed.")]
    message: Annotated[str, Meta(description="What is wrong, and what to do; empty if nothing is.")]
    format: str
    notes: Annotated[list[str], Meta(description="What was found out of the file.")]
    columns: list[str]
    doubts: Annotated[dict[str, str], Meta(description="Column -> what is doubtful about its guess.")]
    mapping: LoadMapping | None
    trial: LoadTrial | None
    position: Annotated[float, Meta(description="How much of it was read, from 0 to 1.")]
    taken: int
    refused: int
    rejects: Annotated[bool, Meta(description="Whether there is a reject file.")]


class LoadsView(msgspec.Struct, frozen=True):
    """Every load, the latest first."""

    loads: list[LoadView]
    most_bytes: Annotated[int, Meta(description="Of a file that is uploaded.")]


class Removed(msgspec.Struct, frozen=True):
    """The file is gone; what came in stays."""

    id: str


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:loads`."""
    router = APIRouter(prefix="/v1/loads", tags=_TAGS)
    _add_upload(router, parts)
    _add_reading(router, parts)
    _add_changes(router, parts)
    _add_course(router, parts)
    return router


def _add_upload(router: APIRouter, parts: ApiParts) -> None:
    described = describe(LoadView, "The load.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, status=HTTPStatus.CREATED)
    described["openapi_extra"]["requestBody"] = {"required": True, "content": _ANY_FILE}

    @router.post("", summary="Upload a file", operation_id="add_load", status_code=HTTPStatus.CREATED, **described)
    async def add(
        request: Request,
        name: Annotated[str, Query(description="The file's name.", min_length=1, max_length=200)],
    ) -> Response:
        loads = _kept(parts)
        by = await who(parts.sign_in, request)
        try:
            made = await loads.add(name, _parts(request), by=by)
        except TooLarge as error:
            raise refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too-large",
                f"the file has more than {loads.most_bytes >> 20} MiB",
                "set load.upload_mb (OBVERSE_LOAD__UPLOAD_MB), or load it with `obverse load`",
            ) from error
        return _answer(_view(loads, made), HTTPStatus.CREATED)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    async for part in request.stream():
        yield part


def _add_reading(router: APIRouter, parts: ApiParts) -> None:
    @router.get("", summary="Loads, the latest first", operation_id="loads", **describe(LoadsView, "The loads."))
    async def every() -> Response:
        loads = _kept(parts)
        return _answer(LoadsView([_view(loads, one) for one in loads.all()], loads.most_bytes))

    @router.get("/{load}", summary="One load", operation_id="load", **describe(LoadView, "The load.", *_ERRORS[:2]))
    async def one(load: _Id) -> Response:
        loads = _kept(parts)
        return _answer(_view(loads, _found(loads, load)))

    described = describe(LoadView, "The file.", *_ERRORS[:2])
    described["responses"][HTTPStatus.OK]["content"] = _ANY_FILE

    @router.get(
        "/{load}/rejects",
        summary="The reject file: rows that were refused, each with its reason",
        operation_id="load_rejects",
        **described,
    )
    async def rejects(load: _Id) -> Response:
        loads = _kept(parts)
        _, path = loads.standing(_found(loads, load))
        if path is None:
            raise refuse(HTTPStatus.NOT_FOUND, "no-rejects", "no row of it was refused", "look at the load")
        return FileResponse(FilePath(path), filename=path.name, media_type="application/octet-stream")


def _add_changes(router: APIRouter, parts: ApiParts) -> None:
    @router.put(
        "/{load}/mapping",
        summary="Say what its columns are",
        operation_id="map_load",
        **describe_body(describe(LoadView, "The load, looked at by this mapping.", *_ERRORS), LoadMapping),
    )
    async def put(load: _Id, request: Request) -> Response:
        loads = _kept(parts)
        wanted = await read_body(request, LoadMapping, _HOW)
        try:
            tried = await loads.try_out(load, {"version": _VERSION, "kind": _KIND, **msgspec.to_builtins(wanted)})
        except (NoSuchLoad, Busy) as error:
            raise _refused(error) from error
        if tried.message:
            raise refuse(HTTPStatus.BAD_REQUEST, "invalid-mapping", tried.message, _HOW)
        return _answer(_view(loads, tried))

    @router.post(
        "/{load}/try",
        summary="Look at every row, and send none",
        operation_id="try_load",
        **describe(LoadView, "The load, all of it looked at.", *_ERRORS),
    )
    async def try_out(load: _Id) -> Response:
        loads = _kept(parts)
        try:
            return _answer(_view(loads, await loads.try_out(load, None, rows=None)))
        except (NoSuchLoad, Busy) as error:
            raise _refused(error) from error


_VERSION: Final = "obverse/v1"
_KIND: Final = "load_mapping"


def _add_course(router: APIRouter, parts: ApiParts) -> None:
    @router.post(
        "/{load}/start",
        summary="Bring it in, from where it was stopped",
        operation_id="start_load",
        **describe(LoadView, "The load, which runs.", *_ERRORS),
    )
    async def start(load: _Id) -> Response:
        loads = _kept(parts)
        try:
            return _answer(_view(loads, loads.start(load)))
        except (NoSuchLoad, Busy) as error:
            raise _refused(error) from error

    @router.post(
        "/{load}/stop",
        summary="Stop it; what came in stays",
        operation_id="stop_load",
        **describe(LoadView, "The load, at rest.", *_ERRORS),
    )
    async def stop(load: _Id) -> Response:
        loads = _kept(parts)
        try:
            return _answer(_view(loads, await loads.stop(load)))
        except NoSuchLoad as error:
            raise _refused(error) from error

    @router.delete(
        "/{load}",
        summary="Remove its file; what came in stays",
        operation_id="remove_load",
        **describe(Removed, "It is gone.", *_ERRORS),
    )
    async def remove(load: _Id) -> Response:
        loads = _kept(parts)
        try:
            await loads.remove(load)
        except (NoSuchLoad, Busy) as error:
            raise _refused(error) from error
        return _answer(Removed(load))


def _kept(parts: ApiParts) -> KeptLoads:
    if parts.loads is None:
        raise refuse(
            HTTPStatus.CONFLICT, "no-loads", "files are not kept here", "bring it in with the command `obverse load`"
        )
    return parts.loads


def _found(loads: KeptLoads, load: str) -> Asked:
    try:
        return loads.find(load)
    except NoSuchLoad as error:
        raise _refused(error) from error


def _refused(error: NoSuchLoad | Busy) -> Refusal:
    if isinstance(error, Busy):
        return refuse(HTTPStatus.CONFLICT, "load-runs", str(error), "stop it, or wait for its end")
    return refuse(HTTPStatus.NOT_FOUND, "load-not-found", f"there is no load {error}", "take an id from GET /v1/loads")


def _view(loads: KeptLoads, one: Asked) -> LoadView:
    trial = one.trial
    standing, rejects = loads.standing(one)
    mapping = {name: value for name, value in trial.get("mapping", {}).items() if name not in {"version", "kind"}}
    return LoadView(
        id=one.id,
        name=one.name,
        size=one.size,
        made_at=one.made_at,
        by=one.by,
        state=one.state,
        message=one.message,
        format=trial.get("format", ""),
        notes=trial.get("notes", []),
        columns=trial.get("columns", []),
        doubts=trial.get("doubts", {}),
        mapping=msgspec.convert(mapping, LoadMapping) if mapping else None,
        trial=_trial(trial) if trial else None,
        position=standing.position,
        taken=standing.taken,
        refused=standing.refused,
        rejects=rejects is not None,
    )


def _trial(trial: dict[str, Any]) -> LoadTrial:
    return LoadTrial(
        taken=trial["taken"],
        refused=trial["refused"],
        whole=trial["whole"],
        events=trial["events"],
        reasons=[msgspec.convert(one, LoadReason) for one in trial["reasons"]],
    )


def _answer(view: msgspec.Struct, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json_values.encode(view), status_code=int(status), media_type="application/json")

"""Routes of definitions: what is in force, as it was written, and who changed it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from obverse.adapters.definition_files.yaml_text import as_yaml
from obverse.apps.api.definition_edits import Kind, Name, add_edits, etag, no_such
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times
from obverse.core.documents.written import Key
from obverse.core.flaws import Flaw, readable
from obverse.flows.apply_definitions import PlannedChange
from obverse.ports.definition_store import Change, DefinitionStore, Entry

MOST: Final = 500
"""Changes in one answer, or a few more: those of one version are never parted."""
YAML: Final = "application/yaml"
JSON: Final = "application/json"
_TAGS: Final[list[Any]] = ["definitions"]
_Version = Annotated[str | None, Meta(description="Of a tracking plan.", examples=["1.0"])]
_Time = Annotated[str, Meta(description="RFC 3339.")]


class DefinitionView(msgspec.Struct, frozen=True):
    """A definition, and who wrote it last."""

    kind: str
    name: str
    version: _Version
    description: str
    project: Annotated[str, Meta(description="Which project wrote it last; `console`: nobody's files.")]
    changed_by: str
    changed_at: _Time
    changed_in: Annotated[int, Meta(description="Version of the set that brought it as it is.")]


class DefinitionsView(msgspec.Struct, frozen=True):
    """All that is in force."""

    version: Annotated[int, Meta(description="Of the set: grows with every change.")]
    definitions: list[DefinitionView]


class DefinitionDocumentView(DefinitionView, frozen=True):
    """A definition, with what it says."""

    document: Annotated[dict[str, Any], Meta(description="As it was written.")]
    yaml: Annotated[str, Meta(description="The same, as a file.")]


class DefinitionChangeView(msgspec.Struct, frozen=True):
    """One change of one definition."""

    set_version: int
    kind: str
    name: str
    version: _Version
    removed: bool
    project: str
    changed_by: str
    changed_at: _Time


class DefinitionChangesView(msgspec.Struct, frozen=True):
    """Changes, the latest first."""

    changes: list[DefinitionChangeView]
    next: Annotated[int | None, Meta(description="`before` of those that come after these; null at the end.")]


class FlawView(msgspec.Struct, frozen=True):
    """One thing that is wrong in a file."""

    file: str
    line: int
    column: int
    rule: Annotated[str, Meta(examples=["OB012"])]
    what: str


class DifferenceView(msgspec.Struct, frozen=True):
    """A file that says otherwise than what is in force."""

    kind: str
    name: str
    version: _Version
    missing: Annotated[bool, Meta(description="Whether nothing of the kind is in force.")]
    place: Annotated[str, Meta(description="File and line.")]
    drifted: Annotated[bool, Meta(description="Whether the file says what was in force once, before another's change.")]


class FolderView(msgspec.Struct, frozen=True):
    """The folder that is followed, and whether what is in force is what its files say."""

    folder: Annotated[str | None, Meta(description="Null if none is followed here: then nothing is known of files.")]
    project: str | None
    flaws: Annotated[list[FlawView], Meta(description="If there are any, nothing of the folder comes into force.")]
    differences: list[DifferenceView]
    kept: Annotated[list[str], Meta(description="What the project has in force, and no file says any more.")]


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:definitions`."""
    router = APIRouter(prefix="/v1/definitions", tags=_TAGS)
    _add_lists(router, parts.definition_store)
    _add_folder(router, parts)
    _add_document(router, parts.definition_store)
    add_edits(router, parts)
    return router


def _add_lists(router: APIRouter, store: DefinitionStore) -> None:
    @router.get(
        "",
        summary="What is defined, and who changed it last",
        operation_id="definitions",
        **describe(DefinitionsView, "The definitions.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def definitions() -> Response:
        found = await store.read()
        return _answer(DefinitionsView(found.version, [_view(one) for one in found.entries]))

    @router.get(
        "/changes",
        summary="What was changed, when and by whom, the latest first",
        operation_id="definition_changes",
        **describe(DefinitionChangesView, "The changes.", HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def changes(
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many, or a few more.")] = 50,
        before: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the answer before.")] = None,
    ) -> Response:
        found = await store.history(limit=limit, before=before)
        after = found[-1].set_version if found and found[-1].set_version > 1 else None
        return _answer(DefinitionChangesView([_change(one) for one in found], after))


def _add_document(router: APIRouter, store: DefinitionStore) -> None:
    headers = {"ETag": {"description": "Stands for it as it is.", "schema": {"type": "string"}}}
    errors = (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
    described = describe(
        DefinitionDocumentView, "The document, or as JSON what is known of it.", *errors, headers=headers
    )
    content = described["responses"][int(HTTPStatus.OK)]["content"]
    described["responses"][int(HTTPStatus.OK)]["content"] = {YAML: {"schema": {"type": "string"}}, **content}

    @router.get(
        "/{kind}/{name}",
        summary="One definition, as YAML that `obverse apply` takes; with `Accept: application/json`, as JSON",
        operation_id="definition",
        **described,
    )
    async def definition(
        request: Request,
        kind: Kind,
        name: Name,
        version: Annotated[str | None, Query(description="Of a tracking plan; the latest, if none is named.")] = None,
    ) -> Response:
        fit = [
            one
            for one in (await store.read()).entries
            if one.document.key[:2] == (kind, name) and version in {None, one.document.key.version}
        ]
        if not fit:
            title = Key(kind, name, version or "").title
            raise no_such(f"there is no {title}")
        latest = max(fit, key=lambda one: [int(part) for part in one.document.key.version.split(".") if part])
        headers = {"ETag": etag(latest.changed_in)}
        text = as_yaml(latest.document.tree)
        if JSON not in request.headers.get("accept", ""):
            return Response(text, media_type=YAML, headers=headers)
        told = msgspec.structs.asdict(_view(latest))
        view = DefinitionDocumentView(**told, document=latest.document.tree, yaml=text)
        return Response(json_values.encode(view), media_type=JSON, headers=headers)


def _add_folder(router: APIRouter, parts: ApiParts) -> None:
    @router.get(
        "/folder",
        summary="The folder that is followed, and in what its files differ from what is in force",
        operation_id="definitions_folder",
        **describe(FolderView, "The folder.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def folder() -> Response:
        if parts.compare_folder is None or parts.definitions_folder is None:
            return _answer(FolderView(None, None, [], [], []))
        try:
            plan = await parts.compare_folder()
        except ValueError as error:  # it is not there
            flaw = FlawView(str(parts.definitions_folder), 0, 0, "OB001", str(error))
            return _answer(FolderView(str(parts.definitions_folder), None, [flaw], [], []))
        return _answer(
            FolderView(
                str(parts.definitions_folder),
                plan.scope.project,
                [_flaw(one) for one in plan.flaws],
                [_difference(one) for one in plan.changes],
                [one.document.key.title for one in plan.kept],
            )
        )


def _flaw(one: Flaw) -> FlawView:
    return FlawView(readable(one.file), one.line, one.column, one.rule, readable(one.what))


def _difference(one: PlannedChange) -> DifferenceView:
    return DifferenceView(
        kind=one.key.kind,
        name=one.key.name,
        version=one.key.version or None,
        missing=one.stored is None,
        place=readable(one.place),
        drifted=one.drifted,
    )


def _view(one: Entry) -> DefinitionView:
    key = one.document.key
    return DefinitionView(
        kind=key.kind,
        name=key.name,
        version=key.version or None,
        description=one.document.tree["metadata"].get("description", ""),
        project=one.project,
        changed_by=one.changed_by,
        changed_at=times.to_text(one.changed_at),
        changed_in=one.changed_in,
    )


def _change(one: Change) -> DefinitionChangeView:
    return DefinitionChangeView(
        set_version=one.set_version,
        kind=one.key.kind,
        name=one.key.name,
        version=one.key.version or None,
        removed=one.text is None,
        project=one.project,
        changed_by=one.changed_by,
        changed_at=times.to_text(one.changed_at),
    )


def _answer(view: msgspec.Struct) -> Response:
    return Response(json_values.encode(view), media_type=JSON)

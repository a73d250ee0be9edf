"""Routes of definitions: what is in force, as it was written, and who changed it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Meta
from starlette.responses import Response

from obverse.adapters.definition_files.yaml_text import as_yaml
from obverse.apps.api.errors import refuse
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.core import json_values, times
from obverse.core.documents.written import Key
from obverse.ports.definition_store import Change, DefinitionStore, Entry

MOST: Final = 500
"""Changes in one answer, or a few more: those of one version are never parted."""
YAML: Final = "application/yaml"
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


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:definitions`."""
    router = APIRouter(prefix="/v1/definitions", tags=_TAGS)
    _add_lists(router, parts.definition_store)
    _add_document(router, parts.definition_store)
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
    described = describe(None, "The document.", HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
    described["responses"][int(HTTPStatus.OK)]["content"] = {YAML: {"schema": {"type": "string"}}}

    @router.get(
        "/{kind}/{name}",
        summary="One definition, as YAML that `obverse apply` takes",
        operation_id="definition",
        **described,
    )
    async def definition(
        kind: Annotated[str, Path(description="Such as `trait` or `tracking_plan`.")],
        name: Annotated[str, Path(description="Its name.")],
        version: Annotated[str | None, Query(description="Of a tracking plan; the latest, if none is named.")] = None,
    ) -> Response:
        fit = [
            one.document
            for one in (await store.read()).entries
            if one.document.key[:2] == (kind, name) and version in {None, one.document.key.version}
        ]
        if not fit:
            title = Key(kind, name, version or "").title
            raise refuse(
                HTTPStatus.NOT_FOUND,
                "definition-not-found",
                f"there is no {title}",
                "GET /v1/definitions lists what is defined",
            )
        latest = max(fit, key=lambda one: [int(part) for part in one.key.version.split(".") if part])
        return Response(as_yaml(latest.tree), media_type=YAML)


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
    return Response(json_values.encode(view), media_type="application/json")

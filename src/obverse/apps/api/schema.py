"""The OpenAPI document: FastAPI's, with our shapes and every error in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from obverse.apps.api.errors import MEDIA_TYPE, SPACES, Problem, SpaceError

VERSION: Final = "1"
"""Of the API, not of the release."""

_COMPONENTS: Final = "x-components"
_PLACE: Final = "#/components/schemas/{name}"

_ERRORS: Final = {
    HTTPStatus.BAD_REQUEST: "The identifier or a parameter is malformed.",
    HTTPStatus.UNAUTHORIZED: "A key is set, and the request has none or another.",
    HTTPStatus.NOT_FOUND: "Nobody has this identifier.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error of ours.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The store cannot be read now.",
    HTTPStatus.CONFLICT: "It cannot be done as things are; try again where Retry-After says when.",
    HTTPStatus.PRECONDITION_FAILED: "It is not as it was when it was read.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; Retry-After says when there may be another.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The idempotency key came with another body before.",
}


def describe(
    shape: Any,
    description: str,
    *errors: HTTPStatus,
    headers: dict[str, Any] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> dict[str, Any]:
    """
    What a route says of its answers: arguments for `APIRouter.get`.

    `shape` is the type of the JSON that it answers with `status`; the handler writes it with msgspec.
    """
    schema, components = _schema_of(shape)
    content = {} if shape is None else {"content": {"application/json": {"schema": schema}}}
    told: dict[int | str, dict[str, Any]] = {
        int(status): {"description": description, **content},
        **{int(error): _problem(_ERRORS[error]) for error in errors},
    }
    if headers:
        told[int(status)]["headers"] = headers
    return {
        "response_class": Response,
        "response_model": None,
        "responses": told,
        "openapi_extra": {_COMPONENTS: components},
    }


@cache
def _schema_of(shape: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its JSON Schema, and those that it refers to; nobody changes them."""
    (schema,), components = msgspec.json.schema_components([shape], ref_template=_PLACE)
    return schema, components


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _PLACE.format(name=Problem.__name__)}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def document(app: FastAPI, tags: Sequence[dict[str, str]]) -> dict[str, Any]:
    """The OpenAPI document of the app."""
    tree = get_openapi(
        title="Obverse",
        version=VERSION,
        summary="One trustworthy profile per person.",
        description=(
            "Reads profiles, audiences and figures. Events are sent to the collector, which speaks Segment's HTTP API. "
            "Every error is an RFC 9457 problem, which says what was wrong and what to do. Numbers are exact: read "
            "them as decimals."
        ),
        routes=app.routes,
        tags=list(tags),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = tree.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(msgspec.json.schema_components([Problem, SpaceError], ref_template=_PLACE)[1])
    tree["paths"] = dict(sorted(tree["paths"].items()))  # the whole before its parts
    for path, operations in tree["paths"].items():
        for operation in operations.values():
            _add(schemas, operation.pop(_COMPONENTS, {}))
            _finish(operation, private=path.startswith("/v1/"))
            if path.startswith(SPACES):
                _as_segment(operation)
    for unused in ("HTTPValidationError", "ValidationError"):  # told as problems, like every other error
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "The api's key."},
        "token": {
            "type": "http",
            "scheme": "basic",
            "description": "The api's key as user name, with a blank password; below `/v1/spaces` alone.",
        },
    }
    return tree


def _add(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    for name, schema in more.items():
        if _sparse(schemas.setdefault(name, schema)) != _sparse(schema):
            raise ValueError(f"two shapes are named {name}: rename one of the classes")


def _sparse(schema: Any) -> Any:
    """Without nulls, which FastAPI leaves out of what passes through it."""
    if isinstance(schema, dict):
        return {key: _sparse(value) for key, value in schema.items() if value is not None}
    return [_sparse(item) for item in schema] if isinstance(schema, list) else schema


def _finish(operation: dict[str, Any], *, private: bool) -> None:
    responses = operation["responses"]
    if responses.get("422", {}).get("description") == "Validation Error":  # told as a problem, with 400
        responses.pop("422")
    if private:
        operation["security"] = [{"key": []}, {}]  # a key may be set, or not
        responses.setdefault("401", _problem(_ERRORS[HTTPStatus.UNAUTHORIZED]))
    responses.setdefault("500", _problem(_ERRORS[HTTPStatus.INTERNAL_SERVER_ERROR]))
    operation["responses"] = dict(sorted(responses.items()))


def _as_segment(operation: dict[str, Any]) -> None:
    """What differs where Segment's clients ask."""
    operation["security"].insert(0, {"token": []})
    content = {"application/json": {"schema": {"$ref": _PLACE.format(name=SpaceError.__name__)}}}
    for status, told in operation["responses"].items():
        if status >= "400":
            told["content"] = content

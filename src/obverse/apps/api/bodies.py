"""Bodies that requests bring: bounded, and told with the place of what is wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from obverse.apps.api.errors import refuse

MOST_BYTES: Final = 256 * 1024
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


async def read_body(request: Request, shape: type[_Shape], how: str) -> _Shape:
    """
    Read the body as JSON of this shape; `how` says what to send.

    Raises:
        Refusal: it is too large, or no such thing.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", f"the body has more than {MOST_BYTES} bytes", how
            )
    try:
        return msgspec.json.decode(bytes(body), type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(HTTPStatus.BAD_REQUEST, "invalid-body", f"the body cannot be read: {error}", how) from error


def describe_body(described: dict[str, Any], shape: type[msgspec.Struct]) -> dict[str, Any]:
    """What a route says of itself (`schema.describe`), with the body that it takes."""
    (schema,), components = msgspec.json.schema_components([shape], ref_template="#/components/schemas/{name}")
    extra = described["openapi_extra"]
    return {
        **described,
        "openapi_extra": {
            **extra,
            "x-components": {**extra["x-components"], **components},
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        },
    }

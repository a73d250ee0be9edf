"""Identifiers in addresses: any text, percent-encoded."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from obverse.apps.api.errors import SPACES, refuse
from obverse.flows.serve import BadIdentifier, Serve

AS_SENT: Final = ("/v1/profiles/", "/v1/groups/", SPACES)
"""Below these, values stand in addresses that may hold anything."""


def routed(scope: Mapping[str, Any]) -> str:
    """
    The path by which a request is routed.

    Below `AS_SENT` that is the path as it was sent, so that %2F belongs to the value and / may begin a part.
    """
    path: str = scope["path"]
    sent: bytes | None = scope.get("raw_path")
    root: str = scope.get("root_path", "")
    if not path.startswith(tuple(root + one for one in AS_SENT)):
        return path
    # Each segment in one spelling, whatever the client chose to encode; a server may keep what was sent to itself.
    segments = [unquote_to_bytes(segment) for segment in sent.split(b"/")] if sent else path.encode().split(b"/")
    canonical = "/".join(quote(segment, safe=":") for segment in segments)
    below = canonical.removeprefix("/".join(quote(segment, safe=":") for segment in root.split("/")))
    return root + below if below.startswith(AS_SENT) else path


def identifier_in(serve: Serve, address: str) -> str:
    """
    Read the identifier that an address names.

    Raises:
        Refusal: it is none.
    """
    try:
        return serve.parsed(unquote_to_bytes(address).decode())
    except UnicodeDecodeError:
        detail = f"{address} is no UTF-8 text when it is decoded"
    except BadIdentifier as error:
        detail = str(error)
    how = f"write kind:value, with a kind of {', '.join(serve.kinds)}, and percent-encode the value as UTF-8"
    raise refuse(HTTPStatus.BAD_REQUEST, "invalid-identifier", detail, how)


def group_in(address: str) -> str:
    """
    Read the id of a group that an address names.

    Raises:
        Refusal: it is no text.
    """
    try:
        return unquote_to_bytes(address).decode()
    except UnicodeDecodeError as error:
        detail = f"{address} is no UTF-8 text when it is decoded"
        raise refuse(
            HTTPStatus.BAD_REQUEST, "invalid-group", detail, "percent-encode the group's id as UTF-8"
        ) from error

"""Identifiers as routes take them, and what is said of one that nobody has."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path

from obverse.apps.api.errors import Refusal, refuse
from obverse.core.identity import KINDS
from obverse.flows.serve import Serve

Identifier = Annotated[
    str,
    Path(
        description=(
            f"`kind:value`; kinds: {', '.join(KINDS)}, those that the workspace adds, or `id` with the profile's own. "
            "Percent-encode it as UTF-8: a `/` in the value is `%2F`, without which a value that ends in `/traits` "
            "would name a part."
        ),
        openapi_examples={
            "a customer number": {"value": "user_id:42"},
            "an address": {"value": "email:ada@example.com"},
        },
    ),
]


def nobody(serve: Serve, name: str) -> Refusal:
    """The refusal of an identifier that no profile has."""
    kind, _, value = name.partition(":")
    if serve.identifies_nobody(name):
        return refuse(
            HTTPStatus.NOT_FOUND,
            "profile-not-found",
            f"{value!r} identifies nobody: it is a placeholder that many share, or longer than any identifier",
            "send events with the person's own id, and ask for that",
        )
    return refuse(
        HTTPStatus.NOT_FOUND,
        "profile-not-found",
        f"no profile has the {kind} {value!r}",
        f"check the value, its case and spaces; try another kind ({', '.join(serve.kinds)}); an event sent moments ago "
        "is here a moment later; if it was rejected, /v1/rejected-events says why",
    )


async def unknown(serve: Serve, name: str) -> Refusal:
    """
    Return the refusal of an identifier that nobody has.

    Raises:
        Unreachable, AccessRefused: the store cannot be read.
    """
    kind, _, value = name.partition(":")
    aside = next((one for one in await serve.set_aside() if one.identifier == name), None)
    if aside is not None:
        return refuse(
            HTTPStatus.NOT_FOUND,
            "profile-not-found",
            f"the {kind} {value!r} is nobody's: {aside.profiles} profiles shared it, so it was set aside",
            "ask by another identifier; /v1/identity/set-aside lists all that are shared by too many",
        )
    return nobody(serve, name)

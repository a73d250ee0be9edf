"""What a request asks for, and how one is told that it cannot be had (RFC 9457)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.datastructures import QueryParams

from obverse.sandboxes.inbox.store import Wanted

MOST: Final = 500
"""Mails in one answer."""
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


class Problem(msgspec.Struct, frozen=True):
    """An error, as RFC 9457 tells it."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str


class Refusal(Exception):
    """Ends a request with a problem; `kind` is the last word of its type."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.problem = Problem(f"urn:obverse:problem:{kind}", status.phrase, int(status), detail, remedy)


class Question(msgspec.Struct, frozen=True):
    """Which part of which list."""

    wanted: Wanted
    limit: int
    before: int | None


def question(query: QueryParams, *, limit: int = 50) -> Question:
    """
    Read the parameters of a list.

    Raises:
        Refusal: one of them cannot be.
    """
    given = query.get("limit", str(limit))
    if _NUMBER.fullmatch(given) is None or int(given) > MOST:
        raise _invalid(f"limit: {given[:40]!r} is no number from 1 to {MOST}", f"give a number from 1 to {MOST}")
    after = query.get("after", "")
    if after and _NUMBER.fullmatch(after) is None:
        raise _invalid(f"after: {after[:40]!r} is no cursor", "give what `next` said, or leave it out to begin anew")
    wanted = Wanted(to=query.get("to", "").strip(), text=query.get("q", "").strip())
    return Question(wanted, int(given), int(after) if after else None)


def number(given: str) -> int:
    """
    Read the id of a mail.

    Raises:
        Refusal: it is none.
    """
    if _NUMBER.fullmatch(given) is None:
        raise missing(given)
    return int(given)


def missing(given: str) -> Refusal:
    """The refusal of a question for a mail that is not there."""
    return Refusal(
        HTTPStatus.NOT_FOUND,
        "not-found",
        f"there is no mail {given[:40]!r}: it never came, or was deleted since",
        "take an id from /messages",
    )


def _invalid(detail: str, remedy: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "invalid-parameter", detail, remedy)

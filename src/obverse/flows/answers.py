"""What the collector answers: the table "What ours answers" of the ingest contract, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import msgspec

from obverse.core.definitions import Source
from obverse.core.events import Event, RejectedEvent

SOON: Final = 1
"""Seconds after which a sender whom we could not serve should try again."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered, and what came of it."""

    status: HTTPStatus = HTTPStatus.OK
    code: str = ""
    """A word for programs; empty on success."""
    message: str = ""
    retry_after: int | None = None
    """Seconds."""
    source: str = ""
    events: Sequence[Event] = ()
    """What was accepted."""
    rejected: Sequence[RejectedEvent] = ()
    report: Sequence[Mapping[str, Any]] = ()
    """The rejected events as their sender is told of them, if it asks."""


def disabled(source: Source) -> Answer:
    """A source that takes nothing."""
    return Answer(
        status=HTTPStatus.NOT_FOUND,
        code="source_disabled",
        message=f"source {source.name!r} is disabled; set `enabled: true` in its definition",
        source=source.name,
    )


def too_often(source: Source, wait: float) -> Answer:
    """A source that is asked more often than it allows; `wait` seconds until it may be again."""
    return Answer(
        status=HTTPStatus.TOO_MANY_REQUESTS,
        code="rate_limited",
        message=(
            f"source {source.name!r} takes {source.requests_per_second} requests a second; send it again after the "
            "time in Retry-After, and more events in one request"
        ),
        source=source.name,
        retry_after=ceil(wait),
    )


def no_room(reason: str) -> Answer:
    """There is no room to write anything down."""
    return Answer(
        status=HTTPStatus.INSUFFICIENT_STORAGE,
        code="disk_full",
        message=f"{reason}; nothing was accepted, send it again after the time in Retry-After",
        retry_after=SOON,
    )


INVALID_KEY: Final = Answer(
    status=HTTPStatus.UNAUTHORIZED,
    code="invalid_write_key",
    message=(
        "no write key, or one that no source has; send it as user of HTTP Basic authentication, with an empty "
        "password, or as `writeKey` in the body (`obverse source add NAME` makes one)"
    ),
)
OVERLOADED: Final = Answer(
    status=HTTPStatus.TOO_MANY_REQUESTS,
    code="overloaded",
    message="more is coming in than can be written down; send it again after the time in Retry-After",
    retry_after=SOON,
)
UNINFORMED: Final = Answer(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="definitions_unknown",
    message="it is not known yet who may send; nothing was accepted, send it again after the time in Retry-After",
    retry_after=SOON,
)
UNWRITABLE: Final = Answer(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="log_unavailable",
    message="the log cannot be written now; nothing was accepted, send it again after the time in Retry-After",
    retry_after=SOON,
)

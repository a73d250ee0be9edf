"""What a request asks, and how HubSpot answers it: bodies and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, read whole."""

    place: Mapping[str, str] = field(default_factory=dict)
    """What the path names, decoded."""

    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""
    """The request's address without its query."""

    base: str = ""
    """What the path has before our own paths, where we are mounted beneath one."""

    def first(self, name: str) -> str | None:
        """The first value of a query parameter; None where there is none."""
        values = self.query.get(name)
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. A body of None is no content."""

    status: int
    body: Any = None


Answer = Callable[[Ask], Reply]


class Refusal(Exception):
    """Ends a request with HubSpot's error body."""

    def __init__(
        self,
        status: HTTPStatus,
        category: str,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        context: Mapping[str, Sequence[str]] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.errors = errors
        self.context = context
        self.more = more

    def body(self) -> dict[str, Any]:
        """See https://developers.hubspot.com/docs/api-reference/error-handling."""
        body: dict[str, Any] = {"status": "error", "message": self.message, "correlationId": str(uuid4())}
        if self.errors:
            body["errors"] = list(self.errors)
        if self.context:
            body["context"] = self.context
        return {**body, "category": self.category, **(self.more or {})}

    def standard(self, context: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The same error as one of many in a multi-status answer."""
        body: dict[str, Any] = {"status": "error", "category": self.category, "message": self.message}
        return {**body, "context": {**(self.context or {}), **context}}


def invalid(message: str, **more: Any) -> Refusal:
    """The refusal of a request that asks for what cannot be."""
    return Refusal(HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR", message, **more)


def not_found(message: str = "resource not found", **more: Any) -> Refusal:
    """The refusal of a request for what is not there."""
    return Refusal(HTTPStatus.NOT_FOUND, "OBJECT_NOT_FOUND", message, **more)


@lru_cache(maxsize=1024)
def moment(milliseconds: int) -> str:
    """A moment as HubSpot writes it: `2019-10-30T03:30:17.883Z`, without a fraction where it is zero."""
    stamp = (_EPOCH + timedelta(milliseconds=milliseconds)).replace(tzinfo=None)
    return stamp.isoformat(timespec="milliseconds" if stamp.microsecond else "seconds") + "Z"

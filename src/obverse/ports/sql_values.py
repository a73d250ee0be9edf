"""Values that a database gives, as JSON says them."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from obverse.core import json_values, times
from obverse.core.queries import BadQuery

_NAN: Final = "a value is no number that JSON can say (NaN or infinity); leave it out, or make it null"


def as_json(value: Any, kind: str) -> Any:  # noqa: C901 - one line a type
    """
    A value as JSON says it; `kind` is its type, as the database calls it.

    Raises:
        BadQuery: JSON has nothing like it; the message says what to make of it.
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            # One person's number of 5,000 digits must not end the query of all the others.
            return json_values.lenient(value.encode()) if kind in {"json", "jsonb"} else value
        case float():
            if not math.isfinite(value):
                raise BadQuery(_NAN)
            return Decimal(repr(value))
        case Decimal():
            if not value.is_finite():
                raise BadQuery(_NAN)
            return int(value) if value == value.to_integral_value() and value.adjusted() < json_values.REACH else value
        case datetime():
            return times.to_text(round(value.timestamp() * 1_000_000)) if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return Decimal(value // timedelta(microseconds=1)) / 1_000_000
        case UUID():
            return str(value)
        case list():
            return [as_json(one, kind.removesuffix("[]").removeprefix("_")) for one in value]
    raise BadQuery(f"it gives a value of type {kind}; make it a number, a text, true or false, such as by ::text")

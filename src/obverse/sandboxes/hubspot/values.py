"""Checks values of properties, and writes them as HubSpot keeps them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from obverse.sandboxes.hubspot.answers import Refusal, invalid, moment
from obverse.sandboxes.hubspot.definitions import Definition
from obverse.sandboxes.hubspot.settings import PORTAL_ID

LONGEST: Final = 65_536
_DAY: Final = 86_400_000
# The moments that a datetime of Python's can say: the years 1 to 9999.
_EARLIEST: Final = -62_135_596_800_000
_LATEST: Final = 253_402_300_799_999
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_LONG: Final = re.compile(r"-?[0-9]{1,18}")
_EMAIL: Final = re.compile(
    r"""(?=.{3,254}$)(?=[^@]{1,64}@)
    [^\s@"(),:;<>\[\]\\.\x00-\x20\x7f]+ (\.[^\s@"(),:;<>\[\]\\.\x00-\x20\x7f]+)*
    @ ([^\W_]([\w-]{0,61}[^\W_])?\.)+ [^\W\d_][\w-]*[^\W_]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one property."""

    name: str
    code: str
    message: str


def check(given: Mapping[str, str], definitions: Mapping[str, Definition]) -> dict[str, str]:
    """
    The values as HubSpot keeps them. The empty text clears a property.

    Raises:
        Refusal: one or more are not valid; it tells all of them.
    """
    kept: dict[str, str] = {}
    flaws: list[Flaw] = []
    for name, value in given.items():
        found = _check_one(name, value, definitions.get(name))
        if isinstance(found, Flaw):
            flaws.append(found)
        else:
            kept[name] = found
    if flaws:
        raise refuse(flaws)
    return kept


def refuse(flaws: Sequence[Flaw]) -> Refusal:
    """See https://developers.hubspot.com/docs/api-reference/error-handling: the list is JSON within the message."""
    told: list[dict[str, Any]] = [
        {
            "isValid": False,
            "message": flaw.message,
            "error": flaw.code,
            "name": flaw.name,
            "localizedErrorMessage": flaw.message,
            "portalId": PORTAL_ID,
        }
        for flaw in flaws
    ]
    return invalid(
        f"Property values were not valid: {msgspec.json.encode(told).decode()}",
        errors=[
            {"message": flaw.message, "code": flaw.code, "context": {"propertyName": [flaw.name]}} for flaw in flaws
        ],
    )


def normal_email(text: str) -> str | None:
    """The address as HubSpot keeps it, without spaces around it and in lower case; None where it is none."""
    address = text.strip().lower()
    return address if _EMAIL.fullmatch(address) else None


def milliseconds(text: str) -> int | None:
    """The moment that a text tells, in milliseconds since 1970 or by ISO 8601; None where it tells none."""
    if _LONG.fullmatch(text):
        number = int(text)
    else:
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            return None
        if stamp.tzinfo is None:
            stamp = stamp.replace(tzinfo=UTC)
        number = round(stamp.timestamp() * 1000)
    return number if _EARLIEST <= number <= _LATEST else None


def _check_one(name: str, value: str, definition: Definition | None) -> str | Flaw:
    if definition is None:
        return Flaw(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
    if definition.read_only:
        return Flaw(name, "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
    if not value:
        return value
    if name == "email":
        return normal_email(value) or Flaw(name, "INVALID_EMAIL", f"Email address {value} is invalid")
    if len(value) > LONGEST:
        return Flaw(name, "STRING_TOO_LONG", f"The value has {len(value)} characters; the most is {LONGEST}")
    match definition.type:
        case "number":
            return _check_number(name, value)
        case "datetime":
            return _check_datetime(name, value)
        case "date":
            return _check_date(name, value)
        case "enumeration" | "bool":
            return _check_option(name, value, definition)
        case _:
            return value


def _check_number(name: str, value: str) -> str | Flaw:
    number = value.strip()
    if _NUMBER.fullmatch(number):
        return number
    return Flaw(name, "INVALID_NUMBER", f"{value} was not a valid number.")


def _check_datetime(name: str, value: str) -> str | Flaw:
    at = milliseconds(value)
    return Flaw(name, "INVALID_LONG", f"{value} was not a valid long.") if at is None else moment(at)


def _check_date(name: str, value: str) -> str | Flaw:
    at = milliseconds(value)
    if at is None:
        return Flaw(name, "INVALID_LONG", f"{value} was not a valid long.")
    if at % _DAY:
        minutes, milli = divmod(at % _DAY, 60_000)
        clock = f"{minutes // 60}:{minutes % 60}:{milli / 1000}"
        return Flaw(name, "INVALID_DATE", f"{value} is at {clock} UTC, not midnight!")
    return date.fromisoformat(moment(at)[:10]).isoformat()


def _check_option(name: str, value: str, definition: Definition) -> str | Flaw:
    allowed = [option.value for option in definition.options] or ["true", "false"]
    several = definition.field_type == "checkbox"
    chosen = [one for one in value.split(";") if one] if several else [value]
    for one in chosen:
        if one not in allowed:
            return Flaw(name, "INVALID_OPTION", f"{one} was not one of the allowed options: [{', '.join(allowed)}]")
    if not several:
        return value
    # A semicolon in front adds to what is chosen already: it stays, for whoever knows that.
    return ";" * value.startswith(";") + ";".join(dict.fromkeys(chosen))

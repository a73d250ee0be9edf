"""Reads request bodies: what is not of HubSpot's shape is refused in HubSpot's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from obverse.sandboxes.hubspot.answers import Ask, invalid

MOST_INPUTS: Final = 100
MOST_WITH_HISTORY: Final = 50
_BYTE: Final = re.compile(r"\(byte (\d+)\)$")


def read_body(ask: Ask) -> Mapping[str, Any]:
    """
    The body, a JSON object.

    Raises:
        Refusal: it is none.
    """
    try:
        body = msgspec.json.decode(ask.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = _BYTE.search(str(error))
        before = ask.body[: int(found[1])] if found else ask.body
        line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
        raise invalid(f"Invalid input JSON on line {line}, column {column}: {error}") from None
    return as_object(body)


def as_object(value: Any) -> Mapping[str, Any]:
    """
    The value, an object.

    Raises:
        Refusal: it is none.
    """
    if not isinstance(value, dict):
        raise _misfit("java.util.LinkedHashMap", value)
    return value


def need(body: Mapping[str, Any], kind: str, *names: str) -> None:
    """
    Hold that `body` has all of these.

    Raises:
        Refusal: one is missing or null.
    """
    missing = [name for name in names if body.get(name) is None]
    if missing:
        listed = ", ".join(missing)
        raise invalid(f"Invalid input JSON: Cannot build {kind}, some of required attributes are not set [{listed}]")


def as_text(value: Any) -> str:
    """
    A scalar as text, as HubSpot's reader coerces it.

    Raises:
        Refusal: it is an array, an object or null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:  # Python's own limit of digits
            raise invalid("Invalid input JSON: Number value is too long") from None
    raise _misfit("java.lang.String", value)


def as_texts(value: Any) -> Sequence[str]:
    """
    An array of texts; none where there is null.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _misfit("java.util.ArrayList<java.lang.String>", value)
    return [as_text(item) for item in value]


def optional_text(body: Mapping[str, Any], name: str) -> str | None:
    """
    The text of that name; None where there is none.

    Raises:
        Refusal: it is not a scalar.
    """
    value = body.get(name)
    return None if value is None else as_text(value)


def read_properties(body: Mapping[str, Any]) -> dict[str, str]:
    """
    The `properties` of an object, as texts. Null clears, as the empty text does.

    Raises:
        Refusal: they are no object of scalars.
    """
    given = body.get("properties")
    if given is None:
        return {}
    return {name: "" if value is None else as_text(value) for name, value in as_object(given).items()}


def read_inputs(
    body: Mapping[str, Any], kind: str, *needed: str, most: int = MOST_INPUTS
) -> Sequence[Mapping[str, Any]]:
    """
    The `inputs` of a batch.

    Raises:
        Refusal: they are missing, too many, or not objects with what is needed.
    """
    need(body, "BatchInput" + kind, "inputs")
    inputs = body["inputs"]
    if not isinstance(inputs, list):
        raise _misfit("java.util.ArrayList", inputs)
    if len(inputs) > MOST_INPUTS:
        raise invalid(
            f"The maximum number of inputs supported in a batch is {MOST_INPUTS}. "
            "Please reduce the number of items and try again"
        )
    if len(inputs) > most:
        raise invalid(
            f"The maximum number of inputs supported in a batch request for property histories is {most}. "
            "Please reduce the number of items and try again"
        )
    for one in inputs:
        need(as_object(one), kind, *needed)
    return inputs


def whole(text: str | None, name: str, *, default: int, least: int, most: int) -> int:
    """
    A query parameter that is a whole number.

    Raises:
        Refusal: it is not, or it is out of bounds.
    """
    if text is None or not text:
        return default
    # ASCII digits only, few enough for any bound: int() would take more.
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise invalid(
            f"Invalid value for parameter {name}: {text[:100]} is not a whole number", context={name: [text[:100]]}
        )
    number = int(text)
    if not least <= number <= most:
        raise invalid(
            f"Invalid value for parameter {name}: {number} is not between {least} and {most}", context={name: [text]}
        )
    return number


def _misfit(kind: str, value: Any) -> Exception:
    name = {dict: "Object", list: "Array", str: "String", bool: "Boolean", type(None): "Null"}.get(
        type(value), "Number"
    )
    return invalid(f"Invalid input JSON: Cannot deserialize value of type `{kind}` from {name} value")

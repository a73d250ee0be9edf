"""JSON scalars, exact: numbers as integers or decimals, never as binary floats."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import msgspec

DIGITS = 60
"""Before the point, of a number that is added or compared; a longer one is kept as sent, but not computed with."""
REACH = 40
"""Decimal places, beyond which it is not either."""

_PLAIN = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
_BEYOND = 10**DIGITS
_LEAST = Decimal(1).scaleb(-REACH)
_EXACT = Context(prec=4 * (DIGITS + REACH), traps=[Inexact, InvalidOperation])
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(text: bytes) -> Any:
    """
    Read JSON text; numbers with a fraction or an exponent become `Decimal`.

    Raises:
        ValueError: it is not JSON, nests too deep to read, or has a number that no decimal can hold.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidOperation) as error:
        raise ValueError(f"not readable as JSON: {error}") from error


def lenient(text: bytes) -> Any:
    """Read JSON text; None if nothing can be computed with it. It was kept as sent elsewhere."""
    try:
        return decode(text) if text else None
    except ValueError:
        return None


def encode(value: Any) -> bytes:
    """Write JSON text; a decimal comes out with its digits, as a number."""
    return _encoder.encode(value)


def number(value: object) -> Decimal | None:
    """
    The value as an exact decimal without a positive exponent, if it is a number that is computed with.

    Text that spells a plain decimal number counts as one, as it does in SQL.

    >>> number("12.50"), number(3), number(True), number("12 pieces")
    (Decimal('12.50'), Decimal('3'), None, None)
    """
    kind = type(value)
    if kind is Decimal:
        text = str(value)
        # The quick way, for nearly all: few digits, no exponent, no NaN.
        if len(text) <= REACH and text.isascii() and not text[-1].isalpha() and "E" not in text:
            return value  # type: ignore[return-value]  # by its type, see above
        return _bounded(value)  # type: ignore[arg-type]  # as above
    if kind is int:
        return Decimal(value) if -_BEYOND < value < _BEYOND else None  # type: ignore[arg-type]  # as above
    if kind is str and len(value) <= DIGITS and _PLAIN.fullmatch(value):  # type: ignore[arg-type, call-overload]  # as above
        return _bounded(Decimal(value))  # type: ignore[arg-type]  # as above
    return None


def _bounded(value: Decimal) -> Decimal | None:
    """By its worth, however it is spelt: 1e50 is the integer with fifty zeros."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or (value and value.adjusted() >= DIGITS):
        return None
    if exponent > 0:
        return Decimal(int(value)) if value else Decimal(0)
    if exponent >= -REACH:
        return value
    if any(digits[exponent + REACH :]):
        return None
    return _EXACT.quantize(value, _LEAST) if value else Decimal(0)


def same(one: Any, other: Any) -> bool:
    """
    Whether two values are one in JSON; numbers are decimals. To Python true equals 1, in lists and objects too.

    >>> same([Decimal(1)], [Decimal("1.0")]), same([Decimal(1)], [True])
    (True, False)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return bool(one == other)


def add(one: Decimal, other: Decimal) -> Decimal:
    """Add exactly: what is added in another order gives the same digits."""
    return _EXACT.add(one, other)

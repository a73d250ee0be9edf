"""JSON scalars, exact: numbers as integers or decimals, never as binary floats."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import msgspec

DIGITS = 60
"""Longest number that is added or compared; a longer one is kept as sent, but not computed with."""
REACH = 40
"""Largest power of ten, up or down, that is computed with."""

_EXACT = Context(prec=4 * (DIGITS + REACH), traps=[Inexact, InvalidOperation])
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(text: bytes) -> Any:
    """
    Read JSON text; numbers with a fraction or an exponent become `Decimal`.

    Raises:
        ValueError: it is not JSON, or nests too deep to read.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not readable as JSON: {error}") from error


def encode(value: Any) -> bytes:
    """Write JSON text; a decimal comes out with its digits, as a number."""
    return _encoder.encode(value)


def number(value: object) -> Decimal | None:
    """
    The value as an exact decimal, if it is a number that is computed with.

    Text that spells a plain decimal number counts as one, as it does in SQL.

    >>> number("12.50"), number(3), number(True), number("12 pieces")
    (Decimal('12.50'), Decimal('3'), None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not value or len(value) > DIGITS or not value.lstrip("+-").replace(".", "", 1).isascii():
            return None
        if not value.lstrip("+-").replace(".", "", 1).isdigit():
            return None
        value = Decimal(value)
    if isinstance(value, int):
        if value.bit_length() > DIGITS * 3:
            return None
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    _, digits, exponent = value.as_tuple()
    if len(digits) > DIGITS or not isinstance(exponent, int) or abs(exponent) > REACH:
        return None
    return value


def add(one: Decimal, other: Decimal) -> Decimal:
    """Add exactly: what is added in another order gives the same digits."""
    return _EXACT.add(one, other)


def plain(value: Decimal) -> Decimal:
    """The same number written without an exponent, so that JSON and SQL readers see its digits."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent > 0:
        return Decimal(int(value))
    return value

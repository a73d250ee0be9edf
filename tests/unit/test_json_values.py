"""Numbers stay exact from the wire to the reading."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.contracts.trait_kind import ANYTHING
from obverse.core import json_values
from obverse.core.json_values import DIGITS, REACH


@pytest.mark.parametrize("text", ["0.1", "12.50", "1E+5", "123456789012345678901234567890.5", "18446744073709551616"])
def test_a_number_comes_out_with_the_digits_it_went_in_with(text: str) -> None:
    assert json_values.encode(json_values.decode(text.encode())) == text.encode()


def test_a_fraction_is_a_decimal_and_never_a_float() -> None:
    assert json_values.decode(b"0.1") + json_values.decode(b"0.2") == Decimal("0.3")
    assert type(json_values.decode(b"[1e2]")[0]) is Decimal


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"NaN", b"1,", b'"\\ud800"', b'"\xff"', b"[" * 100_000, b"1" * 5_000, b"1e99999999999999999999"],
    ids=["empty", "cut", "NaN", "comma", "half a character", "no UTF-8", "deep", "5,000 digits", "exponent"],
)
def test_what_cannot_be_read_is_told_as_such(text: bytes) -> None:
    with pytest.raises(ValueError, match="not readable as JSON"):
        json_values.decode(text)
    assert json_values.lenient(text) is None


@LAWS
@given(st.binary(max_size=40) | st.text('0123456789+-.eE[]{}",:nulltruefas\\ ', max_size=40).map(str.encode))
def test_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        value = json_values.decode(text)
    except ValueError:
        assert json_values.lenient(text) is None
    else:
        assert json_values.decode(json_values.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        (-(10**59), "-" + "1" + "0" * 59),
        (10**DIGITS - 1, "9" * DIGITS),
        (Decimal("12.50"), "12.50"),
        (Decimal("2E+3"), "2000"),
        (Decimal("1E-40"), "1E-40"),
        (Decimal("1E+50"), "1" + "0" * 50),
        (Decimal("0E+999999"), "0"),
        (Decimal("0E-999999"), "0"),
        (Decimal("0.5" + "0" * 50), "0.5" + "0" * 39),
        (Decimal("9" * 59 + ".5"), "9" * 59 + ".5"),
        (Decimal("0." + "1" * REACH), "0." + "1" * REACH),
        ("12.50", "12.50"),
        ("+7", "7"),
        ("-007", "-7"),
        ("9" * DIGITS, "9" * DIGITS),
    ],
)
def test_numbers_and_plain_text_of_one_are_computed_with(value: Any, expected: str) -> None:
    assert str(json_values.number(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        [1],
        {"a": 1},
        "",
        " 1",
        "1\n",
        "12 pieces",
        "1e5",
        "1_000",
        "1,5",
        "+-5",
        "--5",
        ".",
        "-",
        "NaN",
        "Infinity",
        "\N{SUPERSCRIPT TWO}",
        "\N{ARABIC-INDIC DIGIT THREE}",
        "9" * (DIGITS + 1),
        10**DIGITS,
        -(10**DIGITS),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E+60"),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
        Decimal("1E-41"),
        Decimal("0." + "1" * (REACH + 1)),
        Decimal("9" * (DIGITS + 1)),
    ],
)
def test_what_is_no_number_or_beyond_reach_is_not(value: Any) -> None:
    assert json_values.number(value) is None


@LAWS
@given(st.integers(-(10**62), 10**62), st.integers(0, 65), st.integers(0, 65))
def test_what_a_number_is_worth_tells_whether_it_is_computed_with(whole: int, spare: int, places: int) -> None:
    """And not its spelling: as an integer, with zeros after the point, with an exponent."""
    one = Decimal(whole).scaleb(-places, json_values._EXACT)
    found = json_values.number(one)
    other = json_values.number(json_values.decode(f"{whole * 10**spare}e{-places - spare}".encode()))
    assert found == other
    if not places:
        assert found == json_values.number(whole)


@LAWS
@given(ANYTHING)
def test_number_never_raises_and_what_it_gives_has_no_positive_exponent(value: Any) -> None:
    number = json_values.number(value)
    if number is not None:
        assert json_values.number(json_values.decode(json_values.encode(number))) == number
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        assert exponent <= 0


def test_adding_is_exact_over_the_whole_reach_in_any_order() -> None:
    big, small = Decimal("1E+40"), Decimal("1E-40")
    assert json_values.add(json_values.add(big, small), -big) == small
    assert json_values.add(json_values.add(big, -big), small) == small
    assert str(json_values.add(Decimal("0.10"), Decimal("0.9"))) == "1.00"

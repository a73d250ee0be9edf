"""Types of columns: how text is read as a number, a truth, a date or a time, and what a column seems to hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final

import msgspec

from obverse.core import times

Converter = Callable[[str], Any]
"""Gives what the text says, as JSON knows it; raises ValueError with what would have been right."""

TEXT: Final = "text"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = 60
"""Longest number that is read as one: nothing computes with more."""


class BadType(ValueError):
    """There is no such type of column; the message says which there are."""


def converter(spec: str, zone: tzinfo = UTC) -> Converter | None:
    """
    Return what reads text as this type; times without a zone are in `zone`. None for text, which stays as it is.

    >>> bytes(converter("decimal:1.234,56")("1.250,90")), converter("date:DD.MM.YYYY")("3.4.2024")
    (b'1250.90', '2024-04-03')

    Raises:
        BadType: there is no such type.
    """
    if spec == TEXT:
        return None
    name, _, form = spec.partition(":")
    if spec in _PLAIN:
        return _PLAIN[spec]
    if name == "date" and form:
        return _dated(form)
    if spec in {"time", "time:iso"}:
        return lambda text: _iso(text, zone)
    if spec in _SINCE:
        return _since(spec, _SINCE[spec])
    if name == "time" and form:
        return _timed(form, zone)
    raise BadType(f"there is no type {spec!r}: use {TYPES}, such as date:DD.MM.YYYY or time:MM/DD/YYYY hh:mm")


TYPES: Final = (
    "text, integer, decimal, decimal:1,234.56, decimal:1.234,56, boolean, date:FORMAT, time:iso, time:seconds, "
    "time:milliseconds, time:microseconds or time:FORMAT"
)

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?", re.ASCII)
_GROUPED_POINT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,17})(?:\.[0-9]+)?", re.ASCII)
_GROUPED_COMMA: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[1-9][0-9]{0,17})(?:,[0-9]+)?", re.ASCII)
_TRUTHS: Final = {
    **dict.fromkeys(("true", "yes", "ja", "oui"), True),
    **dict.fromkeys(("false", "no", "nein", "non"), False),
}
_SHORT_TRUTHS: Final = {"1": True, "0": False, "t": True, "f": False, "y": True, "n": False}
"""Read as truths where somebody says so; guessed they are not."""


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


_SHOWN: Final = 40


def _number(pattern: re.Pattern[str], what: str, remove: str = "", point: str = ".") -> Converter:
    def convert(text: str) -> msgspec.Raw:
        text = text.strip()
        if not pattern.fullmatch(text) or len(text) > _DIGITS:
            raise ValueError(f"{_shown(text)} is no {what}")
        if remove:
            text = text.replace(remove, "")
        return msgspec.Raw((text if point == "." else text.replace(point, ".")).encode())

    return convert


def _truth(text: str) -> bool:
    found = text.strip().casefold()
    if found in _TRUTHS:
        return _TRUTHS[found]
    if found in _SHORT_TRUTHS:
        return _SHORT_TRUTHS[found]
    raise ValueError(f"{_shown(text)} is no boolean (true or false, yes or no)")


_PLAIN: Final[dict[str, Converter]] = {
    "integer": _number(_INTEGER, "integer"),
    "decimal": _number(_DECIMAL, "decimal such as 1234.56"),
    "decimal:1,234.56": _number(_GROUPED_POINT, "decimal such as 1,234.56", ","),
    "decimal:1.234,56": _number(_GROUPED_COMMA, "decimal such as 1.234,56", ".", ","),
    "boolean": _truth,
}
_PARTS: Final = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "MM": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{1,2})",
    "hh": r"(?P<hour>[0-9]{1,2})",
    "mm": r"(?P<minute>[0-9]{2})",
    "ss": r"(?P<second>[0-9]{2})",
}
_PART: Final = re.compile("|".join(_PARTS))


def _form(form: str, needed: Sequence[str]) -> re.Pattern[str]:
    missing = [part for part in needed if form.count(part) != 1]
    twice = [part for part in _PARTS if form.count(part) > 1]
    if missing or twice:
        raise BadType(f"the format {form!r} needs each of {', '.join(needed)} once (and may have hh, mm, ss)")
    pieces, at = [], 0
    for found in _PART.finditer(form):
        pieces += [re.escape(form[at : found.start()]), _PARTS[found[0]]]
        at = found.end()
    return re.compile("".join(pieces) + re.escape(form[at:]), re.ASCII)


def _dated(form: str) -> Converter:
    pattern = _form(form, ("YYYY", "MM", "DD"))

    def convert(text: str) -> str:
        found = pattern.fullmatch(text.strip())
        try:
            if found:
                return date(int(found["year"]), int(found["month"]), int(found["day"])).isoformat()
        except ValueError:
            pass
        raise ValueError(f"{_shown(text)} is no date such as {form}")

    return convert


def _timed(form: str, zone: tzinfo) -> Converter:
    pattern = _form(form, ("YYYY", "MM", "DD"))
    hour, minute, second = (name in pattern.groupindex for name in ("hour", "minute", "second"))

    def convert(text: str) -> str:
        found = pattern.fullmatch(text.strip())
        try:
            if found:
                moment = datetime(
                    int(found["year"]),
                    int(found["month"]),
                    int(found["day"]),
                    int(found["hour"]) if hour else 0,
                    int(found["minute"]) if minute else 0,
                    int(found["second"]) if second else 0,
                    tzinfo=zone,
                )
                return _written(moment)
        except (ValueError, OverflowError):
            pass
        raise ValueError(f"{_shown(text)} is no time such as {form}")

    return convert


def _written(moment: datetime) -> str:
    since = moment - _EPOCH
    return times.to_text((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:?[0-9]{2}.*)?", re.ASCII)


def _iso(text: str, zone: tzinfo) -> str:
    text = text.strip()
    if _ISO.fullmatch(text):
        if zone is not UTC:
            try:
                moment = datetime.fromisoformat(text)
                return _written(moment if moment.tzinfo else moment.replace(tzinfo=zone))
            except (ValueError, OverflowError):
                pass
        instant = times.parse(text)
        if instant is not None:
            return times.to_text(instant)
    raise ValueError(f"{_shown(text)} is no time such as 2024-05-31T18:30:00Z")


_SINCE: Final = {"time:seconds": 1_000_000, "time:milliseconds": 1000, "time:microseconds": 1}


def _since(spec: str, each: int) -> Converter:
    pattern = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,6})?", re.ASCII)

    def convert(text: str) -> str:
        found = pattern.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{_shown(text)} is no number of {spec.removeprefix('time:')} since 1970")
        whole, _, rest = text.strip().partition(".")
        part = int(rest.ljust(6, "0")) * each // 1_000_000 if rest else 0
        return times.to_text(times.clamp(int(whole) * each + (-part if whole.startswith("-") else part)))

    return convert


_DAYS: Final = ("YYYY-MM-DD", "YYYY/MM/DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY")
_CLOCKS: Final = (" hh:mm", " hh:mm:ss")
AMBIGUOUS: Final = ("DD/MM/YYYY", "MM/DD/YYYY")
_GUESSED: Final = (
    "integer",
    "decimal",
    "decimal:1,234.56",
    "decimal:1.234,56",
    *(f"date:{day}" for day in _DAYS),
    "time:iso",
    *(f"time:{day}{clock}" for day in _DAYS[1:] for clock in _CLOCKS),
)
_LENGTHS: Final = {10: "time:seconds", 13: "time:milliseconds", 16: "time:microseconds"}


def guess(values: Iterable[str]) -> Sequence[str]:
    """
    Return the types that all of these texts have, the likeliest first; more than one only where nobody can tell.

    Numbers that begin with a zero are codes (of the post, of products), and stay text.

    >>> guess(["1", "2"]), guess(["12.5", "3"]), guess(["01067"]), guess(["1/2/2024"])
    (['integer'], ['decimal'], ['text'], ['date:DD/MM/YYYY', 'date:MM/DD/YYYY'])
    """
    seen = {text for text in values if text.strip()}
    if not seen:
        return [TEXT]
    if all(text.strip().casefold() in _TRUTHS for text in seen):
        return ["boolean"]
    fitting: list[str] = []
    for spec in _GUESSED:
        reads = converter(spec)
        if reads is not None and all(_is(reads, text) for text in seen):
            if not any(form in spec for form in AMBIGUOUS):
                return fitting or [spec]
            fitting.append(spec)
    return fitting or [TEXT]


def nearly(values: Sequence[str]) -> str | None:
    """
    Return the type that nine in ten of these texts have; None if there is none, or all have it.

    >>> nearly(["1", "2", "3", "4", "5", "6", "7", "8", "9", "none"])
    'integer'
    """
    seen = [text for text in values if text.strip()]
    for spec in ("boolean", *_GUESSED):
        reads = converter(spec)
        fitting = sum(_is(reads, text) for text in seen) if reads is not None else 0
        if _NEARLY * len(seen) <= fitting < len(seen):
            return spec
    return None


_NEARLY: Final = 0.9


def guess_time(values: Iterable[str]) -> Sequence[str]:
    """
    Return the types by which all of these texts are times, as `guess` does; none, if they are not.

    >>> guess_time(["1700000000"]), guess_time(["2024-05-31"]), guess_time(["soon"])
    (['time:seconds'], ['time:iso'], [])
    """
    seen = {text.strip() for text in values if text.strip()}
    lengths = {len(text.partition(".")[0]) for text in seen if _DECIMAL.fullmatch(text)}
    if seen and len(lengths) == 1 and all(_DECIMAL.fullmatch(text) for text in seen):
        spec = _LENGTHS.get(lengths.pop())
        return [] if spec is None else [spec]
    if seen and all(_is(lambda text: _iso(text, UTC), text) for text in seen):
        return ["time:iso"]
    return ["time:" + spec.partition(":")[2] for spec in guess(seen) if spec.startswith(("date:", "time:"))]


def _is(reads: Converter, text: str) -> bool:
    try:
        reads(text)
    except ValueError:
        return False
    return True

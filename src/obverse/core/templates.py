"""Templates: Liquid in MJML, checked once and filled in for each person. Pure text in, pure text out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps
from typing import Any, Final
from xml.parsers import expat

import liquid
import mrml
from liquid.exceptions import LiquidError, ResourceLimitError

from obverse.core import json_values
from obverse.core.outgoing import Template

KNOWN: Final[Mapping[str, str]] = {
    "customer": "attributes and traits of the person, `id` and `email`",
    "trigger": "what set it off: `audience`, or what the call gave as `data`",
}
"""What a template may speak of."""

MOST_TURNS: Final = 10_000
"""Turns of all loops in one message."""
MOST_CHARACTERS: Final = 1_000_000
"""Of one message."""
_LIQUID: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_POSITION: Final = re.compile(r"position (\d+):")
_NOT_BLANK: Final = re.compile(r"[^\r\n]")


class BadTemplate(ValueError):
    """A template that cannot be used; the message names the place in it and what to write."""


class CannotFillIn(ValueError):
    """A template that cannot be filled in for this person; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A message for one person."""

    subject: str
    html: str
    text: str


class _Environment(liquid.Environment):
    loop_iteration_limit = MOST_TURNS
    output_stream_limit = MOST_CHARACTERS
    context_depth_limit = 20

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Have those that compute know our numbers, which they would take for 0."""
        super().setup_tags_and_filters(extra=extra)
        for name in _COMPUTING:
            self.filters[name] = _with_decimals(self.filters[name])


def _with_decimals(computes: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(computes)
    def with_decimals(*values: Any, **named: Any) -> Any:
        return computes(*map(_spelt, values), **named)

    return with_decimals


def _spelt(value: Any) -> Any:
    """With decimals as texts, which the library reads as numbers."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return [_spelt(one) for one in value]
    return {name: _spelt(one) for name, one in value.items()} if isinstance(value, dict) else value


_COMPUTING: Final = (
    "abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo", "plus", "round", "sum", "times",
)  # fmt: skip

_PLAIN: Final = _Environment()
_HTML: Final = _Environment(autoescape=True)
_FOREIGN: Final = ("include", "render")


class CompiledTemplate:
    """A template, checked and ready to be filled in."""

    def __init__(self, template: Template) -> None:
        """
        Check every part.

        Raises:
            BadTemplate: names the part, line and column, what is wrong there and what to write.
        """
        self.template = template
        self._subject = _parsed(template.subject, _PLAIN, "spec.subject")
        self._text = _parsed(template.text, _PLAIN, "spec.text") if template.text else None
        self._html = None
        if template.mjml:
            _parsed(template.mjml, _HTML, "spec.mjml")  # so that a flaw is told where its author wrote it
            self._html = _parsed(_to_html(template.mjml), _HTML, "spec.mjml")

    def fill_in(self, customer: Mapping[str, Any], trigger: Mapping[str, Any]) -> Filled:
        """
        Write the message for one person. The subject may be anything; whether it can be a header, `Mail` says.

        Raises:
            CannotFillIn: a filter cannot take a value, or the message becomes too long.
        """
        values = {"customer": _within_reach(customer), "trigger": _within_reach(trigger)}
        try:
            subject = self._subject.render(values)
            html = self._html.render(values) if self._html is not None else ""
            text = self._text.render(values) if self._text is not None else _as_text(html)
        except ResourceLimitError as error:
            raise CannotFillIn(
                f"template {self.template.name!r} is too long with this person's values ({_said(error)}): "
                f"at most {MOST_TURNS} turns of loops and {MOST_CHARACTERS} characters"
            ) from error
        except LiquidError as error:
            raise CannotFillIn(
                f"template {self.template.name!r} fails with this person's values: {_said(error)}"
            ) from error
        except Exception as error:  # filters let out whatever Python says of a value, and others are waiting
            raise CannotFillIn(
                f"template {self.template.name!r} fails with this person's values: {type(error).__name__}: {error}"
            ) from error
        return Filled(subject=subject, html=html, text=text)


def _within_reach(value: Any, depth: int = 0) -> Any:
    """With numbers that nobody computes with as texts: counting to 1e300000 takes seconds, and further for ever."""
    if isinstance(value, Decimal):
        within_reach = json_values.number(value)
        return str(value) if within_reach is None else within_reach
    if not isinstance(value, Mapping | list):
        return value
    if depth > _MOST_LEVELS:
        return None
    if isinstance(value, list):
        return [_within_reach(one, depth + 1) for one in value]
    return {name: _within_reach(one, depth + 1) for name, one in value.items()}


_MOST_LEVELS: Final = 100
"""Of a value that a template may look into."""


_ADVICE: Final = (
    (
        re.compile(r"expected '(\}\}|%\})'"),
        r"close it: write \1 where it ends, as in {{ customer.email }}, {% endif %}",
    ),
    (re.compile(r"expected tag (end\w+)"), r"write {% \1 %} where it ends"),
    (re.compile("missing expression"), "write what it is about, as in {% if customer.orders > 1 %}"),
    (re.compile("unexpected tag"), "correct its name, or take it out: Liquid knows if, unless, case, for, assign"),
)
"""What to write, by what Liquid says is wrong."""


def _advice(said: str) -> str:
    for wrong, advice in _ADVICE:
        if found := wrong.search(said):
            return found.expand(advice)
    return "write {{ name }}, or {{ name | filter: value }}, of what is known, and texts in quotes"


def _parsed(source: str, environment: liquid.Environment, part: str) -> liquid.BoundTemplate:
    try:
        parsed = environment.from_string(source)
        used = parsed.analyze(include_partials=False)
    except LiquidError as error:
        raise BadTemplate(f"{part}{_place(source, error)}: {_said(error)}; {_advice(_said(error))}") from error
    for tag in _FOREIGN:
        if tag in used.tags:
            raise BadTemplate(
                f"{part}{_at(source, used.tags[tag][0].index)}: templates cannot {tag} others; copy the text"
            )
    for name, places in used.filters.items():
        if name not in environment.filters:
            raise BadTemplate(f"{part}{_at(source, places[0].index)}: there is no filter {name!r}; see Liquid's list")
    for name, variables in used.globals.items():
        if name not in KNOWN:
            told = "; ".join(f"{known}: {what}" for known, what in KNOWN.items())
            raise BadTemplate(f"{part}{_at(source, variables[0].span.index)}: {name!r} is not known; there are {told}")
    return parsed


def _to_html(mjml: str) -> str:
    _check_depth(mjml)
    for found in _COMPONENT.finditer(mjml):
        # The library leaves an unknown one out without a word.
        if found[1] not in _COMPONENTS:
            raise BadTemplate(f"spec.mjml{_at(mjml, found.start())}: <mj-{found[1]}> is not to be used; {_REMEDY}")
    try:
        return mrml.to_html(mjml).content
    except OSError as error:  # what the library raises for anything that it cannot read
        place = _first_flaw(mjml) or _place_in(mjml, str(error))
        raise BadTemplate(f"spec.mjml{place}: it cannot be read as MJML ({error}); {_REMEDY}") from error


def _check_depth(mjml: str) -> None:
    """The library follows tags as deep as they go; some thousand levels would be the end of this process."""
    open_tags = 0
    for found in _TAG.finditer(mjml):
        if found["close"]:
            open_tags = max(0, open_tags - 1)
        elif found["open"] and not found["empty"] and found["open"].lower() not in _VOID:
            open_tags += 1
        if open_tags > _DEEPEST:
            raise BadTemplate(
                f"spec.mjml{_at(mjml, found.start())}: tags are nested deeper than {_DEEPEST} levels; use fewer"
            )


_DEEPEST: Final = 200
_TAG: Final = re.compile(
    r"<!--(?:.*?-->|.*)|<!\[CDATA\[(?:.*?\]\]>|.*)|</(?P<close>[a-z])|"
    r"""<(?P<open>[a-z][a-z0-9:_.-]*)(?:[^<>"'/]|"[^"]*"|'[^']*'|/(?!>))*(?P<empty>/)?>""",
    re.DOTALL | re.IGNORECASE,
)
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})


def _place_in(mjml: str, told: str) -> str:
    """Where the library says that it is, in bytes."""
    found = _POSITION.search(told)
    return _at(mjml, len(mjml.encode()[: int(found[1])].decode(errors="ignore"))) if found else ""


_COMPONENT: Final = re.compile(r"</?mj-([a-z0-9-]*)")
_COMPONENTS: Final = frozenset(
    {
        "accordion", "accordion-element", "accordion-text", "accordion-title", "all", "attributes", "body",
        "breakpoint", "button", "carousel", "carousel-image", "class", "column", "divider", "font", "group", "head",
        "hero", "image", "navbar", "navbar-link", "preview", "raw", "section", "social", "social-element", "spacer",
        "style", "table", "text", "title", "wrapper",
    }
)  # fmt: skip
_REMEDY: Final = "close every tag, and use the components of MJML 4 only"


def _first_flaw(mjml: str) -> str:
    """Where it stops being XML, told as in an editor; the library that renders does not say."""
    # What Liquid says may hold < and >; blanks of the same length keep every place.
    masked = _LIQUID.sub(lambda found: _NOT_BLANK.sub(" ", found[0]), mjml)
    parser = expat.ParserCreate()
    try:
        parser.Parse(masked.encode(), True)  # noqa: FBT003 - its signature
    except expat.ExpatError as error:
        return f", line {error.lineno}, column {error.offset + 1} ({expat.ErrorString(error.code)})"
    return ""


def _place(source: str, error: LiquidError) -> str:
    index = error.token.start_index if error.token is not None else -1
    # At the source's end the library gives no place; the last tag that is open is not told either.
    return _at(source, index if index >= 0 else len(source))


def _at(source: str, index: int) -> str:
    before = source[:index]
    return f", line {before.count(chr(10)) + 1}, column {index - (before.rfind(chr(10)) + 1) + 1}"


def _said(error: LiquidError) -> str:
    return str(error.message).splitlines()[0]


def _as_text(html: str) -> str:
    """The plain part of a message that has none of its own."""
    from inscriptis import get_text  # noqa: PLC0415 - 40 ms, which only those who send pay

    return "\n".join(line.rstrip() for line in get_text(html).splitlines()).strip() if html else ""

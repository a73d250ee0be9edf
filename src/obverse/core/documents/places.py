"""Places: where in a tree the readers' messages mean."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from typing import Any, Final

from obverse.core.documents.written import Path

_LITERAL: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_QUOTED: Final = re.compile(rf"({_LITERAL.pattern})|`([^`]*)`")


def path_of(message: str, tree: Any) -> Path:
    """
    The path that a message begins with, as far as the tree has it. Names may have dots in them.

    >>> path_of("spec.kinds.android.id: what is wrong", {"spec": {"kinds": {"android.id": {}}}})
    ('spec', 'kinds', 'android.id')
    """
    path: Path = ()
    rest = message
    while True:
        step = _step(rest, tree)
        if step is None:
            return path
        part, rest = step
        path = (*path, part)
        tree = tree[part]


def _step(rest: str, tree: Any) -> tuple[str | int, str] | None:
    if isinstance(tree, dict):
        rest = rest.removeprefix(".")
        for name in sorted((one for one in tree if rest.startswith(one)), key=len, reverse=True):
            after = rest[len(name) :]
            if name and after[:1] in {".", "[", ":"}:
                return name, after
    elif isinstance(tree, list) and (found := re.match(r"\[(\d+)\]", rest)) is not None and int(found[1]) < len(tree):
        return int(found[1]), rest[found.end() :]
    return None


def named_in(message: str, tree: Any) -> Path | None:
    """The first value in the spec that is, or refers to, something that the message quotes; the last quoted first."""
    spec = tree.get("spec") if isinstance(tree, dict) else None
    for literal, other in reversed(_QUOTED.findall(message)):
        name = _read(literal) if literal else other
        for path, value in _texts(spec, ("spec",)):
            if name and (name in {value, value.partition(".")[2]} or name in value.split()):
                return path
    return None


def quoted(message: str) -> list[str]:
    r"""
    What a message quotes, as `repr` writes it.

    >>> quoted("audience 'a' looks at trait '\\n'"), quoted(repr("it's"))
    (['a', '\n'], ["it's"])
    """
    return [_read(literal) for literal in _LITERAL.findall(message)]


def _read(literal: str) -> str:
    try:
        return str(literal_eval(literal))
    except (SyntaxError, ValueError):  # quoted by hand
        return literal[1:-1]


def _texts(tree: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _texts(value, (*path, name))
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield from _texts(value, (*path, place))
    elif isinstance(tree, str):
        yield path, tree

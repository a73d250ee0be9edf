"""A command's result for programs: one line of JSON on stdout."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from obverse.core.flaws import readable


def write_json(tree: Any) -> None:
    """Write it; of a file's name that is not UTF-8 the bytes that are none stand as escapes, as people are told it."""
    try:
        text = msgspec.json.encode(tree)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_readable(msgspec.to_builtins(tree, builtin_types=(msgspec.Raw,))))
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def _readable(tree: Any) -> Any:
    if isinstance(tree, str):
        return readable(tree)
    if isinstance(tree, dict):
        return {readable(name): _readable(value) for name, value in tree.items()}
    return [*map(_readable, tree)] if isinstance(tree, list) else tree

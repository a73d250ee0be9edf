"""Documents as YAML text: stable, so that what did not change reads the same, and long texts on lines of their own."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

_BREAKS: Final = re.compile("[\r\x85\u2028\u2029]")
"""Breaks of lines that YAML would make another one of."""


class _Dumper(yaml.SafeDumper):
    """Without aliases, which people would have to follow."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own hook
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS.search(value) else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(tree: Any) -> str:
    """The document, its fields in the order in which they were written."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text

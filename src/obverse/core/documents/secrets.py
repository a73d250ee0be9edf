"""Secrets: a definition names where one is kept, and never holds it, since definitions are shared and stored."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from obverse.core.documents.written import Path

_REFERENCE: Final = re.compile(r"\$\{(?:env|file):[^{}]+\}")
_SECRET: Final = re.compile(
    r"token|secret|passwo?r?d|passphrase|passcode|credential|authorization|(private|api|access|signing|encryption)_?key",
    re.IGNORECASE,
)
_IN_ADDRESS: Final = re.compile(r"://[^/?#@\s]*:[^/?#@\s]+@")
"""The password of `https://user:password@host`."""
_HOW: Final = "write `${env:NAME}` for a variable, or `${file:PATH}` for a file beneath the data folder"


def written_down(
    settings: Any, path: Path, known: Collection[str] = (), *, secret: bool = False
) -> Iterator[tuple[Path, str]]:
    """
    Secrets that stand in a connection's settings themselves, each with what to do; they are not repeated.

    `known` are the names that the adapter keeps secret, beside those that sound so; `secret`: all of it is.
    """
    if isinstance(settings, dict):
        for name, value in settings.items():
            hidden = secret or name in known or _SECRET.search(name) is not None
            yield from written_down(value, (*path, name), known, secret=hidden)
    elif isinstance(settings, list):
        for place, value in enumerate(settings):
            yield from written_down(value, (*path, place), known, secret=secret)
    elif isinstance(settings, str):
        yield from _in_text(settings, path, secret=secret)
    elif secret and settings is not None and not isinstance(settings, bool):
        yield path, f"a secret is not written down; {_HOW}"


def _in_text(text: str, path: Path, *, secret: bool) -> Iterator[tuple[Path, str]]:
    plain = _REFERENCE.sub("", text)
    if "${" in plain:
        yield path, f"what stands in `${{…}}` names no secret; {_HOW}"
    elif secret and plain.strip():
        yield path, f"a secret is not written down; {_HOW}"
    elif _IN_ADDRESS.search(plain):
        yield path, f"the address has a password in it; {_HOW}"

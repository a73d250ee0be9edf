"""What the tests of `deploy/` read: its compose file, and the files that images are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import yaml

from obverse.settings import Settings
from obverse.wiring.finding import find, settings_of

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
TOOLS: Final = ROOT / ".venv" / "deploy"
"""What `make deploy-tools` has built."""
PINNED: Final = re.compile(r"\d+\.\d+(\.\d+)?")
"""A version in an image's tag: `latest`, or none, would be another image tomorrow."""

_VARIABLE: Final = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<how>:-|:\?)(?P<rest>[^}]*)\}|(?<!\$)\$\{?(?P<bare>\w+)\}?")


def read_compose() -> dict[str, Any]:
    """The compose file as it is written, its anchors put in."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def texts(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a document, with its place."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from texts(value, f"{place}.{name}")
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from texts(value, f"{place}[{number}]")
    elif isinstance(document, str):
        yield place, document


def variables(text: str) -> Iterator[tuple[str, str, str]]:
    """The variables that compose puts into a text: name, `:-` or `:?` or nothing, and what stands behind that."""
    for found in _VARIABLE.finditer(text):
        yield found["name"] or found["bare"], found["how"] or "", found["rest"] or ""


def put_in(text: str) -> str:
    """The text as it is where nobody has set anything but what has to be set."""
    return _VARIABLE.sub(lambda found: found["rest"] if found["how"] == ":-" else "set", text).replace("$$", "$")


def check_tables(settings: Settings) -> None:
    """Hold what is set of an adapter against what it takes; raises `BadSettings` or what the adapter says."""
    for port in ("event_log", "profile_cache", "engine", "email_service"):
        for adapter in set(getattr(settings, port)) - {"adapter"}:
            # One that is in no package here is known to nobody.
            if entry_points(group=f"obverse.{port}", name=adapter):
                _, table = settings.port_options(port, adapter)
                settings_of(find(port, adapter), table, f"[{port}.{adapter}]")

"""Making sources: a write key is shown once, and only its hash is kept."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from obverse.apps import data_folder
from obverse.wiring import hash_key

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class BadSourceName(ValueError):
    """A name that no source can have."""


class NoSuchSource(LookupError):
    """No file defines the source, or not in a form that can be written to; the message says what to do."""


class SourceExists(ValueError):
    """There is a source of this name already."""


def new_key() -> str:
    """A write key: 32 random bytes behind a prefix that says what it is."""
    return f"wk_{secrets.token_urlsafe(32)}"


def check_name(name: str) -> None:
    """Raise `BadSourceName` if it cannot name a source."""
    if not _NAME.fullmatch(name):
        raise BadSourceName(f"{name!r} cannot name a source: use a-z, 0-9, - and _, at most 63 characters")


def new_source(name: str, key: str) -> dict[str, Any]:
    """The document of a source that this key opens."""
    return {
        "version": "obverse/v1",
        "kind": "source",
        "metadata": {"name": name},
        "spec": {"enabled": True, "write_key_hashes": [hash_key(key)]},
    }


def with_another(hashes: Sequence[str], key: str) -> Sequence[str]:
    """The hashes when this key opens it too, beside the latest of those that do."""
    return [*hashes[-(MOST_KEYS - 1) :], hash_key(key)]


def newest(hashes: Sequence[str]) -> Sequence[str]:
    """The hash of the newest key alone."""
    return hashes[-1:]


def add_source(definitions: Path, name: str, key: str) -> Path:
    """
    Write the definition of a source that this key opens; return the file.

    Raises:
        SourceExists: the file is there already.
        BadSourceName: the name cannot be one.
        BadDataFolder: nothing can be written there.
    """
    check_name(name)
    path = definitions / "sources" / f"{name}.yml"
    data_folder.make(path.parent)
    try:
        with path.open("x", encoding="utf-8") as file:
            yaml.safe_dump(new_source(name, key), file, sort_keys=False)
    except FileExistsError as error:
        raise SourceExists(f"{path} exists; choose another name, or remove the file first") from error
    return path


MOST_KEYS: Final = 2
"""Keys that open one source: the one that is handed out, and the one that is being replaced."""


def rotate_key(definitions: Path, name: str, key: str) -> Path:
    """
    Let this key open a source too, beside the latest of those that do; return the file.

    Raises:
        NoSuchSource: see there.
    """
    return _write_keys(definitions, name, lambda hashes: with_another(hashes, key))


def retire_keys(definitions: Path, name: str) -> Path:
    """
    Let only the newest key open a source; return the file.

    Raises:
        NoSuchSource: see there.
    """
    return _write_keys(definitions, name, newest)


def _write_keys(definitions: Path, name: str, change: Callable[[Sequence[str]], Sequence[str]]) -> Path:
    """Put other hashes in the place of those that the file has; all else in it stays as it was written."""
    path = definitions / "sources" / f"{name}.yml"
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NoSuchSource(
            f"source {name!r} is not in {path} ({error}); make it with `obverse source add {name}`, "
            "or put its hash of the key (SHA-256) into its own file by hand"
        ) from error
    key, node = _pair(_pair(document, "spec")[1], "write_key_hashes")
    if not isinstance(node, yaml.SequenceNode):
        raise NoSuchSource(f"{path} has no list `spec.write_key_hashes`; write one, `write_key_hashes: []`")
    hashes = change([str(one.value) for one in node.value])
    written = ": [" + ", ".join(hashes) + "]"
    # A list with dashes ends where the next thing begins, which may be after comments that are to stay.
    end = (node if node.flow_style else node.value[-1]).end_mark.index
    text = text[: key.end_mark.index] + written + text[end:]
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)  # noqa: PTH105 - at once: it is being watched
    return path


def _pair(node: Any, name: str) -> tuple[Any, Any]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next(((key, value) for key, value in pairs if key.value == name), (None, None))

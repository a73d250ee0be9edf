"""Making sources: a write key is shown once, and only its hash is kept."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

import yaml

from obverse.apps import data_folder
from obverse.wiring import hash_key

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class BadSourceName(ValueError):
    """A name that no source can have."""


class SourceExists(ValueError):
    """There is a source of this name already."""


def new_key() -> str:
    """A write key: 32 random bytes behind a prefix that says what it is."""
    return f"wk_{secrets.token_urlsafe(32)}"


def add_source(definitions: Path, name: str, key: str) -> Path:
    """
    Write the definition of a source that this key opens; return the file.

    Raises:
        SourceExists: the file is there already.
        BadSourceName: the name cannot be one.
        BadDataFolder: nothing can be written there.
    """
    if not _NAME.fullmatch(name):
        raise BadSourceName(f"{name!r} cannot name a source: use a-z, 0-9, - and _, at most 63 characters")
    path = definitions / "sources" / f"{name}.yml"
    data_folder.make(path.parent)
    document = {
        "version": "obverse/v1",
        "kind": "source",
        "metadata": {"name": name},
        "spec": {"enabled": True, "write_key_hashes": [hash_key(key)]},
    }
    try:
        with path.open("x", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
    except FileExistsError as error:
        raise SourceExists(f"{path} exists; choose another name, or remove the file first") from error
    return path

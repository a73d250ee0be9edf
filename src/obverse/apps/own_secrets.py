"""Secrets that an installation makes for itself: random, in the data folder, for its own user to read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

API_KEY: Final = "api-key"
"""Of the api, unless another one is set."""
FOLDER: Final = "secrets"
"""In the data folder; a definition names what is in it as `${file:secrets/NAME}`."""


def own_secret(data: Path, name: str) -> str:
    """
    Return the secret of this name, made now if there is none.

    Raises:
        PermissionError: the folder or the file belongs to somebody else.
    """
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    with suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    new = folder / f".{name}-{secrets.token_hex(4)}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Of two who make it at once, the one that comes first has made it.
        with suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()
    return path.read_text(encoding="ascii").strip()

"""The server's log: where it goes, its last words, and how it is kept from filling the disk."""

from __future__ import annotations

import os
from pathlib import Path

KEPT = 10
"""Log files; each holds 10 MB at most."""

FILE_MEGABYTES = 10

SHOWN_BYTES = 8192


class Journal:
    """
    The folder with the server's log.

    `start.log` holds what the server says before it has opened its log, and is begun anew by each
    start; the server itself writes the files `server-<time>.log`, a new one whenever one is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[Path, int] = {}

    def settings(self) -> dict[str, str]:
        """Return the settings that make the server log here."""
        return {
            "logging_collector": "on",
            "log_directory": str(self.folder),
            "log_filename": "server-%Y%m%d-%H%M%S.log",
            "log_file_mode": "0600",
            "log_rotation_age": "0",
            "log_rotation_size": f"{FILE_MEGABYTES}MB",
            "log_line_prefix": "%m [%p] %q%u ",
            "log_timezone": "UTC",
            # The details of an error quote rows, and those hold people's data. The client gets them.
            "log_error_verbosity": "terse",
        }

    def open_start_log(self) -> int:
        """Begin the log of a new start, and return a descriptor of its `start.log`; the caller closes it."""
        self._seen = {path: path.stat().st_size for path in self._files()}
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
        return os.open(self.folder / "start.log", flags, 0o600)

    def told_since_start(self) -> str:
        """Return what the server said since `open_start_log`, of each file the last 8 KiB at most."""
        told = [_end_of(path, self._seen.get(path, 0)) for path in self._files()]
        return "\n".join((_end_of(self.folder / "start.log", 0), *told))

    def prune(self) -> None:
        """Delete all but the youngest files."""
        for path in self._files()[:-KEPT]:
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("server-*.log"))


def _end_of(path: Path, begin: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(begin, path.stat().st_size - SHOWN_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""

"""
The record of a load: how far it came, in a file beside the one that is loaded.

Beside it and not in the store, since whoever loads needs nothing of an installation but its collector's address and a
key, and the record is of use wherever the file is, and nowhere else.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from obverse.flows.load import Standing

_VERSION: Final = 1


class BadLoad(RuntimeError):
    """A load that cannot begin or go on as asked; the message says what to do."""


class Entry(msgspec.Struct, kw_only=True):
    """One load of the file: into one source of one collector, as one kind of event."""

    file: str
    """Digest of the file's bytes."""
    mapping: str
    """Digest of the mapping."""
    rejects: str
    """Name of the reject file."""
    began: str
    """ISO 8601."""
    standing: Standing


class _Record(msgspec.Struct):
    version: int = _VERSION
    loads: dict[str, Entry] = {}


class Record:
    """The loads of one file."""

    def __init__(self, path: Path, folder: Path) -> None:
        """
        Read what is known of earlier loads; `folder` is where record and reject files are.

        Raises:
            BadLoad: it cannot be read.
        """
        self.path = folder / f"{path.name}.load.json"
        try:
            self._record = msgspec.json.decode(self.path.read_bytes(), type=_Record)
        except FileNotFoundError:
            self._record = _Record()
        except (OSError, msgspec.MsgspecError) as error:
            raise BadLoad(
                f"{self.path}, which tells how far earlier loads of {path.name} came, cannot be read: {error}; put it "
                "right, or remove it and what was loaded is sent again"
            ) from error

    @property
    def entries(self) -> Collection[Entry]:
        """All of them."""
        return self._record.loads.values()

    def find(self, key: str) -> Entry | None:
        """What is known of this load."""
        return self._record.loads.get(key)

    def begin(self, key: str, entry: Entry) -> None:
        """Note that this load begins anew."""
        self._record.loads[key] = entry

    def reject_path(self, key: str, wanted: str) -> str:
        """The name of the load's reject file: the one that it has, else the one that is wanted or one like it."""
        known = self.find(key)
        if known is not None:
            return known.rejects
        taken = {one.rejects for one in self._record.loads.values()}
        stem, dot, suffix = wanted.rpartition(".rejects.")
        names = (wanted, *(f"{stem}-{number}{dot}{suffix}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def keep(self) -> None:
        """
        Write it, durably.

        Raises:
            BadLoad: it cannot be written.
        """
        beside = self.path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(self._record)))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise BadLoad(
                f"{self.path} cannot be written ({error.strerror}): it tells how far a load came. Say --beside FOLDER "
                "for one that can be written to"
            ) from error


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """
    While the block runs nobody else loads this file.

    Raises:
        BadLoad: somebody does.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadLoad(f"{path} is being loaded by another process: wait for its end") from None
        yield

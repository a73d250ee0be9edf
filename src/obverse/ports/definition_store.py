"""Port: the definitions of a workspace, as they were written, and who changed them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from obverse.core.documents.written import Document, Key


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A definition as it stands."""

    document: Document
    project: str
    """Which project wrote it last."""
    changed_by: str
    changed_at: int
    """In microseconds since 1970."""
    changed_in: int
    """The version of the set that brought it as it is."""


class DefinitionSet(msgspec.Struct, frozen=True):
    """All definitions as of one version."""

    version: int = 0
    """Grows with each write; 0 before the first."""
    entries: tuple[Entry, ...] = ()
    """In the order of their keys."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One definition that was changed by one write."""

    set_version: int
    key: Key
    text: str | None
    """The document as JSON; None if it was removed."""
    project: str
    changed_by: str
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who writes, and when."""

    project: str
    name: str
    now: int
    """In microseconds since 1970."""


class LostRace(Exception):
    """Somebody else wrote since the set was read; nothing was changed. Read it again, and compare anew."""


class DefinitionStore(Protocol):
    """
    Keeps the definitions of one workspace.

    Promises, proved for every adapter by `obverse.contracts.definition_store`:

    * a write is there whole, or not at all;
    * of two who write upon one version, one loses, and is told so;
    * the version grows with every write, and with nothing else;
    * a document comes back with the very text that was written.

    Every method raises `Unreachable` where nothing can be read or written now, and `AccessRefused` where this role
    may not. What is written was checked before: a store does not look into documents.
    """

    async def version(self) -> int:
        """Return the version of the set, without reading it."""
        ...

    async def read(self, version: int | None = None) -> DefinitionSet:
        """Return all definitions, as of this version; as of the last one, if none is given."""
        ...

    async def live(self) -> int | None:
        """Return the version whose traits and audiences are computed for everybody; None before the first."""
        ...

    async def go_live(self, version: int) -> None:
        """Note that this version's are."""
        ...

    async def write(self, expected: int, puts: Sequence[Document], removals: Collection[Key], *, author: Author) -> int:
        """
        Write these documents, and remove those of these keys, all at once; return the new version.

        What has no document of its key is removed already. If the answer is lost, read: it is there, or it is not.

        Raises:
            LostRace: the set has another version than `expected`.
        """
        ...

    async def history(self, *, limit: int, before: int | None = None, of: Key | None = None) -> Sequence[Change]:
        """
        Return what was changed, the latest first; of versions below `before`, of one definition alone.

        At least `limit` changes, if there are so many: a version is never cut in two.
        """
        ...

    async def close(self) -> None:
        """Close what this opened."""
        ...

"""Definitions in memory: for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from obverse.core.documents.written import Document, Key
from obverse.ports.definition_store import Author, Change, DefinitionSet, DefinitionStore, Entry, LostRace
from obverse.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDefinitionStoreSettings:
    """The `[definition_store.memory]` table of the settings file."""

    workspace: str = "main"


async def open_definition_store(settings: MemoryDefinitionStoreSettings, runtime: Runtime) -> DefinitionStore:  # noqa: ARG001 - every adapter is opened alike
    """Entry point `obverse.definition_store:memory`. Each call opens an empty store of its own."""
    return MemoryDefinitionStore()


class MemoryDefinitionStore:
    """See `DefinitionStore`."""

    def __init__(self) -> None:
        self._version = 0
        self._live: int | None = None
        self._entries: dict[Key, Entry] = {}
        self._changes: list[Change] = []

    async def version(self) -> int:
        """See `DefinitionStore.version`."""
        return self._version

    async def live(self) -> int | None:
        """See `DefinitionStore.live`."""
        return self._live

    async def go_live(self, version: int) -> None:
        """See `DefinitionStore.go_live`."""
        self._live = version

    async def read(self, version: int | None = None) -> DefinitionSet:
        """See `DefinitionStore.read`."""
        if version is not None and version != self._version:
            return DefinitionSet(version, tuple(one for _, one in sorted(self._as_of(version).items())))
        return DefinitionSet(self._version, tuple(one for _, one in sorted(self._entries.items())))

    async def write(self, expected: int, puts: Sequence[Document], removals: Collection[Key], *, author: Author) -> int:
        """See `DefinitionStore.write`."""
        if expected != self._version:
            raise LostRace(f"the definitions are at version {self._version}, and not at {expected} any more")
        self._version += 1
        gone = sorted(key for key in removals if self._entries.pop(key, None) is not None)
        for one in puts:
            self._entries[one.key] = Entry(
                document=one,
                project=author.project,
                changed_by=author.name,
                changed_at=author.now,
                changed_in=self._version,
            )
        for key, text in sorted([*((one.key, one.text) for one in puts), *((key, None) for key in gone)]):
            self._changes.append(
                Change(
                    set_version=self._version,
                    key=key,
                    text=text,
                    project=author.project,
                    changed_by=author.name,
                    changed_at=author.now,
                )
            )
        return self._version

    async def history(self, *, limit: int, before: int | None = None, of: Key | None = None) -> Sequence[Change]:
        """See `DefinitionStore.history`."""
        wanted = [one for one in self._changes if of in {None, one.key}]
        found: list[Change] = []
        for version in sorted({one.set_version for one in wanted}, reverse=True):
            if before is None or version < before:
                if len(found) >= limit:
                    break
                found += [one for one in wanted if one.set_version == version]
        return found

    def _as_of(self, version: int) -> dict[Key, Entry]:
        entries: dict[Key, Entry] = {}
        for one in self._changes:
            if one.set_version > version:
                continue
            if one.text is None:
                entries.pop(one.key, None)
                continue
            entries[one.key] = Entry(
                document=Document(one.key, one.text),
                project=one.project,
                changed_by=one.changed_by,
                changed_at=one.changed_at,
                changed_in=one.set_version,
            )
        return entries

    async def close(self) -> None:
        """See `DefinitionStore.close`."""

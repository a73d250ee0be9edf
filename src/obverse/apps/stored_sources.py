"""Sources and their write keys where no folder is followed: written into the store of definitions itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from obverse.apps.sources import NoSuchSource, SourceExists, check_name, new_source, newest, with_another
from obverse.core.documents.written import Document, Key, document
from obverse.flows.edit_definitions import CONSOLE
from obverse.ports.definition_store import Author, DefinitionSet, DefinitionStore, LostRace
from obverse.ports.runtime import Runtime

_TRIES: Final = 5
"""Until somebody else's writes are told as a lost race."""


class StoredSources:
    """Makes sources, and changes their keys."""

    def __init__(self, store: DefinitionStore, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime

    async def add(self, name: str, key: str, *, by: str) -> None:
        """
        Define a source that this key opens.

        Raises:
            SourceExists: there is one of this name.
            BadSourceName: the name cannot be one.
            Unreachable, AccessRefused, LostRace: of the store.
        """
        check_name(name)

        def added(found: DefinitionSet) -> tuple[Document, str]:
            if any(one.document.key == Key("source", name) for one in found.entries):
                raise SourceExists(f"there is a source {name!r}; choose another name, or rotate its key")
            return document(new_source(name, key)), CONSOLE

        await self._write(added, by)

    async def rotate(self, name: str, key: str, *, by: str) -> None:
        """
        Let this key open a source too, beside the latest of those that do.

        Raises:
            NoSuchSource: there is none of this name.
            Unreachable, AccessRefused, LostRace: of the store.
        """
        await self._write(_changed(name, lambda hashes: with_another(hashes, key)), by)

    async def retire(self, name: str, *, by: str) -> None:
        """
        Let only the newest key open a source.

        Raises: as `rotate`.
        """
        await self._write(_changed(name, newest), by)

    async def _write(self, change: Callable[[DefinitionSet], tuple[Document, str]], by: str) -> None:
        for left in reversed(range(_TRIES)):
            found = await self._store.read()
            changed, project = change(found)
            author = Author(project=project, name=by, now=self._runtime.now())
            try:
                await self._store.write(found.version, [changed], [], author=author)
            except LostRace:
                if not left:
                    raise
            else:
                return


def _changed(
    name: str, change: Callable[[Sequence[str]], Sequence[str]]
) -> Callable[[DefinitionSet], tuple[Document, str]]:
    def changed(found: DefinitionSet) -> tuple[Document, str]:
        for one in found.entries:
            if one.document.key == Key("source", name):
                tree: dict[str, Any] = one.document.tree
                hashes = change(tree["spec"].get("write_key_hashes", []))
                # It stays its project's, whoever changed a key of it.
                return document({**tree, "spec": {**tree["spec"], "write_key_hashes": list(hashes)}}), one.project
        raise NoSuchSource(f"there is no source {name!r}; make it")

    return changed

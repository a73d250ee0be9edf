"""The definitions in force: followed in the store, and kept in memory for whoever needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import structlog

from obverse.core import documents
from obverse.core.definitions import BadDefinition, Definitions, arriving
from obverse.core.documents.written import Document, ordered
from obverse.core.traits.kind import TraitKind
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

LOOK: Final = 1.0
"""Seconds between two looks at the version."""
FOLLOWED: Final = 2 * LOOK
"""Seconds after which every other process has looked, and follows what it found."""

_log = structlog.get_logger(__name__)


class CurrentDefinitions:
    """
    What is defined; `current` is in memory and never waits.

    Traits and audiences that were changed stay as they were until an engine has computed them for everybody.
    """

    def __init__(self, store: DefinitionStore, kinds: Mapping[str, TraitKind], runtime: Runtime) -> None:
        self._store = store
        self._kinds = kinds
        self._runtime = runtime
        self._version: int | None = None
        self._live: int | None = None
        self._newest = self._living = Definitions()
        self._current: Definitions | None = None
        self._trouble: str | None = None
        self._last = False
        """Whether what has gone live is followed by others first, and here by `go_live` alone."""
        self._documents: Sequence[Document] = ()
        self._living_documents: Sequence[Document] = ()

    def documents(self) -> Sequence[Document]:
        """What `current` was made of, as far as the fold needs it: traits and audiences are those that are live."""
        live = [one for one in self._living_documents if one.key.kind in {"trait", "audience"}]
        return [*live, *(one for one in self._documents if one.key.kind not in {"trait", "audience"})]

    def current(self) -> Definitions:
        """
        The definitions as they were read last; a set that cannot be read changes nothing.

        Raises:
            Unreachable: they were never read, since the store does not answer.
        """
        if self._current is None:
            raise Unreachable(f"the definitions have not been read yet ({self._trouble or 'they are being read'})")
        return self._current

    def coming(self) -> tuple[int, Definitions] | None:
        """
        The newest version, if its traits and audiences are not computed for everybody yet.

        Raises:
            Unreachable: as `current`.
        """
        self.current()
        if self._version is None or arriving.is_live(self._newest, self._living):
            return None
        return self._version, self._newest

    async def as_of(self, version: int) -> Definitions:
        """
        Return what a version defined.

        Raises:
            Unreachable, AccessRefused: the store cannot be read.
            BadDefinition: it cannot be used by this release.
        """
        return read_documents(await self.documents_of(version), self._kinds)

    @property
    def newest_documents(self) -> Sequence[Document]:
        """Those of the version that was applied last."""
        return self._documents

    async def documents_of(self, version: int) -> Sequence[Document]:
        """
        Return the documents of a version.

        Raises:
            Unreachable, AccessRefused: the store cannot be read.
        """
        return [one.document for one in (await self._store.read(version)).entries]

    async def announce(self, version: int) -> None:
        """
        Have every other process see this version, which is computed for everybody; `current` stays until `go_live`.

        Whoever folds lets go of what a changed trait was, and must be the last to do so: who reads by the definitions
        of a moment ago would find no value at all.

        Raises:
            Unreachable, AccessRefused: the store cannot be written.
        """
        if version == self._version and not arriving.replaces(self._newest, self._living):
            return  # nobody can miss what was not there
        self._last = True
        await self._store.go_live(version)
        await self._runtime.sleep(FOLLOWED)

    async def go_live(self, version: int) -> None:
        """
        Note that this version is computed for everybody; `current` follows at once.

        Raises:
            Unreachable, AccessRefused: the store cannot be written, or read.
        """
        await self._store.go_live(version)
        self._last = False
        await self._look()

    async def open(self) -> None:
        """
        Read them. If the store does not answer, `watch` goes on asking.

        Raises:
            BadDefinition: what is in the store cannot be used by this release.
        """
        await self._try()

    async def watch(self) -> None:
        """
        Follow changes, until cancelled.

        Raises:
            BadDefinition: as `open`, if nothing was read before.
        """
        while True:
            await self._runtime.sleep(LOOK)
            await self._try()

    async def _try(self) -> None:
        if self._last:
            return
        try:
            await self._look()
        except (Unreachable, AccessRefused) as error:
            if self._trouble is None:
                _log.warning("definitions cannot be read; those that are known hold", reason=str(error))
            self._trouble = str(error)
        except BadDefinition as error:
            if self._current is None:
                raise
            _log.error("definitions not changed: what was applied cannot be used", reason=str(error))
        else:
            self._trouble = None

    async def _look(self) -> None:
        version, live = await self._store.version(), await self._store.live()
        if (version, live) == (self._version, self._live):
            return
        found = await self._store.read()
        moved = found.version != self._version
        # First of all, so that a set which cannot be used is told once.
        self._version, self._live = found.version, live
        stored: Sequence[Document] = [one.document for one in found.entries]
        newest = read_documents(stored, self._kinds)
        # Before an engine has said so for the first time, nothing was computed otherwise.
        living, living_documents = newest, stored
        if live not in {None, found.version}:
            living, living_documents = await self._as_they_were(live or 0, newest, stored)
        self._newest, self._living = newest, living
        self._documents, self._living_documents = stored, living_documents
        known, self._current = self._current, arriving.shown(newest, living)
        if known is not None and moved:
            _log.info("definitions changed", version=found.version)

    async def _as_they_were(
        self, live: int, newest: Definitions, stored: Sequence[Document]
    ) -> tuple[Definitions, Sequence[Document]]:
        """The live set and its documents; the newest, if this release cannot use the live one any more."""
        documents = await self.documents_of(live)
        try:
            return read_documents(documents, self._kinds), documents
        except BadDefinition as error:
            _log.warning("what was live cannot be used any more; the newest is seen as it is", reason=str(error))
            return newest, stored


def read_documents(stored: Iterable[Document], kinds: Mapping[str, TraitKind]) -> Definitions:
    """
    What documents that were checked define.

    Raises:
        BadDefinition: they cannot be used all the same; names the definition.
    """
    return documents.read(((f"the store ({one.key.title})", one.tree) for one in ordered(stored)), kinds)

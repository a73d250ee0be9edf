"""The definitions in force: followed in the store, and kept in memory for whoever needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from obverse.core import documents
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents.written import Document, ordered
from obverse.core.traits.kind import TraitKind
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

LOOK: Final = 1.0
"""Seconds between two looks at the version."""

_log = structlog.get_logger(__name__)


class CurrentDefinitions:
    """What is defined; `current` is in memory and never waits."""

    def __init__(self, store: DefinitionStore, kinds: Mapping[str, TraitKind], runtime: Runtime) -> None:
        self._store = store
        self._kinds = kinds
        self._runtime = runtime
        self._version: int | None = None
        self._current: Definitions | None = None
        self._trouble: str | None = None

    def current(self) -> Definitions:
        """
        The definitions as they were read last; a set that cannot be read changes nothing.

        Raises:
            Unreachable: they were never read, since the store does not answer.
        """
        if self._current is None:
            raise Unreachable(f"the definitions have not been read yet ({self._trouble or 'they are being read'})")
        return self._current

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
        if await self._store.version() == self._version:
            return
        found = await self._store.read()
        # First of all, so that a set which cannot be used is told once.
        self._version = found.version
        changed = read_documents((one.document for one in found.entries), self._kinds)
        known, self._current = self._current, changed
        if known is not None:
            _log.info("definitions changed", version=found.version)


def read_documents(stored: Iterable[Document], kinds: Mapping[str, TraitKind]) -> Definitions:
    """
    What documents that were checked define.

    Raises:
        BadDefinition: they cannot be used all the same; names the definition.
    """
    return documents.read(((f"the store ({one.key.title})", one.tree) for one in ordered(stored)), kinds)

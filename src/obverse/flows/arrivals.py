"""Arrivals: definitions that an engine computes for everybody, one version after another."""

from __future__ import annotations

from collections.abc import Sequence

from obverse.core.definitions import Definitions
from obverse.core.documents.written import Document
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.ports.backfills import Backfills, Phase
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.engine import Arriving
from obverse.ports.outcomes import Unreachable


class Arrivals:
    """
    What is on its way to an engine.

    A version that an engine has begun with comes first, whatever was applied since: what it has computed of it is in
    the profiles.
    """

    def __init__(self, definitions: CurrentDefinitions, store: DefinitionStore, backfills: Backfills) -> None:
        self._definitions = definitions
        self._store = store
        self._backfills = backfills
        self._opened = False
        self._begun: Arriving | None = None
        self._coming: tuple[int, Sequence[Document]] | None = None

    def definitions(self) -> Definitions:
        """What everybody sees; see `CurrentDefinitions.current`."""
        return self._definitions.current()

    def documents(self) -> Sequence[Document]:
        """What they were made of; see `CurrentDefinitions.documents`."""
        return self._definitions.documents()

    def coming_documents(self) -> tuple[int, Sequence[Document]] | None:
        """What is on its way was made of, with its version; None if nothing is, or nobody has asked for it yet."""
        return self._coming

    async def open(self) -> None:
        """
        Look where the last engine stood; asked again, it does nothing.

        Raises:
            Unreachable, AccessRefused: a store cannot be read, or written.
        """
        if self._opened:
            return
        self._definitions.current()
        live = await self._store.live()
        if live is None:
            # Nothing was computed by other definitions than those of now.
            await self._definitions.go_live(await self._store.version())
        known = await self._backfills.backfill()
        if known is not None and known.phase is not Phase.DONE and live not in {None, known.version}:
            self._begun = Arriving(known.version, await self._definitions.as_of(known.version))
            self._coming = known.version, await self._definitions.documents_of(known.version)
        self._opened = True

    def arriving(self) -> Arriving | None:
        """
        What is on its way; None if nothing is.

        Raises:
            Unreachable: it is not known yet.
        """
        if not self._opened:
            raise Unreachable("which definitions are computed is not known yet")
        if self._begun is None:
            coming = self._definitions.coming()
            self._begun = None if coming is None else Arriving(*coming)
            self._coming = None if coming is None else (coming[0], self._definitions.newest_documents)
        return self._begun

    async def announce(self, version: int) -> None:
        """
        Have every other process see a version that an engine has computed for everybody; see `arrived`.

        Raises:
            Unreachable, AccessRefused: that cannot be written.
        """
        await self._definitions.announce(version)

    async def arrived(self, version: int) -> None:
        """
        Take it that an engine has computed a version for everybody.

        Raises:
            Unreachable, AccessRefused: that cannot be written.
        """
        await self._definitions.go_live(version)
        self._begun = self._coming = None

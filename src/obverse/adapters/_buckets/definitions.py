"""Where a bucket's machine has its definitions from: out of the stream of what was routed."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Final

from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents import portable
from obverse.core.traits.kind import TraitKind

OURS: Final = ("obverse.core.traits.",)
"""Beginnings of the modules whose kinds of traits are trusted, if nothing else is set."""


class Reading:
    """
    Reads definitions, and what was read last is kept: all buckets of a process are told the same.

    What the stream names is imported, so it is held against a list: who can write into a topic of Kafka shall not
    choose what runs here.
    """

    def __init__(self, trusted: Collection[str] = OURS) -> None:
        self._trusted = tuple(trusted)
        self._last: tuple[bytes, Definitions] | None = None

    def __call__(self, version: int, documents: bytes) -> Definitions:
        """
        Return what these documents define.

        Raises:
            BadDefinition: they cannot be used here; says what to do.
        """
        if self._last is None or self._last[0] != documents:
            try:
                self._last = documents, portable.read(documents, self._kind) if documents else Definitions()
            except BadDefinition as error:
                raise BadDefinition(f"version {version} of the definitions cannot be folded with: {error}") from error
        return self._last[1]

    def _kind(self, place: str) -> TraitKind:
        module, _, name = place.partition(":")
        if not f"{module}.".startswith(self._trusted):
            raise BadDefinition(
                f"a kind of trait is in {module}, which this engine does not trust: add it to the setting "
                "trait_modules, and see that it is installed where the engine runs"
            )
        try:
            kind: TraitKind = getattr(import_module(module), name)()
        except (ImportError, AttributeError) as error:
            raise BadDefinition(f"the kind of trait {place} is not installed where the engine runs: {error}") from error
        return kind

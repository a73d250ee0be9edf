"""Definitions on their way to whoever folds elsewhere: of what is defined, as much as the fold needs, as one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from obverse.core import documents
from obverse.core.definitions import BadDefinition, Definitions, arriving
from obverse.core.documents.written import Document, ordered
from obverse.core.traits.kind import TraitKind

FOLDED: Final = frozenset({"trait", "audience", "identity"})
"""The kinds of documents that the fold of a profile looks at."""


class _Portable(msgspec.Struct):
    kinds: dict[str, str]
    """Kinds of traits by name, each as `module:class`."""
    documents: list[tuple[str, Any]]
    """Title and tree, in the order in which they are read."""
    coming: list[tuple[str, Any]] | None = None
    """The same of what is on its way: its traits are folded beside, unseen. None, if nothing is."""
    version: int = 0
    """Of what is on its way."""


_decoder = msgspec.json.Decoder(_Portable)


def write(
    stored: Iterable[Document], kinds: Mapping[str, str], coming: tuple[int, Iterable[Document]] | None = None
) -> bytes:
    """
    Documents that were checked, as one text; `kinds` says of each kind of trait where its class is.

    `coming` is what is on its way, with its version (`definitions.arriving`).
    """
    if coming is None:
        return msgspec.json.encode(_Portable(dict(kinds), _told(stored)))
    version, newest = coming
    return msgspec.json.encode(_Portable(dict(kinds), _told(stored), _told(newest), version))


def _told(stored: Iterable[Document]) -> list[tuple[str, Any]]:
    return [(one.key.title, one.tree) for one in ordered(one for one in stored if one.key.kind in FOLDED)]


def read(written: bytes, kind: Callable[[str], TraitKind]) -> Definitions:
    """
    What they define; `kind` makes a kind of trait of its `module:class`.

    Raises:
        BadDefinition: they cannot be used here; names the definition.
    """
    try:
        portable = _decoder.decode(written)
    except msgspec.MsgspecError as error:
        raise BadDefinition(f"{len(written)} bytes are no definitions: {error}") from error
    kinds = {name: kind(place) for name, place in portable.kinds.items()}
    now = documents.read(portable.documents, kinds)
    if portable.coming is None:
        return now
    return arriving.folding(now, arriving.fresh(documents.read(portable.coming, kinds), now), portable.version)

"""Port: profiles by the names or ids they are asked for. A part of `ProfileStore`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol


class NamedProfiles(Protocol):
    """See `ProfileStore`, whose promises hold here."""

    async def load(self, identifiers: Collection[str], ids: Collection[bytes] = ()) -> Sequence[bytes]:
        """
        Return every profile that owns one of the identifiers or has one of the ids, each once, as `profiles.pack` does.

        An id that was merged away gives its keeper. What is not known is left out.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

    async def load_named(self, names: Collection[str]) -> Mapping[str, bytes]:
        """
        Return the profile that each name leads to, as `profiles.pack` does, all as of one moment.

        A name is an identifier, or a profile's own id as `identity.id_name` writes it; one that was merged away leads
        to its keeper. What is not known is left out.

        Raises:
            Unreachable: the store cannot be read now.
        """
        ...

"""Port: the groups that a profile store keeps, and who is a member of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from obverse.core import groups
from obverse.core.groups import Group


class GroupRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A group as it is kept. The JSON is for people and SQL; what is packed is what an engine reads back."""

    id: str
    packed: bytes
    """`core.groups.pack`."""
    attributes: bytes
    """The winning values, as one JSON object."""
    first_seen: int
    """Time of the earliest event, in microseconds since 1970."""
    changed_at: int
    """Microseconds since 1970."""

    @staticmethod
    def of(group: Group) -> GroupRow:
        """The row of a group that was told something, as it is now."""
        return GroupRow(
            id=group.id,
            packed=groups.pack(group),
            attributes=groups.attributes_text(group),
            first_seen=group.changed_at if group.first is None else group.first.time,
            changed_at=group.changed_at,
        )


class Groups(Protocol):
    """The part of a `ProfileStore` that keeps groups. They are written with a checkpoint."""

    async def load_groups(self, ids: Collection[str]) -> Sequence[bytes]:
        """
        Return these groups, each once, as `core.groups.pack` does. What is not known is left out.

        Raises:
            Unreachable: the store cannot be read now. So do all below.
        """
        ...

    async def groups(self, prefix: str, *, limit: int, after: str | None = None) -> Sequence[bytes]:
        """Return groups whose ids begin so, packed, in the order of their ids' code points, those after `after`."""
        ...

    async def group_members(self, group: str, *, limit: int, after: bytes | None = None) -> Sequence[bytes]:
        """Return people who are members of a group, packed, in the order of their ids, those after `after`."""
        ...

    async def group_size(self, group: str) -> int:
        """Return how many people are members of a group."""
        ...

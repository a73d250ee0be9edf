"""Which shard holds a partition, and which one after it: no I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as Kinesis lists it, open or closed."""

    name: str
    first_key: int
    last_key: int
    """The range of hash keys that it holds, both ends included."""
    parents: frozenset[str] = frozenset()
    """The shard that was split into it, or the two that were merged."""

    def covers(self, key: int) -> bool:
        """Whether records of this hash key are in it."""
        return self.first_key <= key <= self.last_key


Shards = Mapping[str, Shard]
"""By name; those whose last record has expired are no longer among them."""


def oldest(shards: Shards, key: int) -> Shard | None:
    """Return the shard in which the oldest records of a hash key are; None if none is listed."""
    # A parent that covers the key holds older records, and one that does not holds none of them.
    found = [
        shard
        for shard in shards.values()
        if shard.covers(key) and not any(name in shards and shards[name].covers(key) for name in shard.parents)
    ]
    return min(found, key=lambda shard: shard.name) if found else None


def following(shards: Shards, name: str, key: int) -> Shard | None:
    """Return the shard in which the records of a hash key go on after the end of another one."""
    return next((shard for shard in shards.values() if name in shard.parents and shard.covers(key)), None)

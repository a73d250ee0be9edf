"""The values of traits, of the profiles that are kept in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from obverse.adapters.memory.profile_tables import Tables
from obverse.ports.profile_store import ProfileRow
from obverse.ports.trait_values import TraitSample, ValueCounts

_NULL = b"null"


class MemoryTraitValues:
    """See `TraitValues`."""

    _tables: Tables

    async def count_values(self, traits: Collection[str], *, most: int) -> ValueCounts:
        """See `TraitValues.count_values`."""
        seen = [_values(row) for row in self._some(most)]
        having = {name: sum(name in values for values in seen) for name in traits}
        return ValueCounts(everybody=len(self._tables.rows), looked_at=len(seen), having=having)

    async def sample_values(self, trait: str, *, most: int) -> TraitSample:
        """See `TraitValues.sample_values`."""
        some = self._some(most)
        found = [(row.changed_at, bytes(values[trait])) for row in some if trait in (values := _values(row))]
        return TraitSample(
            everybody=len(self._tables.rows),
            looked_at=len(some),
            values=[value for _, value in found],
            newest=max((at for at, _ in found), default=None),
        )

    def _some(self, most: int) -> Sequence[ProfileRow]:
        rows = list(self._tables.rows.values())
        return rows if len(rows) <= most else rows[:: -(-len(rows) // most)]


def _values(row: ProfileRow) -> Mapping[str, msgspec.Raw]:
    raw = msgspec.json.decode(row.computed_traits, type=dict[str, msgspec.Raw])
    return {name: value for name, value in raw.items() if bytes(value) != _NULL}

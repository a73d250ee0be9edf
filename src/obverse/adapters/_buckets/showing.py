"""What a keeper shows of profiles to whoever reads them now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from obverse.adapters._buckets.items import Shown
from obverse.ports.profile_cache import CacheWriter, ProfileCache


class Showing:
    """
    A keeper's part of the cache, which does not answer before it is opened.

    That is once all has come again that was told before this run: else whoever acts on it would not find it there, and
    take the word of the store, which is older.
    """

    def __init__(self, cache: ProfileCache) -> None:
        self._cache = cache
        self._writer: CacheWriter[Shown] | None = None
        self._unsettled: dict[bytes, Shown] = {}
        """Who is not in the store as they were shown, whoever was shown last at the end."""

    @property
    def is_open(self) -> bool:
        """Whether it answers."""
        return self._writer is not None

    async def open(self) -> None:
        """
        Have it answer, with everybody who was shown until now.

        Raises:
            Unreachable: somebody else writes.
        """
        self._writer = await self._cache.open_writer(_packed, self._unsettled.values())

    async def show(self, some: Iterable[Shown], nobodys: Iterable[str]) -> None:
        """Show these as they are now; `nobodys` are identifiers that were set aside."""
        fresh = {one.id: one for one in some}
        for one in fresh.values():
            self._unsettled.pop(one.id, None)
            self._unsettled[one.id] = one
        if self._writer is not None:
            await self._writer.publish(fresh.values(), nobodys)

    def take_settled(self, is_ahead: Callable[[bytes], bool]) -> Sequence[Shown]:
        """Take out those of whom nothing is ahead of what is written to the store next."""
        settled = [one for one in self._unsettled.values() if not is_ahead(one.id)]
        for one in settled:
            del self._unsettled[one.id]
        return settled

    async def settle(self, some: Iterable[Shown]) -> None:
        """Note that the store has these, but for those who were shown anew meanwhile and are newer."""
        if self._writer is not None:
            await self._writer.settle([one for one in some if one.id not in self._unsettled])

    async def close(self) -> None:
        """Show nothing more."""
        if self._writer is not None:
            await self._writer.close()


def _packed(shown: Shown) -> bytes:
    return shown.packed

"""Serve: read profiles as the engine knows them now, and what the store keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from obverse.core.definitions import Definitions
from obverse.core.identity import ID, IdentityRules, SetAside, id_name, id_named, is_blocked
from obverse.core.profiles import Profile, unpack
from obverse.flows.views import (
    ComponentView,
    EventsView,
    OverviewView,
    PartitionLag,
    ProfileView,
    view_event,
    view_profile,
)
from obverse.ports.engine import WRITER
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore

PATIENCE: Final = 2.0
"""Seconds after which a component that does not answer counts as unreachable."""

_NOBODY: Final = bytes(16)
"""An id that no profile has."""


ReadFrom = Literal["cache", "store"]
"""Who knew a profile."""


class BadIdentifier(ValueError):
    """A text that is no identifier; the message says what is wrong with it and what to write."""


class UnreadableProfile(Exception):
    """What the store holds cannot be read by this release."""


def parse_identifier(text: str, rules: IdentityRules) -> str:
    """
    The identifier as events show it: `kind:value`, in the spelling of its kind; or `id:UUID`, a profile's own.

    >>> parse_identifier("email:Ada@Example.com", IdentityRules())
    'email:ada@example.com'

    Raises:
        BadIdentifier: there is no kind, an unknown one, or no value.
    """
    kind, colon, value = text.partition(":")
    kinds = ", ".join((*rules.kinds, ID))
    if not colon:
        raise BadIdentifier(f"{text!r} is no identifier: write kind:value, with one of these kinds: {kinds}")
    if kind == ID:
        return _own_id(value)
    if kind not in rules.kinds:
        raise BadIdentifier(f"{kind!r} is no kind of identifier: use one of {kinds}")
    if "\0" in value:
        raise BadIdentifier("an identifier has no NUL character: leave it out")
    if not value or (kind not in {"user_id", "anonymous_id"} and not value.strip()):
        raise BadIdentifier(f"{text!r} has no value: write it after the colon, as in {kind}:42")
    spelt = rules.spelt(kind, value)
    if spelt is None:
        raise BadIdentifier(f"{value!r} is no {kind}: write it whole, a phone number as in +44 20 7946 0958")
    return f"{kind}:{spelt}"


def _own_id(value: str) -> str:
    one = id_named(f"{ID}:{value.lower()}")
    if one is None:
        raise BadIdentifier(f"{value!r} is no profile's id: write the UUID that a profile's `id` says")
    return id_name(one)


@dataclass(frozen=True, slots=True)
class Found:
    """A profile, and who knew it."""

    view: ProfileView
    read_from: ReadFrom


class Serve:
    """
    Reads one workspace.

    A profile comes from the cache, which shows what was folded at once; what the cache does not hold, from the
    store. Everything else comes from the store, which is one checkpoint behind.
    """

    def __init__(
        self,
        store: ProfileStore,
        cache: ProfileCache,
        definitions: Callable[[], Definitions],
        *,
        log: EventLog | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._store = store
        self._cache = cache
        self._definitions = definitions
        self._log = log
        self._patience = patience

    async def profile(self, identifier: str) -> ProfileView | None:
        """See `find`."""
        found = await self.find(identifier)
        return None if found is None else found.view

    async def find(self, identifier: str) -> Found | None:
        """
        Return the profile that owns this identifier (`parse_identifier`), None if nobody does.

        Raises:
            Unreachable, AccessRefused: the store cannot be read, and the cache does not know.
            UnreadableProfile: another release wrote it.
        """
        definitions = self._definitions()
        found = await self.read(identifier, definitions)
        if found is None:
            return None
        profile, read_from = found
        return Found(view_profile(profile, definitions), read_from)

    async def current(self, identifier: str) -> Profile | None:
        """
        Return the profile itself, None if nobody owns the identifier.

        Raises:
            BadIdentifier: it is none.
            Unreachable, AccessRefused, UnreadableProfile: as `find`.
        """
        found = await self.read(self.parsed(identifier))
        return None if found is None else found[0]

    async def events(self, identifier: str, *, limit: int, before: int | None = None) -> EventsView | None:
        """
        Return a profile's events, the latest first, None if nobody owns the identifier.

        `before` is an event id: only earlier ones are returned.

        Raises:
            Unreachable, AccessRefused: the store cannot be read.
        """
        found = await self.read(identifier)
        if found is None:
            return None
        # One more than was asked for tells whether there are more.
        events = await self._store.events_of(found[0].id, limit=limit + 1, before=before)
        shown = [view_event(number, event) for number, event in events[:limit]]
        return EventsView(shown, shown[-1].id if len(events) > limit else None)

    async def overview(self) -> OverviewView:
        """
        Return the workspace's figures.

        Raises:
            Unreachable, AccessRefused: the store cannot be read.
        """
        # The log first: a lag of zero then means that these figures hold all that was in the log when we were asked.
        ends = await self._ends()
        figures = await self._store.overview()
        kept = figures.marks.get(WRITER, {}).get(Stream.EVENTS, {})
        return OverviewView(
            profiles=figures.profiles,
            merges=figures.merges,
            events=figures.events,
            rejected=figures.rejected,
            audiences={one.name: figures.audiences.get(one.name, 0) for one in self._definitions().audiences},
            received=None if ends is None else sum(ends.values()),
            lag=None if ends is None else {str(one): _lag(end, kept.get(one, 0)) for one, end in ends.items()},
        )

    async def _ends(self) -> Mapping[int, int] | None:
        """The offset after the last event, of each partition; None while the log cannot be asked."""
        if self._log is None:
            return None
        try:
            return {partition: end for partition, (_, end) in (await self._log.bounds(Stream.EVENTS)).items()}
        except (Unreachable, AccessRefused):
            return None  # the figures are known all the same

    async def components(self) -> list[ComponentView]:
        """Ask the store and the cache how they are."""
        return [
            await self._component(
                "store",
                lambda: self._store.load((), (_NOBODY,)),
                "start the database, or correct DATABASE_URL; nothing can be read meanwhile but what is in the cache",
            ),
            await self._component(
                "cache",
                lambda: self._cache.get("user_id:"),
                "start the worker, and Redis if it is the cache; the store is read meanwhile, one checkpoint behind",
            ),
        ]

    async def _component(
        self, name: Literal["store", "cache"], ask: Callable[[], Awaitable[object]], remedy: str
    ) -> ComponentView:
        try:
            async with asyncio.timeout(self._patience):
                await ask()
        except TimeoutError:
            return ComponentView(name, "unreachable", f"no answer within {self._patience:g} s", remedy)
        except (Unreachable, AccessRefused) as error:
            return ComponentView(name, "unreachable", str(error), remedy)
        return ComponentView(name, "ok")

    async def set_aside(self) -> Sequence[SetAside]:
        """
        Return the identifiers that too many share.

        Raises:
            Unreachable, AccessRefused: the store cannot be read.
        """
        return await self._store.set_aside()

    def parsed(self, text: str) -> str:
        """
        Return the identifier that a person wrote; see `parse_identifier`.

        Raises:
            BadIdentifier: it is none.
        """
        return parse_identifier(text, self._definitions().identity)

    @property
    def kinds(self) -> Sequence[str]:
        """Every kind of identifier, the strongest first."""
        return self._definitions().identity.kinds

    def identifies_nobody(self, identifier: str) -> bool:
        """Whether the identifier's value is one that many share, such as null."""
        return is_blocked(identifier.partition(":")[2], self._definitions().identity)

    async def read(self, identifier: str, definitions: Definitions | None = None) -> tuple[Profile, ReadFrom] | None:
        """
        Return the profile that owns this identifier (`parse_identifier`), and who knew it; None if nobody does.

        Whoever looks at its traits names the definitions to look by: by those of a moment later, a trait that has
        changed meanwhile has no value.

        Raises:
            Unreachable, AccessRefused, UnreadableProfile: as `find`.
        """
        definitions = definitions or self._definitions()
        cached = await self._cached(identifier, definitions)
        if cached is not None:
            return cached, "cache"
        one = id_named(identifier)
        for state in await self._store.load((identifier,) if one is None else (), () if one is None else (one,)):
            try:
                stored = unpack(state, definitions)
            except ValueError as error:
                raise UnreadableProfile(str(error)) from error
            # One that was merged away led to its keeper, of which the cache may know more.
            newer = await self._cached(id_name(stored.id), definitions) if one not in {None, stored.id} else None
            return (stored, "store") if newer is None else (newer, "cache")
        return None

    async def find_all(self, names: Collection[str]) -> Mapping[str, Found | UnreadableProfile]:
        """
        Return what `find` would of each of these identifiers, with one look at the cache and one query of the store.

        Whom nobody knows is left out; a profile that cannot be read says so, and the others are there. A second look at
        the cache is taken if ids were merged away, for what it knows of their keepers.

        Raises:
            Unreachable, AccessRefused: the store cannot be read, and the cache does not know all of them.
        """
        definitions = self._definitions()
        found: dict[str, Found | UnreadableProfile] = {}
        for name, profile in (await self._all_cached(names, definitions)).items():
            found[name] = Found(view_profile(profile, definitions), "cache")
        missing = [name for name in dict.fromkeys(names) if name not in found]
        keepers: dict[str, str] = {}
        for name, state in (await self._store.load_named(missing) if missing else {}).items():
            try:
                stored = unpack(state, definitions)
            except ValueError as error:
                found[name] = UnreadableProfile(str(error))
                continue
            found[name] = Found(view_profile(stored, definitions), "store")
            if id_named(name) not in {None, stored.id}:
                keepers[name] = id_name(stored.id)
        newer = await self._all_cached(keepers.values(), definitions) if keepers else {}
        for name, keeper in keepers.items():
            if keeper in newer:
                found[name] = Found(view_profile(newer[keeper], definitions), "cache")
        return found

    async def _all_cached(self, names: Collection[str], definitions: Definitions) -> dict[str, Profile]:
        found: dict[str, Profile] = {}
        try:
            packed = await self._cache.get_all(names)
        except (Unreachable, AccessRefused):
            return found  # as below
        for name, state in packed.items():
            with suppress(ValueError):
                found[name] = unpack(state, definitions)
        return found

    async def _cached(self, identifier: str, definitions: Definitions) -> Profile | None:
        try:
            packed = await self._cache.get(identifier)
            return None if packed is None else unpack(packed, definitions)
        except (Unreachable, AccessRefused, ValueError):
            return None  # the worker is away, or of another release: the store knows


def _lag(end: int, kept: int) -> PartitionLag:
    return PartitionLag(appended=max(end, kept), kept=kept, lag=max(0, end - kept))

"""What every `ProfileCache` must prove."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import pytest

from obverse.core.definitions import Definitions
from obverse.core.identity import id_name, profile_id
from obverse.core.profiles import Profile, Sighting, pack, unpack
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import ProfileCache

Opener = Callable[[str], Awaitable[ProfileCache]]
"""Opens the cache of a workspace."""

BEHIND: Final = 0.15
"""Seconds that a cache may be behind the fold."""

NOTHING: Final = Definitions()

ODD_VALUES: Final = (
    "with space",
    "slash/and:colon+plus%2F",
    "Zoë ☕ 数据 \U0001f9ff",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{RIGHT-TO-LEFT OVERRIDE}line\nfeed\ttab",
    "x" * 400,
)


class Row(NamedTuple):
    """What an engine may publish that keeps no `Profile`: it has the packed state already."""

    id: bytes
    identifiers: tuple[str, ...]
    state: bytes


def as_it_is(row: Row) -> bytes:
    """The packer of those."""
    return row.state


def person(*identifiers: str, events: int = 1) -> Profile:
    """A profile with these identifiers. How many events it has stands for its state."""
    one = Profile(profile_id("suite", identifiers[0]), identifiers=dict.fromkeys(identifiers, 1), events=events)
    one.sightings.update(dict.fromkeys(identifiers, Sighting(1, "m")))
    return one


def packed(profile: Profile) -> bytes:
    """The packer that the suite gives to writers."""
    return pack(profile, NOTHING)


async def read(cache: ProfileCache, identifier: str) -> Profile | None:
    """The profile that the cache holds under this identifier."""
    found = await cache.get(identifier)
    return None if found is None else unpack(found, NOTHING)


async def shows(cache: ProfileCache, identifier: str, profile: Profile) -> bool:
    """Whether this identifier shows the profile's present state in time."""
    until = time.monotonic() + BEHIND
    while True:
        found = await read(cache, identifier)
        if found is not None and (found.id, found.events) == (profile.id, profile.events):
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.001)


async def gone(cache: ProfileCache, identifier: str) -> bool:
    """Whether the cache knows nothing of this identifier, or says that nobody answers."""
    try:
        return await cache.get(identifier) is None
    except Unreachable:
        return True


class ProfileCacheContract:
    """Subclass, say how a cache is opened, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def open_cache(self) -> Opener:
        """Opens caches of one installation, empty at first. The suite closes them."""

    @pytest.fixture
    async def opened(self, open_cache: Opener) -> AsyncIterator[Opener]:
        """The same, closed at the end of the test."""
        caches: list[ProfileCache] = []

        async def open_one(workspace: str) -> ProfileCache:
            caches.append(await open_cache(workspace))
            return caches[-1]

        yield open_one
        for cache in reversed(caches):
            await cache.close()

    @pytest.fixture
    async def cache(self, opened: Opener) -> ProfileCache:
        """The cache of the process that writes."""
        return await opened("main")

    async def test_what_is_published_is_there_under_every_identifier(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada", "email:ada@example.com", "anonymous_id:a-1")

        await writer.publish([ada, person("user_id:bob")])

        for identifier in ada.identifiers:
            assert await shows(cache, identifier, ada)
        assert await cache.get("user_id:carol") is None

    async def test_an_identifier_that_was_lost_is_nobodys(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada, bob = person("user_id:ada", "anonymous_id:kiosk", "anonymous_id:shared"), person("user_id:bob")
        await writer.publish([ada, bob])

        # One goes to nobody, one to somebody else, and a third comes.
        ada.identifiers = {"user_id:ada": 1, "anonymous_id:new": 1}
        ada.losses = 2
        bob.identifiers["anonymous_id:shared"] = 1
        await writer.publish([ada, bob], ["anonymous_id:kiosk"])

        assert await cache.get("anonymous_id:kiosk") is None
        assert await shows(cache, "anonymous_id:shared", bob)
        assert await shows(cache, "anonymous_id:new", ada)

    async def test_it_is_there_under_its_own_id_until_it_is_merged_away(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada, guest = person("user_id:ada"), person("anonymous_id:a-1")
        await writer.publish([ada, guest])
        assert await shows(cache, id_name(ada.id), ada)
        assert await shows(cache, id_name(guest.id), guest)

        ada.identifiers.update(guest.identifiers)
        ada.events += guest.events
        await writer.publish([ada])

        assert await shows(cache, id_name(ada.id), ada)
        assert await cache.get(id_name(guest.id)) is None
        assert await cache.get("id:nobody") is None

    async def test_another_process_reads_it(self, cache: ProfileCache, opened: Opener) -> None:
        writer = await cache.open_writer(packed)
        reader = await opened("main")
        ada = person("user_id:ada")

        await writer.publish([ada])

        assert await shows(reader, "user_id:ada", ada)

    async def test_the_whole_state_comes_back(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada", "email:ada@example.com", events=7)
        ada.version = {0: 41, 3: 5}
        ada.seen.note(b"\xff" * 8, 1_700_000_000)

        await writer.publish([ada])

        assert await read(cache, "user_id:ada") == ada

    async def test_a_change_is_seen_in_time(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada")
        await writer.publish([ada])
        assert await shows(cache, "user_id:ada", ada)

        ada.events += 1
        await writer.publish([ada])

        assert await shows(cache, "user_id:ada", ada)

    async def test_what_is_held_is_not_seen_before_it_is_published(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada")
        await writer.publish([ada])
        assert await shows(cache, "user_id:ada", ada)

        writer.hold()
        ada.events += 1
        asked = asyncio.ensure_future(read(cache, "user_id:ada"))
        for _ in range(20):
            await asyncio.sleep(0)
        early = asked.result() if asked.done() else None
        await writer.publish([ada])

        assert early is None or early.events < ada.events
        assert (await asyncio.wait_for(asked, 5)) is not None
        assert await shows(cache, "user_id:ada", ada)

    async def test_it_is_never_newer_than_the_fold_nor_older_than_what_was_published(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada", events=5)
        await writer.publish([ada])
        assert await shows(cache, "user_id:ada", ada)

        ada.events = 6  # folded, and not yet published

        found = await read(cache, "user_id:ada")
        assert found is not None
        assert found.events in {5, 6}

    async def test_an_engine_that_has_profiles_as_bytes_publishes_these(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(as_it_is)
        ada, names = profile_id("suite", "user_id:ada"), ("user_id:ada", "email:ada@example.com")
        await writer.publish([Row(ada, names, b"first")])
        assert await cache.get("email:ada@example.com") == b"first"

        await writer.publish([Row(ada, names[:1], b"second")], names[1:])
        await writer.settle([Row(ada, names[:1], b"second")])

        assert await cache.get("user_id:ada") in {b"second", None}
        assert await cache.get("email:ada@example.com") is None

    async def test_a_profile_that_an_engine_loaded_anew_replaces_the_old_one(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        await writer.publish([person("user_id:ada", "email:ada@example.com")])
        again = person("user_id:ada", "email:ada@example.com", events=2)

        await writer.publish([again])

        assert await shows(cache, "user_id:ada", again)
        assert await shows(cache, "email:ada@example.com", again)

    async def test_after_a_merge_every_identifier_shows_the_keeper(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        keeper, lost = person("user_id:ada"), person("anonymous_id:a-1", "anonymous_id:a-2")
        await writer.publish([keeper, lost])
        keeper.identifiers |= lost.identifiers
        keeper.events = 2

        await writer.publish([keeper])
        await writer.settle([lost])

        for identifier in keeper.identifiers:
            assert await shows(cache, identifier, keeper)

    async def test_what_is_not_settled_stays(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada")
        await writer.publish([ada])
        await writer.settle([ada])
        ada.events += 1
        await writer.publish([ada])
        crowd = [person(f"user_id:{number}") for number in range(50)]

        await writer.publish(crowd)
        await writer.settle(crowd)

        assert await shows(cache, "user_id:ada", ada)

    async def test_what_is_settled_is_right_or_gone(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        crowd = [person(f"user_id:{number}", events=number) for number in range(50)]
        await writer.publish(crowd)

        await writer.settle(crowd)

        for number in range(50):
            found = await read(cache, f"user_id:{number}")
            assert found is None or found.events == number

    async def test_what_was_never_published_may_be_settled(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)

        await writer.settle([person("user_id:ada")])

        assert await cache.get("user_id:ada") is None

    async def test_what_is_present_when_writing_begins_is_there_and_nothing_else(self, cache: ProfileCache) -> None:
        ada, bob = person("user_id:ada"), person("user_id:bob")
        before = await cache.open_writer(packed)
        await before.publish([bob])
        await before.close()
        await cache.open_writer(packed, [ada])
        assert await cache.get_all(["user_id:ada", "user_id:bob"]) == {"user_id:ada": packed(ada)}

    async def test_emptied_it_fills_again(self, cache: ProfileCache, opened: Opener) -> None:
        reader = await opened("main")
        ada = person("user_id:ada")
        for _ in range(3):
            writer = await cache.open_writer(packed)
            assert await reader.get("user_id:ada") is None
            await writer.publish([ada])
            assert await shows(reader, "user_id:ada", ada)
            await writer.close()
            assert await gone(reader, "user_id:ada")

    async def test_another_workspace_sees_nothing(self, cache: ProfileCache, opened: Opener) -> None:
        writer = await cache.open_writer(packed)
        ada = person("user_id:ada")
        await writer.publish([ada])
        other = await opened("other")

        assert await gone(other, "user_id:ada")
        assert await shows(cache, "user_id:ada", ada)

    async def test_without_a_writer_there_is_nothing(self, cache: ProfileCache) -> None:
        assert await gone(cache, "user_id:ada")

    @pytest.mark.parametrize("value", ODD_VALUES)
    async def test_identifiers_may_be_any_text(self, cache: ProfileCache, value: str) -> None:
        writer = await cache.open_writer(packed)
        odd = person(f"user_id:{value}")

        await writer.publish([odd])

        assert await shows(cache, f"user_id:{value}", odd)
        assert await cache.get(f"user_id:{value}.") is None
        assert await cache.get(f"email:{value}") is None

    async def test_what_nobody_can_be_called_is_not_there(self, cache: ProfileCache) -> None:
        await cache.open_writer(packed)

        assert await cache.get("user_id:" + "x" * 100_000) is None
        assert await cache.get("") is None

    async def test_many_may_ask_at_once(self, cache: ProfileCache) -> None:
        writer = await cache.open_writer(packed)
        crowd = [person(f"user_id:{number}", events=number + 1) for number in range(300)]
        await writer.publish(crowd)
        assert await shows(cache, "user_id:299", crowd[299])

        found = await asyncio.gather(*(read(cache, f"user_id:{number}") for number in range(400)))

        assert [one.events for one in found if one is not None] == list(range(1, 301))
        assert found[300:] == [None] * 100

    async def test_many_are_read_at_one_asking(self, cache: ProfileCache, opened: Opener) -> None:
        writer = await cache.open_writer(packed)
        crowd = [person(f"user_id:{number}", f"email:{number}@x", events=number + 1) for number in range(200)]
        await writer.publish(crowd)
        reader = await opened("main")
        assert await shows(reader, "user_id:199", crowd[199])

        asked = [*(f"user_id:{number}" for number in range(300)), "email:7@x", id_name(crowd[7].id), "x" * 100_000, ""]
        found = {name: unpack(state, NOTHING).events for name, state in (await reader.get_all(asked)).items()}

        expected = {f"user_id:{number}": number + 1 for number in range(200)}
        assert found == expected | dict.fromkeys(["email:7@x", id_name(crowd[7].id)], 8)
        assert await reader.get_all([]) == {}

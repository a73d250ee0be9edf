"""The cache in Redis keeps every promise of a `ProfileCache`; what expires, who may write, and what is passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obverse.adapters.redis import open_profile_cache
from obverse.adapters.redis.line import Line
from obverse.adapters.redis.scripts import WRITE
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_cache import NOTHING, Opener, ProfileCacheContract, person, read
from obverse.core.identity import id_name, profile_id
from obverse.core.profiles import Profile, unpack
from obverse.ports.outcomes import Unreachable
from redis_servers import Later, Place, state_of, until, until_shown

pytestmark = pytest.mark.service


class TestRedisProfileCache(ProfileCacheContract):
    @pytest.fixture
    def open_cache(self, redis: Place) -> Opener:
        return lambda workspace: open_profile_cache(redis.settings(workspace), open_runtime())


async def expiries(redis: Place) -> dict[bytes, int]:
    """Milliseconds until each key of ours expires, but for the standing; -1: it does not."""
    keys = [key async for key in redis.raw.scan_iter(redis.key(b"*"), count=1000)]
    return {key.removeprefix(redis.key(b"")): await redis.raw.pttl(key) for key in keys if key != redis.key(b"w")}


async def test_only_what_is_settled_expires(redis: Place) -> None:
    writer = await redis.writer(expiry_seconds=1000)
    ada, bob = person("user_id:ada", "email:ada@x"), person("user_id:bob")
    await writer.publish([ada, bob])
    assert set((await expiries(redis)).values()) == {-1}

    await writer.settle([ada])

    async def expires() -> bool:
        left = await expiries(redis)
        return all(0 < left[key] <= 1_000_000 for key in (b"p:" + ada.id, b"i:user_id:ada", b"i:email:ada@x"))

    await until(expires)
    assert {(await expiries(redis))[key] for key in (b"p:" + bob.id, b"i:user_id:bob")} == {-1}
    await writer.publish([ada])
    assert set((await expiries(redis)).values()) == {-1}


async def test_what_moved_to_another_does_not_expire_with_its_former_owner(redis: Place) -> None:
    writer = await redis.writer()
    ada, bob = person("user_id:ada", "anonymous_id:shared"), person("user_id:bob")
    await writer.publish([ada, bob])
    await writer.settle([ada])
    ada.identifiers = {"user_id:ada": 1}
    bob.identifiers["anonymous_id:shared"] = 1
    await writer.publish([bob])

    async def expires() -> bool:
        return (await expiries(redis))[b"i:user_id:ada"] > 0

    await until(expires)
    assert (await expiries(redis))[b"i:anonymous_id:shared"] == -1


async def test_who_was_merged_away_leaves_no_key(redis: Place) -> None:
    writer = await redis.writer()
    ada, guest = person("user_id:ada"), person("anonymous_id:a-1")
    await writer.publish([ada, guest])
    ada.identifiers.update(guest.identifiers)

    await writer.publish([ada])

    assert set(await expiries(redis)) == {b"p:" + ada.id, b"i:user_id:ada", b"i:anonymous_id:a-1"}


async def test_who_was_merged_away_long_ago_is_not_found_under_the_own_id(redis: Place) -> None:
    writer = await redis.writer()
    ada, guest = person("user_id:ada"), person("anonymous_id:a-1")
    await writer.publish([guest])
    await writer.settle([guest])  # so the writer knows nothing of it any more
    ada.identifiers.update(guest.identifiers)

    await writer.publish([ada])

    cache = await redis.cache()
    assert await cache.get(id_name(guest.id)) is None
    assert await read(cache, "anonymous_id:a-1") == ada


async def test_those_who_ask_at_once_are_asked_for_together(redis: Place) -> None:
    writer = await redis.writer()
    crowd = [person(f"user_id:{number}") for number in range(400)]
    await writer.publish(crowd)
    cache = await redis.cache()
    assert await state_of(cache, "user_id:0") == 1

    async def reads() -> int:
        return int((await redis.raw.info("commandstats"))["cmdstat_mget"]["calls"])

    before = await reads()
    found = await asyncio.gather(*(cache.get(f"user_id:{number}") for number in range(400)))

    assert None not in found
    assert await reads() - before < 10


async def test_a_script_that_redis_forgot_is_told_again(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    await redis.raw.script_flush()

    await writer.publish([person("user_id:ada")])
    await redis.raw.script_flush()

    assert await state_of(cache, "user_id:ada") == 1


async def test_the_later_writer_is_believed_and_the_former_one_stops(redis: Place) -> None:
    former, cache = await redis.writer(), await redis.cache()
    await former.publish([person("user_id:ada", events=1), person("user_id:bob")])

    later = await redis.writer()
    assert await state_of(cache, "user_id:ada") is None
    await later.publish([person("user_id:ada", events=2)])
    await former.publish([person("user_id:ada", events=1), person("user_id:carol")])

    assert await state_of(cache, "user_id:ada") == 2
    assert await state_of(cache, "user_id:carol") is None
    await former.close()
    assert await state_of(cache, "user_id:ada") == 2


async def test_a_former_writer_that_slept_is_not_believed_though_redis_was_emptied(redis: Place) -> None:
    clock = Later()
    former, later = await redis.writer(runtime=clock), await redis.writer()
    cache = await redis.cache()
    await later.publish([person("user_id:ada", events=2)])

    await redis.raw.flushall()
    clock.passed += 10
    woken = asyncio.ensure_future(former.publish([person("user_id:ada", events=1)]))
    seen = await asyncio.gather(*(state_of(cache, "user_id:ada") for _ in range(20)))
    await later.publish([person("user_id:bob")])

    assert set(seen) <= {None, 2}
    await woken
    assert await state_of(cache, "user_id:ada") == 2
    assert await state_of(cache, "user_id:bob") == 1


async def test_a_writer_whose_clock_is_behind_comes_after_the_one_that_is_there(redis: Place) -> None:
    clock = Later()
    clock.now_is = 1
    former, later = await redis.writer(), await redis.writer(runtime=clock)

    await later.publish([person("user_id:ada", events=2)])
    await former.publish([person("user_id:ada", events=1)])

    assert await state_of(await redis.cache(), "user_id:ada") == 2


async def test_what_comes_after_its_time_is_passed_over(redis: Place) -> None:
    writer = await redis.writer()
    await writer.publish([person("user_id:ada")])
    number, name, tag, run, _, serial = (await redis.raw.get(redis.key(b"w")) or b"").split()
    line = Line(redis.settings())
    key, value = redis.key(b"i:user_id:eve"), b"x"

    async def write(serial: int, not_after: int) -> bytes:
        head = [number, name, tag, b"%d" % serial, b"%d" % not_after, b"kept", b"1000", b"0", b"0"]
        said: bytes = (await line.run(WRITE, redis.key(b"w"), [*head, key, value], 60))[0]
        return said

    assert line._run == b""
    assert await write(int(serial) + 1, 1) == b"late"
    assert line._run == run
    assert await write(int(serial), 2**52) == b"late"
    assert await redis.raw.get(key) is None
    assert await write(int(serial) + 1, 2**52) == b"done"
    assert await redis.raw.get(key) == value
    await line.close()


async def test_a_writer_that_was_closed_leaves_nothing_to_be_read(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    await writer.publish([person("user_id:ada")])
    await writer.close()

    with pytest.raises(Unreachable, match="is the worker running"):
        await cache.get("user_id:ada")


Harm = Callable[[Any, bytes], Awaitable[Any]]


async def cut(raw: Any, key: bytes) -> None:
    await raw.set(key, (await raw.get(key) or b"")[:-1])


async def flip(raw: Any, key: bytes) -> None:
    value = await raw.get(key) or b""
    await raw.set(key, value[:-1] + bytes([value[-1] ^ 1]))


async def copy(raw: Any, key: bytes) -> None:
    other = key[:-3] + b"bob" if b"i:" in key else key[:-16] + person("user_id:bob").id
    await raw.set(key, await raw.get(other) or b"")


HARMS: dict[str, Harm] = {
    "cut": cut,
    "one bit": flip,
    "another's": copy,
    "empty": lambda raw, key: raw.set(key, b""),
    "text": lambda raw, key: raw.set(key, b"hello"),
    "a head alone": lambda raw, key: raw.set(key, b"P1" + bytes(12)),
    "long": lambda raw, key: raw.set(key, bytes(1_000_000)),
}
TYPES: dict[str, Harm] = {
    "list": lambda raw, key: raw.lpush(key, "x"),
    "hash": lambda raw, key: raw.hset(key, "x", "y"),
    "set": lambda raw, key: raw.sadd(key, "x"),
}
KEYS = {"profile": b"p:" + profile_id("suite", "user_id:ada"), "identifier": b"i:user_id:ada"}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
async def test_wrong_bytes_give_no_wrong_profile(redis: Place, harm: Harm, key: bytes) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    ada = person("user_id:ada")
    await writer.publish([ada, person("user_id:bob", events=5)])

    await harm(redis.raw, redis.key(key))

    assert await cache.get_all(["user_id:ada", id_name(ada.id)]) == {} or key == KEYS["identifier"]
    assert await cache.get("user_id:ada") is None
    assert cache.damaged > 0
    assert await state_of(cache, "user_id:bob") == 5
    ada.events = 2
    await writer.publish([ada])
    await writer.settle([ada])
    await writer.publish([person("user_id:ada", events=3)])
    assert await state_of(cache, "user_id:ada") == 3


@pytest.mark.parametrize("key", [*KEYS.values(), b"w"], ids=[*KEYS.keys(), "standing"])
@pytest.mark.parametrize("harm", TYPES.values(), ids=TYPES.keys())
async def test_a_wrong_type_gives_no_wrong_profile(redis: Place, harm: Harm, key: bytes) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    ada = person("user_id:ada")
    await writer.publish([ada])
    await redis.raw.delete(redis.key(key))

    await harm(redis.raw, redis.key(key))

    assert await state_of(cache, "user_id:ada") in ({None, 1} if key == b"w" else {None})
    await writer.settle([ada])
    await writer.publish([person("user_id:ada", events=3)])
    assert await until_shown(cache, "user_id:ada", 3) <= {None}


async def test_a_standing_that_is_no_standing_is_replaced(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    await writer.publish([person("user_id:ada", events=2)])
    await redis.raw.set(redis.key(b"w"), b"somebody else's")

    await writer.publish([person("user_id:bob")])

    assert await state_of(cache, "user_id:ada") == 2
    assert await state_of(cache, "user_id:bob") == 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["move", "take", "lose", "merge", "settle", "flush"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_nothing_wrong_is_shown(redis: Place, steps: Sequence[tuple[str, int, int]]) -> None:
    """Four people, of whom each owns identifiers that others take; the cache shows what is so, or nothing."""
    place = Place(redis.sandbox)
    writer, cache = await place.writer(), await place.cache()
    people: dict[int, Profile] = {one: person(f"user_id:{one}") for one in range(4)}
    unsettled = dict[int, Profile]()
    try:
        for kind, one, other in steps:
            touched, lost = do(people, kind, one, other)
            if kind == "settle" and one in people:
                await writer.settle([people[one]])
                unsettled.pop(one, None)
            elif kind == "flush":
                await redis.raw.flushall()
                await writer.publish([person("user_id:witness")])
            for who in touched:
                people[who].events += 1
                unsettled[who] = people[who]
            await writer.publish([people[who] for who in touched], lost)
            unsettled = {who: profile for who, profile in unsettled.items() if who in people}
            await check(cache, people, unsettled)
    finally:
        await place.close()


def do(people: dict[int, Profile], kind: str, one: int, other: int) -> tuple[list[int], list[str]]:
    """Carry a step out; whom it touched, and which identifiers are nobody's by it."""
    if one not in people or other not in people or kind in {"settle", "flush"}:
        return [], []
    if kind == "move":
        return [one], []
    if kind == "lose":
        name = next((name for name in people[one].identifiers if not name.startswith("user_id:")), None)
        if name is None:
            people[one].identifiers[f"email:{one}"] = 1
            for who in people.keys() - {one}:
                people[who].identifiers.pop(f"email:{one}", None)
            return list(people), []
        del people[one].identifiers[name]
        return [one], [name]
    if one == other:
        return [], []
    if kind == "take":
        taken = [name for name in people[other].identifiers if not name.startswith("user_id:")]
        for name in taken:
            del people[other].identifiers[name]
            people[one].identifiers[name] = 1
        return ([one, other] if taken else []), []
    people[one].identifiers.update(people.pop(other).identifiers)
    return [one], []


async def check(cache: Any, people: dict[int, Profile], unsettled: dict[int, Profile]) -> None:
    names = [f"{kind}:{one}" for one in range(4) for kind in ("user_id", "email")]
    found = await cache.get_all([*names, *(id_name(person(f"user_id:{one}").id) for one in range(4))])
    owners = {name: profile for profile in people.values() for name in (*profile.identifiers, id_name(profile.id))}
    for name, packed in found.items():
        shown = unpack(packed, NOTHING)
        assert (shown.id, shown.events) == (owners[name].id, owners[name].events)
    for profile in unsettled.values():
        assert {*profile.identifiers, id_name(profile.id)} <= found.keys()

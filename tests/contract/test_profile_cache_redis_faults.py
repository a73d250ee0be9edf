"""Redis that is emptied, killed, stopped, full, or refuses us: nothing wrong is read, nobody held up, and it heals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from obverse.contracts.profile_cache import packed, person
from obverse.ports.outcomes import AccessRefused, Unreachable
from redis_servers import Place, redis_running, state_of, until, until_shown

pytestmark = pytest.mark.service

SOON = 300
"""Milliseconds of a lease that a test waits for."""


@pytest.fixture
async def own() -> AsyncIterator[Place]:
    """A server that only this test has."""
    async with redis_running() as sandbox:
        place = Place(sandbox)
        yield place
        sandbox.signal(signal.SIGCONT)
        await place.close()


async def test_what_is_not_settled_is_there_again_after_redis_was_emptied(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    ada, bob = person("user_id:ada", "email:ada@x", events=7), person("user_id:bob")
    await writer.publish([ada, bob])
    await writer.settle([bob])

    await redis.raw.flushall()

    assert await until_shown(cache, "email:ada@x", 7) <= {None}
    assert await state_of(cache, "user_id:bob") is None  # the store knows


async def test_whoever_publishes_finds_that_redis_was_emptied(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    await writer.publish([person("user_id:ada")])
    await redis.raw.flushall()

    await writer.publish([person("user_id:bob")])

    assert await state_of(cache, "user_id:ada") == 1
    assert await state_of(cache, "user_id:bob") == 1


async def test_a_redis_that_was_killed_is_told_everything_again(own: Place) -> None:
    writer, cache = await own.writer(lease_ms=SOON), await own.cache()
    await writer.publish([person("user_id:ada")])
    assert await state_of(cache, "user_id:ada") == 1

    own.sandbox.kill()
    with pytest.raises(Unreachable, match="is it running"):
        await cache.get("user_id:ada")
    await writer.publish([person("user_id:ada", events=2), person("user_id:bob")])
    await own.sandbox.start()

    assert await until_shown(cache, "user_id:ada", 2) <= {None}
    assert await state_of(cache, "user_id:bob") == 1


async def test_while_redis_is_away_nobody_waits_but_the_first(own: Place) -> None:
    writer = await own.writer(lease_ms=SOON)
    await writer.publish([person("user_id:ada")])
    own.sandbox.kill()
    await writer.publish([person("user_id:ada")])

    for number in range(1000):
        # What waits for anything would not be done in one step.
        step = writer.publish([person(f"user_id:{number}")])
        with pytest.raises(StopIteration):
            step.send(None)


async def test_what_redis_held_before_an_old_snapshot_is_not_believed(own: Place) -> None:
    writer, cache = await own.writer(), await own.cache()
    ada = person("user_id:ada", events=1)
    await writer.publish([ada])
    await own.raw.save()
    ada.events = 2
    await writer.publish([ada])
    await writer.settle([ada])  # the store has 2

    own.sandbox.kill()
    await own.sandbox.start()
    assert await own.raw.get(own.key(b"i:user_id:ada")) is not None
    seen = {await state_of(cache, "user_id:ada") for _ in range(20)}
    await writer.publish([person("user_id:bob")])

    assert await state_of(cache, "user_id:bob") == 1
    assert {*seen, await state_of(cache, "user_id:ada")} <= {None, 2}


async def test_a_redis_that_stood_still_shows_nothing_older_than_the_store(own: Place) -> None:
    writer, cache = await own.writer(lease_ms=SOON), await own.cache()
    ada = person("user_id:ada", events=1)
    await writer.publish([ada])
    await writer.settle([ada])
    own.sandbox.signal(signal.SIGSTOP)
    ada.events = 2
    await writer.publish([ada])
    await writer.settle([ada])  # the store has 2
    ada.events = 3
    await writer.publish([ada])
    await writer.settle([ada])  # the store has 3

    own.sandbox.signal(signal.SIGCONT)
    seen = {await state_of(cache, "user_id:ada") for _ in range(100)}
    await writer.publish([person("user_id:bob")])
    seen |= await until_shown(cache, "user_id:bob", 1)

    assert {*seen, await state_of(cache, "user_id:ada")} <= {None, 3}


async def test_a_writer_that_cannot_be_reached_is_not_believed_for_longer_than_its_lease(own: Place) -> None:
    writer, cache = await own.writer(lease_ms=SOON), await own.cache()
    await writer.publish([person("user_id:ada")])
    assert writer._beat is not None
    await writer._beat.stop()  # as one that hangs

    async def gone() -> bool:
        return await state_of(cache, "user_id:ada") is None

    await until(gone)
    await writer.publish([person("user_id:bob")])
    assert await state_of(cache, "user_id:ada") == 1


async def test_a_writer_may_begin_while_redis_is_away(own: Place) -> None:
    own.sandbox.kill()

    writer, cache = await own.writer(lease_ms=SOON), await own.cache()
    await writer.publish([person("user_id:ada")])
    await own.sandbox.start()

    assert await until_shown(cache, "user_id:ada", 1) <= {None}


async def test_a_redis_that_is_full_holds_nobody_up(own: Place) -> None:
    writer, cache = await own.writer(lease_ms=SOON), await own.cache()
    await writer.publish([person("user_id:ada", events=1)])
    await own.raw.config_set("maxmemory", "1")

    await writer.publish([person("user_id:ada", events=2)])

    assert await state_of(cache, "user_id:ada") is None
    await own.raw.config_set("maxmemory", "0")
    assert await until_shown(cache, "user_id:ada", 2) <= {None}


async def test_a_reader_does_not_wait_for_a_redis_that_stands_still(own: Place) -> None:
    await own.writer()
    cache = await own.cache(patience_ms=100)
    assert await state_of(cache, "user_id:ada") is None
    own.sandbox.signal(signal.SIGSTOP)

    answers = await asyncio.gather(*(cache.get("user_id:ada") for _ in range(5)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unreachable] * 5
    assert "is Redis overloaded" in str(answers[0])
    own.sandbox.signal(signal.SIGCONT)

    async def answered() -> bool:
        try:
            return await cache.get("user_id:ada") is None
        except Unreachable:
            return False

    await until(answered)


async def test_who_asked_and_went_away_disturbs_no_other(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    await writer.publish([person("user_id:ada"), person("user_id:bob")])
    asked = [asyncio.ensure_future(cache.get(f"user_id:{name}")) for name in ("ada", "bob")]
    await asyncio.sleep(0)
    asked[0].cancel()

    assert await asked[1] is not None
    assert await state_of(cache, "user_id:ada") == 1


async def test_a_publisher_that_was_cancelled_disturbs_no_other(redis: Place) -> None:
    writer, cache = await redis.writer(), await redis.cache()
    for number in range(20):
        publishing = asyncio.ensure_future(writer.publish([person("user_id:ada", events=number)]))
        for _ in range(number):
            await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])

    await writer.publish([person("user_id:bob")])

    assert await state_of(cache, "user_id:ada") == 19
    assert await state_of(cache, "user_id:bob") == 1


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_a_wrong_password_is_told_and_holds_nobody_up(password: str, tmp_path: Path) -> None:
    async with redis_running("--requirepass", "right") as sandbox:
        place = Place(sandbox)
        writer = await place.writer(password=password, lease_ms=SOON)
        await writer.publish([person("user_id:ada")])
        cache = await place.cache(password=password)
        with pytest.raises(AccessRefused, match=r"correct the user and the password in REDIS_URL") as told:
            await cache.get("user_id:ada")
        assert "right" not in str(told.value)
        (tmp_path / "password").write_text("right\n")

        good = await (await place.cache(password_file=str(tmp_path / "password"))).open_writer(packed)
        await good.publish([person("user_id:ada", events=4)])

        assert await state_of(await place.cache(password="right"), "user_id:ada") == 4
        await place.close()


async def test_missing_rights_are_told(own: Place) -> None:
    await own.raw.execute_command("ACL", "SETUSER", "poor", "on", ">poor", "~*", "+@connection", "+info")

    cache = await own.cache(username="poor", password="poor")

    with pytest.raises(AccessRefused, match="the user needs the commands EVALSHA"):
        await cache.get("user_id:ada")


async def test_rights_to_what_the_message_names_suffice(own: Place) -> None:
    commands = ["evalsha", "script|load", "info", "get", "set", "mget", "mset", "del", "pexpire", "time"]
    await own.raw.execute_command(
        *("ACL", "SETUSER", "just", "on", ">just", f"~{own.prefix}:*", "+@connection"), *(f"+{one}" for one in commands)
    )
    more: dict[str, Any] = {"username": "just", "password": "just"}
    writer, cache = await own.writer(**more), await own.cache(**more)
    ada = person("user_id:ada")

    await writer.publish([ada, person("user_id:bob")])
    await writer.settle([ada])
    await writer.publish([person("user_id:bob", events=2)], ["user_id:carol"])

    assert await state_of(cache, "user_id:bob") == 2


async def test_tls_at_one_end_alone_is_told() -> None:
    async with redis_running("--port", "0") as sandbox:
        place = Place(sandbox)
        door = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        cache = await place.cache(url=f"rediss://:secret@127.0.0.1:{port}/0")

        with pytest.raises(Unreachable, match=r"rediss://127\.0\.0\.1:\d+ .*Is TLS on at both ends") as told:
            await cache.get("user_id:ada")

        assert "secret" not in str(told.value)
        door.close()
        await door.wait_closed()
        await place.close()

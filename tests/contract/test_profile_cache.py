"""Every `ProfileCache` keeps its promises, and the local one those of its socket."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from obverse.adapters.local import LocalCacheSettings, open_profile_cache
from obverse.adapters.local.cache import LocalCacheWriter
from obverse.adapters.local.shelf import Shelf
from obverse.adapters.local.wire import KNOWN, encode_request, framed
from obverse.adapters.memory import profile_cache as memory
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_cache import Opener, ProfileCacheContract, Row, packed, person, read, shows
from obverse.core.profiles import Profile
from obverse.core.profiles.window import Window
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_cache import ProfileCache
from stopwatch import quickest


class TestMemoryProfileCache(ProfileCacheContract):
    @pytest.fixture
    def open_cache(self) -> Opener:
        shelves: dict[str, memory.Shelf] = {}
        return lambda workspace: memory.open_profile_cache(
            memory.MemoryCacheSettings(workspace=workspace, shelves=shelves), open_runtime()
        )


async def test_a_new_writer_in_memory_begins_with_nothing() -> None:
    cache = await memory.open_profile_cache(memory.MemoryCacheSettings(), open_runtime())
    await (await cache.open_writer(packed)).publish([person("user_id:ada")])

    await cache.open_writer(packed)

    assert await cache.get("user_id:ada") is None


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "p.sock"


def opener(place: Path, capacity: int = 20) -> Opener:
    return lambda workspace: open_profile_cache(
        LocalCacheSettings(socket=str(place), workspace=workspace, capacity=capacity), open_runtime()
    )


class TestLocalProfileCache(ProfileCacheContract):
    @pytest.fixture
    def open_cache(self, place: Path) -> Opener:
        return opener(place)


@pytest.fixture
async def opened(place: Path) -> AsyncIterator[Callable[[], Awaitable[ProfileCache]]]:
    """Opens local caches of one socket, and closes them."""
    caches: list[ProfileCache] = []

    async def open_one() -> ProfileCache:
        caches.append(await opener(place)("main"))
        return caches[-1]

    yield open_one
    for cache in reversed(caches):
        await cache.close()


Open = Callable[[], Awaitable[ProfileCache]]


def kind_and_mode(path: Path) -> tuple[int, int]:
    mode = path.stat().st_mode
    return stat.S_IFMT(mode), stat.S_IMODE(mode)


async def test_only_its_owner_may_connect(opened: Open, place: Path) -> None:
    await (await opened()).open_writer(packed)

    assert kind_and_mode(place) == (stat.S_IFSOCK, 0o600)
    assert kind_and_mode(Path(f"{place}.lock")) == (stat.S_IFREG, 0o600)


async def test_a_living_worker_keeps_its_socket(opened: Open) -> None:
    first, second = await opened(), await opened()
    writer = await first.open_writer(packed)
    await writer.publish([person("user_id:ada")])

    with pytest.raises(Unreachable, match="another worker answers"):
        await second.open_writer(packed)

    assert await read(second, "user_id:ada") is not None


async def test_a_socket_that_is_being_taken_is_not_taken_twice(opened: Open, place: Path) -> None:
    lock = os.open(f"{place}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(Unreachable, match="another worker answers"):
            await (await opened()).open_writer(packed)
    finally:
        os.close(lock)

    assert await (await opened()).open_writer(packed)


async def test_a_socket_that_somebody_else_answers_is_not_stolen(opened: Open, place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place))
        door.listen()

        with pytest.raises(Unreachable, match="another worker answers"):
            await (await opened()).open_writer(packed)

    assert kind_and_mode(place)[0] == stat.S_IFSOCK


async def test_what_is_no_socket_is_left_alone(opened: Open, place: Path) -> None:
    os.mkfifo(place)

    with pytest.raises(Unreachable, match=r"is no socket: remove it, or set"):
        await (await opened()).open_writer(packed)

    assert kind_and_mode(place)[0] == stat.S_IFIFO


async def test_a_path_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"profile_cache\.local\.socket has \d+ bytes, .* choose a shorter one"):
        await opener(tmp_path / ("x" * 100))("main")


async def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    cache = await opener(tmp_path / "not" / "p.sock")("main")

    with pytest.raises(Unreachable, match="its folder must exist"):
        await cache.open_writer(packed)


async def test_nobody_there_is_told_soon(opened: Open) -> None:
    cache = await opened()

    async def ask() -> None:
        with pytest.raises(Unreachable, match="is the worker running"):
            await cache.get("user_id:ada")

    assert await quickest(ask, enough=0.2) < 0.2


async def test_a_worker_that_does_not_answer_is_told_soon(opened: Open, place: Path) -> None:
    cache = await opened()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place))
        door.listen()

        async def ask() -> None:
            answers = await asyncio.gather(*(cache.get("user_id:ada") for _ in range(5)), return_exceptions=True)
            assert [type(answer) for answer in answers] == [Unreachable] * 5

        assert await quickest(ask, enough=0.25) < 0.25, "five who ask wait together"
        with pytest.raises(Unreachable):
            await cache.get("user_id:ada")
        door.settimeout(1)
        door.accept()[0].close()
        door.accept()[0].close()  # whoever asks after a silence begins anew


WORKER = """
import asyncio, sys
from obverse.adapters.local import LocalCacheSettings, open_profile_cache
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.profile_cache import packed, person

async def main():
    cache = await open_profile_cache(LocalCacheSettings(socket=sys.argv[1]), open_runtime())
    writer = await cache.open_writer(packed)
    await writer.publish([person("user_id:ada", events=int(sys.argv[2]))])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_worker(place: Path, events: int) -> asyncio.subprocess.Process:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, str(place), str(events), stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"ready\n"
    return worker


@pytest.mark.service
async def test_readers_find_the_worker_again_after_it_was_killed(opened: Open, place: Path) -> None:
    reader = await opened()
    for events in (1, 2):
        worker = await start_worker(place, events)
        try:
            assert await shows(reader, "user_id:ada", person("user_id:ada", events=events))
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            await worker.wait()
        assert kind_and_mode(place)[0] == stat.S_IFSOCK

        async def ask() -> None:
            with pytest.raises(Unreachable):
                await reader.get("user_id:ada")

        assert await quickest(ask, enough=0.2) < 0.2


async def test_those_who_wait_are_told_when_the_worker_goes(opened: Open) -> None:
    writer_side, reader = await opened(), await opened()
    writer = await writer_side.open_writer(packed)
    assert await reader.get("user_id:ada") is None
    asked = [asyncio.ensure_future(reader.get("user_id:ada")) for _ in range(3)]
    await asyncio.sleep(0)

    await writer.close()

    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert answer is None or isinstance(answer, Unreachable)
    with pytest.raises(Unreachable):
        await reader.get("user_id:ada")


async def test_who_asked_and_went_away_disturbs_no_other(opened: Open) -> None:
    writer = await (await opened()).open_writer(packed)
    await writer.publish([person("user_id:ada"), person("user_id:bob")])
    reader = await opened()
    assert await read(reader, "user_id:ada") is not None
    gone = asyncio.ensure_future(reader.get("user_id:bob"))
    await asyncio.sleep(0)
    gone.cancel()

    found = await read(reader, "user_id:ada")

    assert found is not None
    assert "user_id:ada" in found.identifiers


HOSTILE = {
    "a huge length": b"\xff\xff\xff\xff",
    "no length": b"\0\0\0\0",
    "garbage": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "too short": b"\0\0\0\x02\x01\0",
    "another format": b"\0\0\0\x08\x02\0\x01wuser",
    "a workspace longer than the frame": b"\0\0\0\x04\x01\xff\xffw",
    "no text": b"\0\0\0\x05\x01\0\x01w\xff",
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_frames_end_their_own_connection_only(opened: Open, place: Path, sent: bytes) -> None:
    writer = await (await opened()).open_writer(packed)
    ada = person("user_id:ada")
    await writer.publish([ada])
    reader = await opened()
    assert await shows(reader, "user_id:ada", ada)
    answers, questions = await asyncio.open_unix_connection(str(place))

    questions.write(sent)

    assert await ended(answers)
    questions.close()
    assert await shows(reader, "user_id:ada", ada)


async def ended(answers: asyncio.StreamReader) -> bool:
    """Whether the other side hangs up, saying nothing."""
    try:
        return await asyncio.wait_for(answers.read(), 5) == b""
    except ConnectionError:
        return True


async def test_who_does_not_take_the_answers_is_heard_no_further(opened: Open, place: Path) -> None:
    writer = await (await opened()).open_writer(packed)
    assert isinstance(writer, LocalCacheWriter)
    ada = person("user_id:ada")
    ada.seen = Window.of({number.to_bytes(8): 1 for number in range(4000)})
    await writer.publish([ada])
    asked = 200
    answers, questions = await asyncio.open_unix_connection(str(place), limit=1000)

    questions.write(framed(encode_request(b"main", "user_id:ada")) * asked)

    async with asyncio.timeout(5):
        while not any(desk._full for desk in writer._desks):  # noqa: ASYNC110 - the adapter sets no event for this
            await asyncio.sleep(0.001)
    (desk,) = writer._desks
    assert not desk.transport.is_reading()
    assert desk.transport.get_write_buffer_size() < 200_000
    answer = framed(KNOWN + packed(ada))
    for _ in range(asked):
        assert await asyncio.wait_for(answers.readexactly(len(answer)), 5) == answer
    questions.close()
    await questions.wait_closed()


def test_settled_profiles_leave_in_the_order_of_their_publication() -> None:
    shelf: Shelf[Profile] = Shelf(3)
    crowd = [person(f"user_id:{number}") for number in range(5)]
    for one in crowd[:3]:
        shelf.put(one)
    shelf.put(crowd[0])

    shelf.settle(crowd[:3])
    shelf.put(crowd[3])
    shelf.put(crowd[4])

    assert [shelf.find(f"user_id:{number}") is not None for number in range(5)] == [True, False, False, True, True]


def test_what_is_not_settled_is_kept_beyond_the_capacity() -> None:
    shelf: Shelf[Profile] = Shelf(2)
    crowd = [person(f"user_id:{number}") for number in range(5)]
    for one in crowd:
        shelf.put(one)

    assert len(shelf) == 5
    shelf.settle(crowd[:4])
    assert len(shelf) == 2
    assert shelf.find("user_id:4") is crowd[4]


def test_a_profile_that_was_loaded_anew_leaves_nothing_of_the_old_one() -> None:
    shelf: Shelf[Profile] = Shelf(10)
    shelf.put(person("user_id:ada", "email:ada@example.com"))
    again = person("user_id:ada")

    shelf.put(again)

    assert shelf.find("user_id:ada") is again
    assert shelf.find("email:ada@example.com") is None


def test_a_merged_profile_leaves_nothing_behind_and_takes_nothing_along() -> None:
    shelf: Shelf[Profile] = Shelf(10)
    keeper, lost = person("user_id:ada"), person("anonymous_id:a", "anonymous_id:b")
    shelf.put(lost)
    shelf.settle([lost])
    keeper.identifiers |= lost.identifiers

    shelf.put(keeper)
    shelf.settle([lost])

    assert len(shelf) == 1
    assert all(shelf.find(identifier) is keeper for identifier in keeper.identifiers)


def test_an_evicted_profile_leaves_the_identifiers_that_moved_to_another() -> None:
    shelf: Shelf[Profile] = Shelf(1)
    old, new = person("user_id:ada", "anonymous_id:a"), person("user_id:bob")
    shelf.put(old)
    new.identifiers |= {"anonymous_id:a": old.identifiers["anonymous_id:a"]}
    shelf.put(new)

    shelf.settle([old])  # evicts it

    assert shelf.find("user_id:ada") is None
    assert shelf.find("anonymous_id:a") is new


def test_what_is_no_profile_is_found_under_what_it_has_now() -> None:
    shelf: Shelf[Row] = Shelf(10)
    shelf.put(Row(bytes(16), ("user_id:ada", "anonymous_id:a"), b"1"))
    moved = Row(bytes(16), ("user_id:ada", "anonymous_id:b"), b"2")

    shelf.put(moved)

    assert shelf.find("anonymous_id:a") is None
    assert shelf.find("anonymous_id:b") is moved

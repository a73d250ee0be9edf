"""Senders that tell their request a letter at a time: they are let go, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from door_steps import KEY, Door, basic, hash_key, open_door
from obverse.core.definitions import Source, define
from serving import serving
from wire_steps import GOOD, batch

DEFINITIONS = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])
PATIENCE = 0.2
BODY = batch(GOOD)
HEAD = (
    f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(KEY)}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
)


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Door, str]]:
    async with open_door(DEFINITIONS, patience=PATIENCE) as door, serving(door.app, headers_in=PATIENCE) as url:
        yield door, url


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    return await asyncio.open_connection(place.hostname, place.port)


async def answered(url: str, *parts: bytes) -> bytes:
    """What a connection is told, until it is closed."""
    reader, writer = await connect(url)
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(20):
        told = await reader.read()
    writer.close()
    return told


@pytest.mark.parametrize("start", [b"", b"P", HEAD[:20], HEAD[:-2]])
async def test_a_request_that_is_not_told_is_let_go(start: bytes) -> None:
    async with collecting() as (door, url):
        assert await answered(url, start) == b""
        assert await door.kept() == ([], [])


async def test_a_body_that_does_not_come_is_answered_and_let_go() -> None:
    async with collecting() as (door, url):
        told = await answered(url, HEAD, BODY[:10])
        assert told.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in told
        assert b'"code":"too_slow"' in told
        assert await door.kept() == ([], [])


async def test_the_second_request_of_a_connection_is_waited_for_as_long() -> None:
    async with collecting() as (door, url):
        told = await answered(url, HEAD + BODY, HEAD[:30])
        assert told.startswith(b"HTTP/1.1 200")
        assert told.count(b"HTTP/1.1") == 1
        assert len((await door.kept())[0]) == 1


async def test_others_are_answered_while_many_are_slow() -> None:
    async with collecting() as (door, url):
        slow = [await connect(url) for _ in range(50)]
        for place, (_, writer) in enumerate(slow):
            writer.write(HEAD[: 10 + place] if place % 2 else HEAD + BODY[:place])
        told = await answered(url, HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + BODY)
        assert told.startswith(b"HTTP/1.1 200")
        assert len((await door.kept())[0]) == 1
        async with asyncio.timeout(20):
            for reader, writer in slow:
                await reader.read()
                writer.close()


async def test_a_request_in_parts_that_comes_in_time_is_taken() -> None:
    async with collecting() as (door, url):
        head = HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert (await answered(url, head[:15], head[15:], BODY[:7], BODY[7:])).startswith(b"HTTP/1.1 200")
        assert len((await door.kept())[0]) == 1

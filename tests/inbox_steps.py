"""An inbox in this process: asked without a server, and sent to over real SMTP where a test wants that."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asgi
from obverse.apps import http_door
from obverse.sandboxes.inbox import Inbox, open_inbox
from obverse.sandboxes.inbox.store import Arrival

SENT_AT = 1_700_000_000_123
"""Milliseconds."""


def letter(body: str = "Hello", **headers: str) -> bytes:
    """A mail; `message_id` is the header Message-ID."""
    given = {"from": "shop@example.com", "to": "ada@example.com", "subject": "Hello", **headers}
    lines = [f"{name.replace('_', '-').title()}: {value}" for name, value in given.items()]
    return "\r\n".join([*lines, "", body, ""]).encode()


@dataclass
class Box:
    """An inbox, and the port where it takes mail: 0 if it takes none."""

    inbox: Inbox
    port: int = 0

    async def keep(
        self, raw: bytes, *, sender: str = "shop@example.com", to: tuple[str, ...] = ("ada@example.com",)
    ) -> str:
        """Keep a mail as if it had come over SMTP; its id."""
        return str(await self.inbox._commits.keep(Arrival(raw, sender, to, SENT_AT)))

    async def ask(self, target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> asgi.Answer:
        return await asgi.ask(self.inbox.app, target, method=method, headers=headers)

    async def json(self, target: str) -> Any:
        answer = await self.ask(target)
        assert answer.status == 200, answer.body
        return answer.json

    async def figures(self) -> tuple[int, int]:
        told = await self.json("/figures")
        return told["messages"], told["distinct"]

    async def grow_to(self, pages: int) -> None:
        """Let its file have so many pages, or those that it has, and no more: a disk that is full."""
        db = self.inbox._writer._db
        await self.inbox._commits.alone(lambda: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())


@asynccontextmanager
async def box(folder: Path, **options: Any) -> AsyncIterator[Box]:
    """An inbox in that folder that takes no mail."""
    inbox = await open_inbox(folder, **options)
    try:
        yield Box(inbox)
    finally:
        await inbox.close()


@asynccontextmanager
async def running_box(folder: Path, **options: Any) -> AsyncIterator[Box]:
    """An inbox in that folder, at a port of loopback."""
    async with box(folder, **options) as opened:
        door = listen()
        opened.port = door.getsockname()[1]
        work = asyncio.create_task(opened.inbox.serve_smtp(door))
        try:
            yield opened
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an application while the block runs; gives the server's address. It starts when somebody calls."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    work: list[asyncio.Task[None]] = []

    def start() -> None:
        loop.remove_reader(door)
        work.append(loop.create_task(http_door.serve(app, door, stop)))

    with listen() as door:
        loop.add_reader(door, start)
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        loop.remove_reader(door)
        stop.set()
        await asyncio.gather(*work)


def listen() -> socket.socket:
    # asyncio sends small pieces at once only where the protocol is named; else each answer may take 40 ms longer.
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.bind(("127.0.0.1", 0))
    door.listen(100)
    return door


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that has no event."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.002)

"""Opens the inbox: its mails, its application, and its SMTP server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from starlette.applications import Starlette

from obverse.sandboxes.inbox.app import build_app
from obverse.sandboxes.inbox.commits import Commits
from obverse.sandboxes.inbox.reception import Reception
from obverse.sandboxes.inbox.store import Reader, Writer

FILE_NAME: Final = "inbox.sqlite3"
Result = TypeVar("Result")


class Inbox:
    """
    The mails of one folder.

    A mail is on disk before it is answered, so the process may be killed at any moment. The same mail sent twice is
    kept twice. For tests of senders it misbehaves by the part before the @ of a recipient, with or without a plus and
    more behind it:

    * `defer@…` is answered 451, and `refuse@…` 550, as recipients;
    * `refuse-data@…` is answered 554 after the last dot, and not kept;
    * `lost@…` cuts the connection after the last dot, and is not kept;
    * `drop@…` cuts the connection after the last dot, and is kept;
    * `hang-after-dot@…` is kept, and its last dot is never answered.
    """

    def __init__(self, writer: Writer, reader: Reader, writing: ThreadPoolExecutor, *, most_bytes: int) -> None:
        self._writer = writer
        self._reader = reader
        self._writing = writing
        # Mails are read while others are written, and nothing of it stops the loop.
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox-reads")
        self._commits = Commits(writer, writing)
        self._reception = Reception(self._commits, most_bytes=most_bytes)
        self.app: Starlette = build_app(
            reader,
            read=self._read,
            settle=self._reception.settle,
            empty=lambda: self._commits.alone(writer.delete_all),
        )
        """The ASGI application, with its routes at the root."""

    async def serve_smtp(self, door: socket.socket) -> None:
        """
        Take mails at a listening socket until cancelled; then sessions are ended in good order.

        Whoever binds the socket sees that only this machine reaches it.
        """
        await self._reception.serve(door)

    async def close(self) -> None:
        """Finish what was handed over, and let go of the file."""
        await self._commits.settle()
        await self._read(self._reader.close)
        await self._commits.alone(self._writer.close)
        self._reading.shutdown()
        self._writing.shutdown()

    async def _read(self, do: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._reading, do)


async def open_inbox(folder: Path, *, most_bytes: int = 10 << 20, keep: int = 100_000) -> Inbox:
    """
    Open the inbox that lives in `folder`, or make one. It takes mails of `most_bytes` and keeps the newest `keep`.

    Raises:
        ValueError: nothing could be kept.
        sqlite3.DatabaseError: the file in the folder is not one of ours, or is damaged.
    """
    if most_bytes < 1 or keep < 1:
        raise ValueError(f"an inbox of {keep} mails of {most_bytes} bytes keeps nothing: give at least 1 of each")
    writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox-writes")

    def open_inside() -> tuple[Writer, Reader]:
        folder.mkdir(parents=True, exist_ok=True)
        writer = Writer(folder / FILE_NAME, keep=keep)
        return writer, Reader(folder / FILE_NAME)

    try:
        writer, reader = await asyncio.get_running_loop().run_in_executor(writing, open_inside)
    except BaseException:
        writing.shutdown(wait=False)
        raise
    return Inbox(writer, reader, writing, most_bytes=most_bytes)

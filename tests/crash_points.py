"""Every point at which a process can die between two words with its database: before it says or hears one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from services import Wire

_APPLICATION = b"application_name\0"
_WRITERS = ("obverse appends to", "obverse writes", "obverse sends")
"""What connections are called that change something."""
_DRIVERS_OWN = ("SELECT current_setting('jit')", "WITH RECURSIVE typeinfo_tree")
"""What the driver asks for itself, in any session."""
_SAID = frozenset(b"QBdc")
"""Kinds of message that do something: Query, Bind, CopyData, CopyDone."""


@dataclass(slots=True)
class Conversation:
    """What one connection has said."""

    purpose: str = ""
    rest: bytes = b""
    begun: bool = False
    statements: dict[bytes, str] = field(default_factory=dict)
    copying: str = ""
    heard_after: str | None = None
    """The point to die at when the server answers."""

    def said(self, data: bytes) -> Iterator[str]:
        """Read more of what the client says; gives the name of each message that does something."""
        self.rest += data
        if not self.begun:
            length = int.from_bytes(self.rest[:4])
            if len(self.rest) < max(length, 4):
                return
            _, found, after = self.rest[:length].partition(_APPLICATION)
            self.purpose = after.partition(b"\0")[0].decode() if found else ""
            self.rest, self.begun = self.rest[length:], True
        while len(self.rest) >= 5:
            kind, end = self.rest[0], 1 + int.from_bytes(self.rest[1:5])
            if len(self.rest) < end:
                return
            body, self.rest = self.rest[5:end], self.rest[end:]
            name = self._name(kind, body)
            if kind in _SAID and self.purpose.startswith(_WRITERS) and not name.startswith(_DRIVERS_OWN):
                yield f"{self.purpose}: {name}"

    def _name(self, kind: int, body: bytes) -> str:
        if kind == ord("P"):
            name, query, _ = body.split(b"\0", 2)
            self.statements[name] = _shown(query)
        elif kind == ord("Q"):
            self.copying = _shown(body.rstrip(b"\0"))
            return self.copying
        elif kind == ord("B"):
            return self.statements.get(body.split(b"\0", 2)[1], "?")
        return f"{self.copying}, {'its end' if kind == ord('c') else 'a row'}"


def _shown(query: bytes) -> str:
    return " ".join(query.decode(errors="replace").split())[:70]


class CrashPoints(Wire):
    """Calls `die` at the next point that nobody has died at yet, once it is armed."""

    def __init__(self, dsn: str, die: Callable[[str], None]) -> None:
        super().__init__(dsn)
        self._die = die
        self._armed = False
        self.met: set[str] = set()
        """Points at which somebody has died."""
        self.struck = asyncio.Event()

    def arm(self) -> None:
        """Have the next one die."""
        self._armed = True
        self.struck.clear()

    def disarm(self) -> None:
        """Let everybody live."""
        self._armed = False

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
        talk = Conversation()
        await asyncio.gather(
            self._forward(reader, behind_writer, talk), self._back(behind_reader, writer, talk), return_exceptions=True
        )

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: Conversation) -> None:
        self._ends.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for name in talk.said(data):
                    if self._strikes(f"{name} (before it is said)", talk):
                        writer.transport.abort()
                        return
                    after = f"{name} (before the answer is heard)"
                    if self._armed and after not in self.met and talk.heard_after is None:
                        talk.heard_after = after
                writer.write(data)
                await writer.drain()
        self._ends.discard(writer)
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: Conversation) -> None:
        self._ends.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                point, talk.heard_after = talk.heard_after, None
                if point is not None and self._strikes(point, talk):
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        self._ends.discard(writer)
        writer.close()

    def _strikes(self, point: str, talk: Conversation) -> bool:
        if not self._armed or point in self.met:
            return False
        self._armed = False
        self.met.add(point)
        self._die(talk.purpose)
        self.struck.set()
        return True

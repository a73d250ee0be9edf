"""The mails on disk: one SQLite file, written by one thread and read by another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from obverse.sandboxes.inbox.mime import Content, plain_address, read_mail

# Ids go up for ever, so nobody takes a new mail for one that was deleted.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, received_at INTEGER NOT NULL, bytes INTEGER NOT NULL, message_id TEXT,
    entry BLOB NOT NULL, searched TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_message_id ON messages (message_id);
CREATE TABLE IF NOT EXISTS recipients (
    address TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (address, message)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recipients_by_message ON recipients (message);
CREATE TABLE IF NOT EXISTS raws (message INTEGER PRIMARY KEY, raw BLOB NOT NULL);
"""
_COLUMNS: Final = "id, received_at, bytes, message_id, entry"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What lists show of a mail, and its envelope."""

    sender: str
    to: tuple[str, ...]
    subject: str
    preview: str
    envelope_from: str
    envelope_to: tuple[str, ...]


class Arrival(msgspec.Struct, frozen=True):
    """A mail that was handed over and is not kept yet."""

    raw: bytes
    envelope_from: str
    envelope_to: tuple[str, ...]
    received_at: int
    """Milliseconds since 1970."""


class Kept(msgspec.Struct, frozen=True):
    """A mail that is kept."""

    id: int
    received_at: int
    bytes: int
    message_id: str | None
    entry: Entry


class Figures(msgspec.Struct, frozen=True):
    """How many mails there are."""

    messages: int
    distinct: int
    """Distinct Message-IDs; a mail without one counts for itself."""


class Wanted(msgspec.Struct, frozen=True):
    """Which mails a list is to have; empty is all."""

    to: str = ""
    text: str = ""

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL, and its values."""
        parts, values = ["TRUE"], list[Any]()
        if self.to:
            parts.append("id IN (SELECT message FROM recipients WHERE address = ?)")
            values.append(plain_address(self.to))
        if self.text:
            parts.append("instr(searched, ?) > 0")
            values.append(_folded(self.text))
        return " AND ".join(parts), values


class Writer:
    """Keeps and deletes mails; used by one thread."""

    def __init__(self, path: Path, *, keep: int) -> None:
        # What was answered is kept, though the machine fails.
        self._db = _opened(path, f"PRAGMA synchronous = FULL; {_SCHEMA}")
        self._keep = keep

    def add(self, arrivals: Sequence[Arrival]) -> Sequence[int]:
        """
        Keep mails, all or none, and return their ids; the oldest make room where there are more than is to be kept.

        Raises:
            sqlite3.Error: none is kept.
        """
        read = [(arrival, read_mail(arrival.raw)) for arrival in arrivals]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            ids = [self._add(arrival, content) for arrival, content in read]
            # One after the other they have no gaps: what fails takes no id, and what is deleted are all.
            oldest = ids[-1] - self._keep
            for table, column in (("raws", "message"), ("recipients", "message"), ("messages", "id")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} <= ?", (oldest,))  # noqa: S608 - our own names
            self._db.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        return ids

    def delete_all(self) -> None:
        """
        Keep nothing, and give the room back.

        Raises:
            sqlite3.Error: it failed.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for table in ("raws", "recipients", "messages"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._db.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        # Else the mails would be in the file still, to be read with any editor.
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _undo(self) -> None:
        # A disk that is full may have ended it already.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _add(self, arrival: Arrival, content: Content) -> int:
        entry = Entry(
            sender=content.sender or arrival.envelope_from,
            to=content.to or arrival.envelope_to,
            subject=content.subject,
            preview=content.preview(),
            envelope_from=arrival.envelope_from,
            envelope_to=arrival.envelope_to,
        )
        searched = _folded("\n".join((content.subject, content.sender, *entry.to, content.readable())))
        added = self._db.execute(
            "INSERT INTO messages (received_at, bytes, message_id, entry, searched) VALUES (?, ?, ?, ?, ?)",
            (arrival.received_at, len(arrival.raw), content.message_id, msgspec.json.encode(entry), searched),
        )
        number = added.lastrowid or 0
        addresses = {plain_address(one) for one in (*arrival.envelope_to, *content.to, *content.cc)}
        self._db.executemany("INSERT INTO recipients VALUES (?, ?)", [(address, number) for address in addresses])
        self._db.execute("INSERT INTO raws VALUES (?, ?)", (number, arrival.raw))
        return number


class Reader:
    """Reads mails, while others are written; used by one thread. It sees all that was committed before it is asked."""

    def __init__(self, path: Path) -> None:
        self._db = _opened(path)
        self._figures: tuple[int, Figures] | None = None

    def list(self, wanted: Wanted, *, limit: int, before: int | None) -> Sequence[Kept]:
        """The newest mails, of those with an id below `before`."""
        condition, values = wanted.condition()
        if before is not None:
            condition += " AND id < ?"
            values.append(before)
        query = f"SELECT {_COLUMNS} FROM messages WHERE {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608 - as above
        return _kept(self._db.execute(query, (*values, limit)))

    def figures(self, wanted: Wanted) -> Figures:
        """How many of them there are."""
        if wanted != Wanted():
            return self._count(wanted)
        # Changes whenever another connection commits.
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        if self._figures is None or self._figures[0] != version:
            self._figures = (version, self._count(wanted))
        return self._figures[1]

    def message(self, number: int) -> tuple[Kept, bytes] | None:
        """A mail, and its bytes as they came."""
        found = self._db.execute(
            f"SELECT {_COLUMNS}, raw FROM messages JOIN raws ON message = id WHERE id = ?",  # noqa: S608 - as above
            (number,),
        ).fetchone()
        return None if found is None else (*_kept([found[:-1]]), found[-1])

    def by_message_id(self, message_id: str, limit: int) -> tuple[int, Sequence[Kept]]:
        """How many mails have that Message-ID, and the newest of them."""
        (count,) = self._db.execute("SELECT count(*) FROM messages WHERE message_id = ?", (message_id,)).fetchone()
        query = f"SELECT {_COLUMNS} FROM messages WHERE message_id = ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - as above
        return count, _kept(self._db.execute(query, (message_id, limit)))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _count(self, wanted: Wanted) -> Figures:
        condition, values = wanted.condition()
        messages, named, distinct = self._db.execute(
            f"SELECT count(*), count(message_id), count(DISTINCT message_id) FROM messages WHERE {condition}",  # noqa: S608 - as above
            values,
        ).fetchone()
        return Figures(messages, messages - named + distinct)


def _kept(rows: Iterable[tuple[Any, ...]]) -> Sequence[Kept]:
    return [
        Kept(number, received_at, size, message_id, msgspec.json.decode(entry, type=Entry))
        for number, received_at, size, message_id, entry in rows
    ]


def _opened(path: Path, script: str = "") -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(script)
    except BaseException:
        db.close()
        raise
    return db


def _folded(text: str) -> str:
    return text.replace("\x00", " ").casefold()

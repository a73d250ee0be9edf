"""The sandbox's state in one SQLite file. What is committed survives the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from obverse.sandboxes.hubspot.default_properties import DEFAULTS
from obverse.sandboxes.hubspot.definitions import Definition

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, archived INTEGER NOT NULL, contact BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS contacts_archived ON contacts (archived, id);
CREATE TABLE IF NOT EXISTS unique_values (
    name TEXT NOT NULL, value TEXT NOT NULL, contact INTEGER NOT NULL, PRIMARY KEY (name, value)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS definitions (name TEXT PRIMARY KEY, definition BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocked (email TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (
    number INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, attempt INTEGER NOT NULL, event BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS notices_due ON notices (due, number);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The first record is 33451, as in HubSpot's own examples: no one mistakes it for a place in a list.
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'contacts', 33450 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'contacts');
"""


class Version(msgspec.Struct, array_like=True, frozen=True):
    """A value that a property has, or had."""

    value: str
    at: int
    """Milliseconds since 1970."""

    source: str
    source_id: str


class Contact(msgspec.Struct):
    """A person, as the account knows them."""

    id: int
    created_at: int
    updated_at: int
    archived_at: int | None = None
    versions: dict[str, list[Version]] = {}
    """By name of property, the newest first."""

    def value(self, name: str) -> str:
        """The value of a property; empty where it has none."""
        versions = self.versions.get(name)
        return versions[0].value if versions else ""


class Notice(msgspec.Struct, frozen=True):
    """A webhook event that waits."""

    number: int
    attempt: int
    event: dict[str, str | int | bool]


class Store:
    """
    Reads and writes, all from one thread.

    Writes belong within `change`: they are kept when it ends, all or none.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # What was answered is kept, though the machine fails.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)
        custom = self._db.execute("SELECT definition FROM definitions ORDER BY name")
        self._definitions = dict(DEFAULTS)
        for (held,) in custom:
            definition = msgspec.json.decode(held, type=Definition)
            self._definitions[definition.name] = definition
        # Ids go up for ever: the sequence remembers the highest, though its contact was erased.
        self._newest: int = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'contacts'").fetchone()[0]
        self._noted: list[tuple[float, bytes]] = []
        self._last: Callable[[], None] = lambda: None

    def before_commit(self, do: Callable[[], None]) -> None:
        """Run this as the last of every change."""
        self._last = do

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._last()
            self._db.executemany("INSERT INTO notices (due, attempt, event) VALUES (?, 0, ?)", self._noted)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        finally:
            self._noted.clear()
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @property
    def definitions(self) -> Mapping[str, Definition]:
        """Every property, by name."""
        return self._definitions

    def add_definition(self, definition: Definition) -> None:
        """Keep a property that the account defines; commits by itself."""
        held = msgspec.json.encode(definition)
        with self.change():
            self._db.execute("INSERT INTO definitions (name, definition) VALUES (?, ?)", (definition.name, held))
        self._definitions[definition.name] = definition

    def next_id(self) -> int:
        """An id that no contact has, or had."""
        self._newest += 1
        return self._newest

    def save(self, contact: Contact) -> None:
        """Keep the contact."""
        held = msgspec.json.encode(contact)
        archived = contact.archived_at is not None
        self._db.execute(
            "INSERT INTO contacts (id, archived, contact) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET archived = excluded.archived, contact = excluded.contact",
            (contact.id, archived, held),
        )

    def forget(self, contact: Contact) -> None:
        """Keep nothing of the contact."""
        self._db.execute("DELETE FROM contacts WHERE id = ?", (contact.id,))

    def contact(self, number: int) -> Contact | None:
        """The contact, archived or not."""
        row = self._db.execute("SELECT contact FROM contacts WHERE id = ?", (number,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Contact)

    def contacts(self, *, start: int = 0, limit: int = -1, archived: bool = False) -> Iterator[Contact]:
        """Contacts by id, from `start` on; a negative limit is none."""
        rows = self._db.execute(
            "SELECT contact FROM contacts WHERE archived = ? AND id >= ? ORDER BY id LIMIT ?", (archived, start, limit)
        )
        for (held,) in rows:
            yield msgspec.json.decode(held, type=Contact)

    def count(self) -> int:
        """How many contacts are not archived."""
        found: tuple[int] = self._db.execute("SELECT count(*) FROM contacts WHERE archived = 0").fetchone()
        return found[0]

    def owner(self, name: str, value: str) -> int | None:
        """The contact that has this value of a unique property."""
        row: tuple[int] | None = self._db.execute(
            "SELECT contact FROM unique_values WHERE name = ? AND value = ?", (name, value)
        ).fetchone()
        return None if row is None else row[0]

    def claim(self, name: str, value: str, contact: int, *, before: str) -> None:
        """Give a unique value to a contact in place of the one it had; an empty one is none."""
        if before:
            self._db.execute("DELETE FROM unique_values WHERE name = ? AND value = ?", (name, before))
        if value:
            self._db.execute(
                "INSERT INTO unique_values (name, value, contact) VALUES (?, ?, ?)", (name, value, contact)
            )

    def block(self, email: str) -> None:
        """Let nobody have this address again."""
        self._db.execute("INSERT OR IGNORE INTO blocked (email) VALUES (?)", (email,))

    def is_blocked(self, email: str) -> bool:
        """Whether nobody may have this address."""
        return self._db.execute("SELECT 1 FROM blocked WHERE email = ?", (email,)).fetchone() is not None

    def add_notices(self, notices: Iterable[tuple[float, Mapping[str, str | int | bool]]]) -> None:
        """Keep webhook events until they are sent, each with the moment from which it may be."""
        # Written all at once when the change ends: a batch notes a thousand.
        self._noted += [(due, msgspec.json.encode(event)) for due, event in notices]

    def notices(self, *, due: float, limit: int) -> Sequence[Notice]:
        """The events that may be sent now, the longest due first."""
        rows = self._db.execute(
            "SELECT number, attempt, event FROM notices WHERE due <= ? ORDER BY due, number LIMIT ?", (due, limit)
        )
        return [Notice(number, attempt, msgspec.json.decode(event)) for number, attempt, event in rows]

    def next_due(self) -> float | None:
        """When the next event may be sent."""
        found: tuple[float | None] = self._db.execute("SELECT min(due) FROM notices").fetchone()
        return found[0]

    def drop_notices(self, numbers: Iterable[int]) -> None:
        """Forget events: they are sent, or given up."""
        self._db.executemany("DELETE FROM notices WHERE number = ?", [(number,) for number in numbers])

    def postpone(self, later: Iterable[tuple[float, int]]) -> None:
        """Count an attempt of each event, and send it again from the moment given with its number."""
        self._db.executemany("UPDATE notices SET due = ?, attempt = attempt + 1 WHERE number = ?", later)

    def waiting(self) -> int:
        """How many events wait."""
        found: tuple[int] = self._db.execute("SELECT count(*) FROM notices").fetchone()
        return found[0]

    def fact(self, name: str) -> str | None:
        """What was kept under that name."""
        row: tuple[str] | None = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def keep_fact(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        self._db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

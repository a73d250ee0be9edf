"""Whom conditions hold for, of the profiles that are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pyroaring import BitMap64

from obverse.adapters.memory.profile_tables import Tables, packed
from obverse.core import json_values
from obverse.core.conditions import Condition, Events, Member, Need, compiled
from obverse.core.events import Event
from obverse.ports.profile_store import ProfileRow
from obverse.ports.selections import Selection


@dataclass(frozen=True, slots=True)
class _Kept:
    """A person, as the tables know one."""

    row: ProfileRow
    identifiers: Collection[str]
    events: Collection[Event]


class MemorySelections:
    """See `Selections`."""

    _tables: Tables

    async def select(self, conditions: Collection[Condition], *, now: int) -> Selection:
        """See `Selections.select`."""
        tables, people = self._tables, self._people()
        chosen = {}
        for one in conditions:
            if isinstance(one, Member) and one.subject == "audience":
                name = one.name
                among: Iterable[int] = (
                    number for number, person in people.items() if name in tables.members.get(person.row.id, ())
                )
            else:
                check = compiled(one, _reader)
                among = (number for number, person in people.items() if check(person, now))
            chosen[one] = BitMap64(among)
        return Selection(BitMap64(people), chosen)

    async def numbered(self, numbers: Sequence[int]) -> Sequence[bytes]:
        """See `Selections.numbered`."""
        people = self._people()
        return [packed(people[one].row) for one in numbers if one in people]

    def _people(self) -> dict[int, _Kept]:
        """Everybody, numbered in the order in which they came."""
        tables = self._tables
        owned: dict[bytes, list[str]] = {}
        for identifier, owner in tables.owners.items():
            owned.setdefault(tables.keeper(owner), []).append(identifier)
        happened: dict[bytes, list[Event]] = {}
        for profile, told in tables.events.items():
            happened.setdefault(tables.keeper(profile), []).extend(one.event for one in told)
        return {
            number: _Kept(row, owned.get(one, ()), happened.get(one, ()))
            for number, (one, row) in enumerate(tables.rows.items(), 1)
        }


def _reader(subject: str, name: Any) -> Callable[[_Kept], Any]:
    match subject:
        case "trait":
            return lambda one: _read(one.row.computed_traits).get(name)
        case "attribute":
            return lambda one: None if one.row.known is None else _read(one.row.known.attributes).get(name)
        case "consent":
            return lambda one: None if one.row.known is None else _read(one.row.known.consents).get(name)
        case "identifier":
            return lambda one: [part[len(name) + 1 :] for part in one.identifiers if part.startswith(f"{name}:")]
        case "group":
            return lambda one: one.row.known is not None and name in one.row.known.groups
        case _:
            return lambda one: _moments(one, name)


def _read(text: bytes) -> dict[str, Any]:
    raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return {name: json_values.lenient(bytes(value)) for name, value in raw.items()}


def _moments(one: _Kept, need: Need) -> Sequence[int]:
    return sorted(event.stamp.time for event in one.events if _is_meant(event, need.events))[-need.keep :]


def _is_meant(event: Event, events: Events) -> bool:
    if event.type != events.type or events.event not in {None, event.name}:
        return False
    if events.where is None:
        return True
    return compiled(events.where, _property)(_read(event.properties), 0)


def _property(_subject: str, name: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda properties: properties.get(name)

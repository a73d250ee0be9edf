"""The mapping of a load: which column of a file is what in an event, of which type; guessed, corrected, kept."""

from __future__ import annotations

from collections.abc import Mapping as Tree
from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from obverse.core import events, times
from obverse.core.loads import spellings, values
from obverse.core.loads.rows import Cell, Row

USER_ID: Final = "user_id"
ANONYMOUS_ID: Final = "anonymous_id"
EVENT: Final = "event"
TIMESTAMP: Final = "timestamp"
MESSAGE_ID: Final = "message_id"
TARGETS: Final = (USER_ID, ANONYMOUS_ID, EVENT, TIMESTAMP, MESSAGE_ID)
"""What a column can be, beside a property or trait of its own name."""
EMAIL: Final = "email"

Type = Literal["identify", "track", "events"]
"""What each row becomes; `events`: it is a whole event already."""


class BadMapping(ValueError):
    """A mapping that cannot be used; the message says where, and what to write."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one column is."""

    to: str | None = None
    """One of `TARGETS`, or the property's or trait's name; None if it is left out."""
    type: str = values.TEXT
    note: str = ""
    """What is doubtful about a guess."""


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How rows become events."""

    type: Type
    event: str = ""
    """The name of every row's event, unless a column names it."""
    zone: str = "UTC"
    """Where times without a zone are."""
    at: str = ""
    """When all of it happened, if no column says it: an ISO 8601 time."""
    columns: dict[str, Column] = {}

    def column_of(self, target: str) -> str | None:
        """The column that is this."""
        return next((name for name, column in self.columns.items() if column.to == target), None)

    @property
    def tzinfo(self) -> ZoneInfo:
        """The zone of times without one."""
        return ZoneInfo(self.zone)


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said, which wins over every guess."""

    type: Type | None = None
    event: str = ""
    map: Tree[str, str] = {}
    """Target -> column."""
    types: Tree[str, str] = {}
    """Column -> type."""
    skip: Sequence[str] = ()
    """Columns that are left out."""
    message_id: str = ""
    """The column that tells rows apart."""
    zone: str = ""
    at: str = ""


def guessed(names: Sequence[str], rows: Sequence[Row], wishes: Wishes) -> Mapping:
    """
    Guess a mapping from the names of the columns and some rows; what somebody wishes is held to.

    Raises:
        BadMapping: a wish cannot be fulfilled, or a guess would be none.
    """
    asked = dict(wishes.map)
    if wishes.message_id:
        asked[MESSAGE_ID] = wishes.message_id
    for name in (*asked.values(), *wishes.types, *wishes.skip):
        _known(name, names)
    if wishes.type == "events" or (wishes.type is None and not wishes.event and not asked and _whole(rows)):
        return checked(Mapping(type="events", zone=wishes.zone or "UTC"))
    free = [name for name in names if name not in asked.values() and name not in wishes.skip]
    if wishes.type is None and not wishes.event and EVENT not in asked:
        found = spellings.event(free)
        if found is not None:
            asked[EVENT] = found
    kind: Type = wishes.type or ("track" if wishes.event or EVENT in asked else "identify")
    _guess_targets(asked, free, rows, kind, wishes)
    by_column = {name: target for target, name in asked.items()}
    columns: dict[str, Column] = {}
    for name in names:
        if name in wishes.skip:
            columns[name] = Column()
        else:
            columns[name] = _column(name, by_column.get(name), rows, wishes.types.get(name))
    return checked(
        Mapping(
            type=kind,
            event=wishes.event,
            zone=wishes.zone or "UTC",
            at="" if TIMESTAMP in asked else wishes.at,
            columns=columns,
        )
    )


def named(names: Sequence[str]) -> Mapping:
    """Every column by its name, as text: what is shown of a file for which no mapping can be guessed."""
    return Mapping(type="identify", columns={name: Column(spellings.trait(name)) for name in names})


def _guess_targets(asked: dict[str, str], free: list[str], rows: Sequence[Row], kind: Type, wishes: Wishes) -> None:
    people = kind == "identify"

    def take(target: str, name: str | None) -> None:
        if target not in asked and name is not None and name not in asked.values():
            asked[target] = name

    take(USER_ID, spellings.user_id(free, people=people))
    take(ANONYMOUS_ID, spellings.anonymous_id(free))
    take(MESSAGE_ID, spellings.message_id(free))
    if not wishes.at:
        for name in spellings.timestamps(free, people=people):
            if name in wishes.types or values.guess_time(_texts(name, rows)):
                take(TIMESTAMP, name)


def _column(name: str, target: str | None, rows: Sequence[Row], wished: str | None) -> Column:
    to = target or spellings.trait(name)
    if to in {USER_ID, ANONYMOUS_ID, EVENT, MESSAGE_ID}:
        return Column(to)
    if wished is not None:
        return Column(to, wished)
    if to == EMAIL:
        return Column(to)
    if to == TIMESTAMP:
        texts = _texts(name, rows)
        found = values.guess_time(texts)
        if len(found) > 1:
            raise BadMapping(
                f"column {name!r} says when it happened, and can be read as {' or '.join(found)}: "
                f'say which, --type "{name}={found[0]}"'
            )
        if not found and texts:
            raise BadMapping(
                f"column {name!r} is to say when it happened, and its values are no times that are known, such as "
                f'{next(iter(texts))[:40]!r}: say how they are written, --type "{name}=time:DD.MM.YYYY hh:mm"'
            )
        return Column(to, found[0] if found else "time:iso")
    # What had its type in the file, as in JSON, keeps it.
    texts = [cell for row in rows if isinstance(cell := row.cells.get(name, ""), str)]
    found = values.guess(texts)
    if len(found) > 1:
        return Column(to, values.TEXT, f"may be {' or '.join(found)}")
    most = values.nearly(texts[:_LOOKED_AT]) if found[0] == values.TEXT else None
    return Column(to, found[0], f"most are {most}" if most else "")


_LOOKED_AT: Final = 200
"""Values that are held against every type."""


def _texts(name: str, rows: Sequence[Row]) -> list[str]:
    return [text for row in rows for text in [as_text(row.cells.get(name, ""))] if text]


def as_text(cell: Cell) -> str:
    """A cell's text, if it is one or a JSON number; else none."""
    if isinstance(cell, str):
        return cell
    raw = bytes(cell)
    if raw[:1] == b'"':
        return str(msgspec.json.decode(raw))
    return raw.decode() if raw[:1] in b"-0123456789" else ""


def _whole(rows: Sequence[Row]) -> bool:
    good = [row for row in rows if row.flaw is None]
    return bool(good) and all(
        not isinstance(kind := row.cells.get("type"), str | None)
        and as_text(kind) in events.TYPES
        and not _WHOLE.isdisjoint(row.cells)
        for row in good
    )


_WHOLE: Final = frozenset({"userId", "anonymousId"})


def _known(name: str, names: Sequence[str]) -> None:
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(map(repr, names))}"
        raise BadMapping(f"there is no column {name!r}{hint}")


_SHOWN: Final = 60


def checked(mapping: Mapping, names: Sequence[str] | None = None) -> Mapping:
    """
    Return the mapping, if events can be made by it; `names`: of the file's columns, if they are to fit.

    Raises:
        BadMapping: with what to write.
    """
    if mapping.zone not in available_timezones():
        raise BadMapping(f"there is no time zone {mapping.zone!r}: write it as in Europe/Berlin")
    if mapping.at and times.parse(mapping.at) is None:
        raise BadMapping(f"{mapping.at!r} is no time: write it as in 2024-05-31T18:30:00Z")
    try:
        msgspec.json.encode(to_tree(mapping))
    except UnicodeEncodeError as error:
        said = error.object.encode("utf-8", "backslashreplace").decode()
        raise BadMapping(f"{said[:_SHOWN]!r} is not UTF-8: write it as UTF-8") from error
    for name, column in mapping.columns.items():
        _check_type(name, column)
    if mapping.type == "events":
        return mapping
    taken = _taken(mapping)
    if not {USER_ID, ANONYMOUS_ID, EMAIL} & taken.keys():
        raise BadMapping(
            'no column says whose a row is: say which is the user id, --map "user_id=COLUMN" (or anonymous_id, email)'
        )
    if mapping.type == "track" and not mapping.event and EVENT not in taken:
        raise BadMapping('no column names what happened: say it, --event "Order Completed" or --map "event=COLUMN"')
    for name in mapping.columns if names is not None else ():
        _known(name, names or ())
    return mapping


def _taken(mapping: Mapping) -> dict[str, str]:
    """What is what: the column of each target, property and trait."""
    taken: dict[str, str] = {}
    for name, column in mapping.columns.items():
        if column.to is None:
            continue
        if column.to in taken:
            raise BadMapping(
                f"columns {taken[column.to]!r} and {name!r} are both {column.to}: leave one out (--skip), or give it "
                f'another name (--map "OTHER={name}")'
            )
        taken[column.to] = name
    return taken


def _check_type(name: str, column: Column) -> None:
    try:
        values.converter(column.type)
    except values.BadType as error:
        raise BadMapping(f"column {name!r}: {error}") from error
    if column.to == TIMESTAMP and column.type.partition(":")[0] not in {values.TEXT, "time", "date"}:
        raise BadMapping(
            f"column {name!r} says when it happened, and {column.type} is no time: say how it is written, as "
            "time:seconds or time:DD.MM.YYYY hh:mm"
        )


def from_tree(tree: Any, names: Sequence[str] | None = None) -> Mapping:
    """
    Read a mapping that was written down; columns of the file that it does not name are left out.

    Raises:
        BadMapping: with the place of what is wrong.
    """
    fields = dict(tree) if isinstance(tree, dict) else {}
    if not fields or fields.pop("version", _VERSION) != _VERSION or fields.pop("kind", _KIND) != _KIND:
        raise BadMapping(f"this is no mapping of a load: it begins with `version: {_VERSION}` and `kind: {_KIND}`")
    try:
        mapping = msgspec.convert(fields, Mapping)
    except msgspec.ValidationError as error:
        raise BadMapping(f"the mapping cannot be used: {error}") from error
    return checked(mapping, names)


_VERSION: Final = "obverse/v1"
_KIND: Final = "load_mapping"


def to_tree(mapping: Mapping) -> dict[str, Any]:
    """The mapping as it is written down; `from_tree` reads it."""
    columns = {name: msgspec.structs.replace(column, note="") for name, column in mapping.columns.items()}
    return {
        "version": _VERSION,
        "kind": _KIND,
        **msgspec.to_builtins(msgspec.structs.replace(mapping, columns=columns)),
    }


def digest_of(*parts: str) -> str:
    """Sixteen letters and digits that stand for these words, in this order."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

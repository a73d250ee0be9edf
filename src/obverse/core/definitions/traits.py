"""Traits as they are defined, and which of them an event moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from obverse.core import changes, json_values, times
from obverse.core.audiences import Audience
from obverse.core.conditions import Condition, compiled, subjects
from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.queries import Query
from obverse.core.traits.kind import MAKERS, Takes, TraitKind
from obverse.core.traits.windows import Windowed


@dataclass(frozen=True, slots=True)
class Trait:
    """A value that is computed from events."""

    name: str
    kind: TraitKind | Windowed
    key: str
    """Names the state in a profile: `kind:name:digest`, so that a changed definition starts anew."""
    type: str
    event: str | None
    property: str | None
    field: str | None
    description: str = ""
    hidden: bool = False
    """Whether it is there for conditions alone: nobody is shown its value, nor told that it moved."""
    where: Condition | None = None
    """Over the properties of an event: whether it counts."""
    query: Query | None = None
    """What gives its values, which come as events; None if they are computed of what happened."""
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """As a document says it, without what goes without saying."""
    code: int = dataclasses.field(init=False, compare=False, repr=False)
    """64 bits that stand for the key."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", trait_code(self.key))


def trait_code(key: str) -> int:
    """64 bits that stand for a trait's key where profiles are packed."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")


NOTHING: Final = -1
"""The place of what a kind gets that takes nothing."""


Move = tuple[
    str | None,
    str,
    int,
    tuple[Audience, ...],
    bool,
    bool,
    Callable[[], Any],
    Callable[[Any, Any, Stamp], Any],
    Callable[[Any], Any],
]
"""
A trait that events of one kind move: its name (None if it is hidden) and key, the place of what it takes among
`Plan.values` (or `NOTHING`), the audiences that look at it; of its kind `in_place`, `plain` (and not in place),
`start`, `add`, `read`. Looked up once, not for each event; a bare tuple, for Python takes one with names apart field by
field.
"""


class Guarded(NamedTuple):
    """A trait that events of one kind move if a condition holds for them, or for a while only; as in `Move`."""

    name: str | None
    key: str
    place: int
    watching: tuple[Audience, ...]
    kind: TraitKind | Windowed
    holds: Callable[[list[Any], int], bool] | None
    """Whether the event whose `Plan.values` these are counts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What events of one kind do to traits: which ones they move, and what must be read for it."""

    moves: tuple[Move, ...] = ()
    guarded: tuple[Guarded, ...] = ()
    """Traits that are moved beside; apart, so that the others cost no more for them."""
    wanted: tuple[tuple[int, Callable[[Any], Any]], ...] = ()
    """What is taken: the place of a property, the one after the last for the event's time; what is made of it."""
    decoder: msgspec.json.Decoder[Any] | None = None
    """Reads the properties that are needed, as values."""
    raw_decoder: msgspec.json.Decoder[Any] | None = None
    """The same, as JSON text each."""
    timed: bool = False
    """Whether the event's time is needed."""
    tells: bool = False
    """Whether these events tell something of the person, beside what moves traits: identify and group."""

    def values(self, event: Event) -> list[Any]:
        """What is taken of the event, each value made once; None where nothing can be taken; at the end, nothing."""
        read = self._read(event)
        if self.timed:
            read = (*read, times.to_text(event.timestamp))
        taken = [None if (value := read[place]) is None else make(value) for place, make in self.wanted]
        taken.append(None)
        return taken

    def _read(self, event: Event) -> tuple[Any, ...]:
        """The properties that are needed, decoded."""
        if self.decoder is None or self.raw_decoder is None:
            return ()
        try:
            return astuple(self.decoder.decode(event.properties))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidOperation):
            # One of them cannot be computed with; the others can.
            read = astuple(self.raw_decoder.decode(event.properties))
            return tuple(json_values.lenient(bytes(raw)) for raw in read)


NO_PLAN: Final = Plan()
_TELLING: Final = ("identify", "group")


Watchers = Mapping[tuple[str, str], tuple[Audience, ...]]


def plans_of(traits: Sequence[Trait], watchers: Watchers) -> dict[tuple[str, str | None], Plan]:
    """By type and name of an event: what such events do to these traits."""
    keys = dict.fromkeys([*((trait.type, trait.event) for trait in traits), *((one, None) for one in _TELLING)])
    moving = {key: [t for t in traits if t.type == key[0] and t.event in {None, key[1]}] for key in keys}
    return {key: dataclasses.replace(_plan(some, watchers), tells=key[0] in _TELLING) for key, some in moving.items()}


def _plan(traits: Sequence[Trait], watchers: Watchers) -> Plan:
    conditions = [trait.where for trait in traits if trait.where is not None]
    looked_at = [name for condition in conditions for _, name in subjects(condition)]
    names = list(dict.fromkeys([*(trait.property for trait in traits if trait.property is not None), *looked_at]))
    taken = [(trait, trait.kind.takes) for trait in traits if trait.kind.takes is not Takes.NOTHING]
    # A trait that takes no property takes the time, which comes after all properties.
    sought = {
        trait: (len(names) if trait.property is None else names.index(trait.property), takes) for trait, takes in taken
    }
    wanted = list(dict.fromkeys([*sought.values(), *((names.index(name), Takes.VALUE) for name in looked_at)]))
    readers = partial(_reader, {name: wanted.index((names.index(name), Takes.VALUE)) for name in looked_at})
    moves, guarded = list[Move](), list[Guarded]()
    for trait in traits:
        place = wanted.index(sought[trait]) if trait in sought else NOTHING
        watching = watchers.get((changes.TRAIT, trait.name), ())
        if trait.where is None and not isinstance(trait.kind, Windowed):
            moves.append(_move(trait, trait.kind, place, watching))
        else:
            shown = None if trait.hidden else trait.name
            holds = None if trait.where is None else compiled(trait.where, readers)
            guarded.append(Guarded(shown, trait.key, place, watching, trait.kind, holds))
    takers = tuple((place, MAKERS[takes]) for place, takes in wanted)
    timed = any(place == len(names) for place, _ in wanted)
    if not names:
        return Plan(tuple(moves), tuple(guarded), takers, timed=timed)
    as_values, as_text = _needed(names, Any, None), _needed(names, msgspec.Raw, msgspec.Raw(b""))
    decoder, raw_decoder = msgspec.json.Decoder(as_values, float_hook=Decimal), msgspec.json.Decoder(as_text)
    return Plan(tuple(moves), tuple(guarded), takers, decoder, raw_decoder, timed)


def _reader(places: Mapping[str, int], _subject: str, name: str) -> Callable[[list[Any]], Any]:
    """What reads a property among `Plan.values`."""
    return itemgetter(places[name])


def _move(trait: Trait, kind: TraitKind, place: int, watching: tuple[Audience, ...]) -> Move:
    plain = kind.plain and not kind.in_place
    shown = None if trait.hidden else trait.name
    return shown, trait.key, place, watching, kind.in_place, plain, kind.start, kind.add, kind.read


def _needed(names: Sequence[str], kind: Any, absent: Any) -> Any:
    """A struct of these properties; all others are passed over."""
    return msgspec.defstruct(
        "Needed",
        [(f"f{place}", kind, absent) for place in range(len(names))],
        rename={f"f{place}": name for place, name in enumerate(names)},
        gc=False,
    )

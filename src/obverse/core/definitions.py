"""Definitions: what the workspace's files say, checked and ready to be folded with."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import astuple

from obverse.core import changes, json_values, outgoing, times
from obverse.core.audiences import Audience, compiled, subjects
from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.matching import MatchingRules
from obverse.core.outgoing import Campaign, Connection, Known, Template
from obverse.core.tracking_plans import BadPlan, Held, Mode, TrackingPlan, held_sources
from obverse.core.traits.kind import MAKERS, Takes, TraitKind


class BadDefinition(ValueError):
    """A definition that cannot be used; the message names the file, the place and what to write."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends events."""

    name: str
    enabled: bool = True
    key_hashes: frozenset[str] = frozenset()
    """SHA-256 of each write key, in hexadecimal; the keys themselves are kept nowhere."""
    origins: frozenset[str] = frozenset()
    """Pages that may send, as `https://shop.example`; any, if none is named. Holds for browsers alone."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """What is not as for all sources, by the names in `wire.Limits`."""
    requests_per_second: int | None = None
    drops_bots: bool = False
    tracking_plan: tuple[str, tuple[int, int] | None, Mode] | None = None
    """What its events are held to: the plan's name, a version or None for the latest, what becomes of others."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Trait:
    """A value that is computed from events."""

    name: str
    kind: TraitKind
    key: str
    """Names the state in a profile: `kind:name:digest`, so that a changed definition starts anew."""
    type: str
    event: str | None
    property: str | None
    field: str | None
    description: str = ""
    code: int = dataclasses.field(init=False, compare=False, repr=False)
    """64 bits that stand for the key."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", trait_code(self.key))


def trait_code(key: str) -> int:
    """64 bits that stand for a trait's key where profiles are packed."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")


class Person(Protocol):
    """What an audience looks at of a profile."""

    @property
    def traits(self) -> Mapping[str, Any]:
        """State by `Trait.key`."""
        ...

    def told(self, attribute: str) -> bytes | None:
        """The value of an attribute as it was sent; None if there is none."""
        ...


NOTHING: Final = -1
"""The place of what a kind gets that takes nothing."""


Move = tuple[
    str,
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
A trait that events of one kind move: its name and key, the place of what it takes among `Plan.values` (or `NOTHING`),
the audiences that look at it; of its kind `in_place`, `plain` (and not in place), `start`, `add`, `read`. Looked up
once, not for each event; a bare tuple, for Python takes one with names apart field by field.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What events of one kind do to traits: which ones they move, and what must be read for it."""

    moves: tuple[Move, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that was defined. Never changes; a change of files makes another one."""

    traits: tuple[Trait, ...] = ()
    audiences: tuple[Audience, ...] = ()
    sources: tuple[Source, ...] = ()
    connections: tuple[Connection, ...] = ()
    templates: tuple[Template, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    tracking_plans: tuple[TrackingPlan, ...] = ()
    held: Mapping[str, Held] = field(default_factory=dict)
    """By source, the tracking plan that its events are held to."""
    identity: IdentityRules = field(default_factory=IdentityRules)
    matching: MatchingRules = field(default_factory=MatchingRules)
    source_of_key: Mapping[str, Source] = field(default_factory=dict)
    watchers: Mapping[tuple[str, str], tuple[Audience, ...]] = field(default_factory=dict)
    """Audiences by what they look at."""
    newcomers: tuple[Audience, ...] = ()
    """Audiences that hold while nothing is known of a person; a profile's first event has them judged."""
    holds: Mapping[str, Callable[[Person], bool]] = field(default_factory=dict)
    """By audience, whether somebody belongs in it."""
    trait_of_name: Mapping[str, Trait] = field(default_factory=dict)
    trait_of_key: Mapping[str, Trait] = field(default_factory=dict)
    trait_of_code: Mapping[int, Trait] = field(default_factory=dict)
    _plans: Mapping[tuple[str, str | None], Plan] = field(default_factory=lambda: _plans((), {}))

    def plan(self, event: Event) -> Plan:
        """What this event does to traits."""
        plans = self._plans
        return plans.get((event.type, event.name)) or plans.get((event.type, None)) or _NO_PLAN


_NO_PLAN: Final = Plan()
_TELLING: Final = ("identify", "group")


def define(
    *,
    traits: Iterable[Trait] = (),
    audiences: Iterable[Audience] = (),
    sources: Iterable[Source] = (),
    connections: Iterable[Connection] = (),
    templates: Iterable[Template] = (),
    campaigns: Iterable[Campaign] = (),
    tracking_plans: Iterable[TrackingPlan] = (),
    identity: IdentityRules | None = None,
    matching: MatchingRules | None = None,
) -> Definitions:
    """
    Make definitions ready for use.

    Raises:
        BadDefinition: one looks at what is not defined, or two have one name.
    """
    all_traits, all_audiences, all_sources = tuple(traits), tuple(audiences), tuple(sources)
    all_plans = tuple(tracking_plans)
    all_connections, all_templates, all_campaigns = tuple(connections), tuple(templates), tuple(campaigns)
    _check_names(
        trait=all_traits,
        audience=all_audiences,
        source=all_sources,
        connection=all_connections,
        template=all_templates,
        campaign=all_campaigns,
    )
    known = Known.of(all_traits, all_audiences, all_templates)
    for connection in all_connections:
        check_outgoing(connection, known)
    for campaign in all_campaigns:
        check_outgoing(campaign, known)
    try:
        held = held_sources({one.name: one.tracking_plan for one in all_sources if one.tracking_plan}, all_plans)
    except BadPlan as error:
        raise BadDefinition(str(error)) from error
    trait_of_name = {trait.name: trait for trait in all_traits}
    watchers = _watchers(all_audiences, known.traits)
    return Definitions(
        traits=all_traits,
        tracking_plans=all_plans,
        held=held,
        audiences=all_audiences,
        sources=all_sources,
        connections=all_connections,
        templates=all_templates,
        campaigns=all_campaigns,
        identity=identity or IdentityRules(),
        matching=matching or MatchingRules(),
        source_of_key={key: source for source in all_sources for key in source.key_hashes},
        watchers=watchers,
        newcomers=tuple(one for one in all_audiences if compiled(one.where, _unknown)(None)),
        holds={one.name: compiled(one.where, partial(reader, trait_of_name)) for one in all_audiences},
        trait_of_name=trait_of_name,
        trait_of_key={trait.key: trait for trait in all_traits},
        trait_of_code={trait.code: trait for trait in all_traits},
        _plans=_plans(all_traits, watchers),
    )


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def _check_names(**kinds: Sequence[_Named]) -> None:
    for kind, named in kinds.items():
        for name, count in Counter(one.name for one in named).items():
            if count > 1:
                raise BadDefinition(f"two definitions of {kind} {name!r}: rename or remove one")


def check_outgoing(one: Connection | Campaign, known: Known) -> None:
    """Raise `BadDefinition` if it looks at what is not defined."""
    try:
        if isinstance(one, Connection):
            outgoing.check_connection(one, known)
        else:
            outgoing.check_campaign(one, known)
    except outgoing.BadOutgoing as error:
        raise BadDefinition(f"{type(one).__name__.lower()} {one.name!r}: {error}") from error


def reader(traits: Mapping[str, Trait], subject: str, name: str) -> Callable[[Person], Any]:
    """What reads a trait, or an attribute, of a person; None while there is no value."""
    if subject == "attribute":

        def read_attribute(person: Person) -> Any:
            value = person.told(name)
            return None if value is None else json_values.lenient(value)

        return read_attribute
    trait = traits.get(name)
    if trait is None:
        return lambda _: None
    key, read = trait.key, trait.kind.read

    def read_trait(person: Person) -> Any:
        state = person.traits.get(key)
        return None if state is None else read(state)

    return read_trait


def _unknown(_subject: str, _name: str) -> Callable[[Any], Any]:
    """Of somebody of whom nothing is known."""
    return lambda _: None


def _watchers(
    all_audiences: Sequence[Audience], traits: Collection[str]
) -> dict[tuple[str, str], tuple[Audience, ...]]:
    watchers: dict[tuple[str, str], tuple[Audience, ...]] = {}
    for audience in all_audiences:
        check_subjects(audience, traits)
        for subject in dict.fromkeys(subjects(audience.where)):
            watchers[subject] = (*watchers.get(subject, ()), audience)
    return watchers


def check_subjects(audience: Audience, traits: Collection[str]) -> None:
    """Raise `BadDefinition` if the audience looks at a trait that is not defined."""
    for subject, name in subjects(audience.where):
        if subject == "trait" and name not in traits:
            known = ", ".join(sorted(traits)) or "none"
            raise BadDefinition(
                f"audience {audience.name!r} looks at trait {name!r}, which is not defined (defined: {known})"
            )


_Watchers = Mapping[tuple[str, str], tuple[Audience, ...]]


def _plans(traits: Sequence[Trait], watchers: _Watchers) -> dict[tuple[str, str | None], Plan]:
    keys = dict.fromkeys([*((trait.type, trait.event) for trait in traits), *((one, None) for one in _TELLING)])
    moving = {key: [t for t in traits if t.type == key[0] and t.event in {None, key[1]}] for key in keys}
    return {key: dataclasses.replace(_plan(some, watchers), tells=key[0] in _TELLING) for key, some in moving.items()}


def _plan(traits: Sequence[Trait], watchers: _Watchers) -> Plan:
    names = list(dict.fromkeys(trait.property for trait in traits if trait.property is not None))
    taken = [(trait, trait.kind.takes) for trait in traits if trait.kind.takes is not Takes.NOTHING]
    # A trait that takes no property takes the time, which comes after all properties.
    sought = {
        trait: (len(names) if trait.property is None else names.index(trait.property), takes) for trait, takes in taken
    }
    wanted = list(dict.fromkeys(sought.values()))
    moves = tuple(
        _move(
            trait,
            wanted.index(sought[trait]) if trait in sought else NOTHING,
            watchers.get((changes.TRAIT, trait.name), ()),
        )
        for trait in traits
    )
    takers = tuple((place, MAKERS[takes]) for place, takes in wanted)
    timed = any(place == len(names) for place, _ in wanted)
    if not names:
        return Plan(moves, takers, timed=timed)
    as_values, as_text = _needed(names, Any, None), _needed(names, msgspec.Raw, msgspec.Raw(b""))
    decoder, raw_decoder = msgspec.json.Decoder(as_values, float_hook=Decimal), msgspec.json.Decoder(as_text)
    return Plan(moves, takers, decoder, raw_decoder, timed)


def _move(trait: Trait, place: int, watching: tuple[Audience, ...]) -> Move:
    kind = trait.kind
    plain = kind.plain and not kind.in_place
    return trait.name, trait.key, place, watching, kind.in_place, plain, kind.start, kind.add, kind.read


def _needed(names: Sequence[str], kind: Any, absent: Any) -> Any:
    """A struct of these properties; all others are passed over."""
    return msgspec.defstruct(
        "Needed",
        [(f"f{place}", kind, absent) for place in range(len(names))],
        rename={f"f{place}": name for place, name in enumerate(names)},
        gc=False,
    )

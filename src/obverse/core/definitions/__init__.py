"""Definitions: what the workspace's files say, checked and ready to be folded with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from obverse.core import conditions, outgoing
from obverse.core.audiences import Audience, conditions_of
from obverse.core.conditions import (
    AUDIENCE,
    IDENTIFIER,
    OCCURRENCES,
    TRAIT,
    BadCondition,
    Condition,
    Explanation,
    did_you_mean,
)
from obverse.core.conditions.evaluation import Check, Due
from obverse.core.definitions.looking import Person, nothing_known, reader, remembered, standing
from obverse.core.definitions.traits import NO_PLAN, NOTHING, Guarded, Move, Plan, Trait, Watchers, plans_of, trait_code
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.matching import MatchingRules
from obverse.core.outgoing import Campaign, Connection, Known, Template
from obverse.core.tracking_plans import BadPlan, Held, Mode, TrackingPlan, held_sources
from obverse.core.traits.windows import Windowed

__all__ = (
    "NOTHING",
    "BadDefinition",
    "Definitions",
    "Guarded",
    "Move",
    "Person",
    "Plan",
    "Source",
    "Trait",
    "check_audiences",
    "check_condition",
    "check_outgoing",
    "define",
    "lacking",
    "reader",
    "trait_code",
)


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
    audience_of_name: Mapping[str, Audience] = field(default_factory=dict)
    newcomers: tuple[Audience, ...] = ()
    """Audiences that hold while nothing is known of a person; a profile's first event has them judged."""
    holds: Mapping[str, Check[Person]] = field(default_factory=dict)
    """By audience, whether somebody belongs in it at an instant."""
    changing: Mapping[str, Due[Person]] = field(default_factory=dict)
    """By audience, of those that time alone may change, when it may next."""
    remembered: tuple[Trait, ...] = ()
    """Traits that are there for conditions on events alone."""
    beside: tuple[Trait, ...] = ()
    """Traits that are computed before they are seen; see `definitions.arriving`."""
    beside_version: int = 0
    """Of which version of the definitions they are."""
    windowed: tuple[tuple[Trait, Windowed], ...] = ()
    """Traits that time alone may move, each with its kind."""
    trait_of_name: Mapping[str, Trait] = field(default_factory=dict)
    trait_of_key: Mapping[str, Trait] = field(default_factory=dict)
    trait_of_code: Mapping[int, Trait] = field(default_factory=dict)
    _plans: Mapping[tuple[str, str | None], Plan] = field(default_factory=lambda: plans_of((), {}))

    @property
    def timed(self) -> bool:
        """Whether time alone may change a profile."""
        return bool(self.windowed or self.changing)

    def plan(self, event: Event) -> Plan:
        """What this event does to traits."""
        plans = self._plans
        return plans.get((event.type, event.name)) or plans.get((event.type, None)) or NO_PLAN

    def explain(self, audience: Audience, person: Person, now: int) -> Explanation:
        """Why an audience's condition holds for a person at an instant, or does not."""
        readers = partial(reader, self.trait_of_name)
        return conditions.explain(
            audience.where, readers, person, now, conditions_of(self.audiences), standing=standing
        )


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
    beside: Iterable[Trait] = (),
    beside_version: int = 0,
) -> Definitions:
    """
    Make definitions ready for use; traits that stand `beside` are computed, and nobody sees them.

    Raises:
        BadDefinition: one looks at what is not defined, or two have one name.
    """
    said = Definitions(
        traits=tuple(traits),
        audiences=tuple(audiences),
        sources=tuple(sources),
        connections=tuple(connections),
        templates=tuple(templates),
        campaigns=tuple(campaigns),
        tracking_plans=tuple(tracking_plans),
        identity=identity or IdentityRules(),
        matching=matching or MatchingRules(),
        beside=tuple(beside),
        beside_version=beside_version,
    )
    _check(said)
    return _ready(said)


def _check(said: Definitions) -> None:
    """Raise `BadDefinition` if one looks at what is not defined, or two have one name."""
    _check_names(
        trait=said.traits,
        audience=said.audiences,
        source=said.sources,
        connection=said.connections,
        template=said.templates,
        campaign=said.campaigns,
    )
    known = Known.of(said.traits, said.audiences, said.templates)
    outward: tuple[Connection | Campaign, ...] = (*said.connections, *said.campaigns)
    for one in outward:
        check_outgoing(one, known)
    check_audiences(said.audiences, known.traits, said.identity.kinds)


def _held(said: Definitions) -> Mapping[str, Held]:
    asked = {one.name: one.tracking_plan for one in said.sources if one.tracking_plan}
    try:
        return held_sources(asked, said.tracking_plans)
    except BadPlan as error:
        raise BadDefinition(str(error)) from error


def _ready(said: Definitions) -> Definitions:
    """What was said, with all that is looked up in it."""
    all_traits, all_audiences = said.traits, said.audiences
    trait_of_name = {trait.name: trait for trait in all_traits}
    known_conditions = conditions_of(all_audiences)
    watchers = _watchers(known_conditions, all_audiences)
    hidden = tuple(remembered(need) for subject, need in watchers if subject == OCCURRENCES)
    every_trait = tuple({one.key: one for one in (*said.beside, *hidden, *all_traits)}.values())
    readers = partial(reader, trait_of_name)
    changing = {one.name: conditions.changing(one.where, readers, known_conditions) for one in all_audiences}
    return replace(
        said,
        held=_held(said),
        source_of_key={key: source for source in said.sources for key in source.key_hashes},
        watchers=watchers,
        audience_of_name={one.name: one for one in all_audiences},
        newcomers=tuple(
            one for one in all_audiences if conditions.compiled(one.where, nothing_known, known_conditions)(None, 0)
        ),
        holds={one.name: conditions.compiled(one.where, readers, known_conditions) for one in all_audiences},
        changing={name: due for name, due in changing.items() if due is not None},
        remembered=hidden,
        windowed=tuple((trait, trait.kind) for trait in all_traits if isinstance(trait.kind, Windowed)),
        trait_of_name=trait_of_name,
        trait_of_key={trait.key: trait for trait in every_trait},
        trait_of_code={trait.code: trait for trait in every_trait},
        _plans=plans_of(every_trait, _by_change(watchers)),
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


def _watchers(
    known: Mapping[str, Condition], all_audiences: Sequence[Audience]
) -> dict[tuple[str, Any], tuple[Audience, ...]]:
    watchers: dict[tuple[str, Any], tuple[Audience, ...]] = {}
    for audience in all_audiences:
        for subject in dict.fromkeys(conditions.subjects(audience.where, known)):
            watchers[subject] = (*watchers.get(subject, ()), audience)
    return watchers


def _by_change(watchers: Mapping[tuple[str, Any], tuple[Audience, ...]]) -> Watchers:
    """The same, with what remembers events by the name of its trait."""
    return {
        (TRAIT, remembered(name).name) if subject == OCCURRENCES else (subject, name): watching
        for (subject, name), watching in watchers.items()
    }


def check_audiences(audiences: Sequence[Audience], traits: Collection[str], kinds: Collection[str]) -> None:
    """Raise `BadDefinition` if an audience looks at what is not defined, or at itself."""
    known = conditions_of(audiences)
    try:
        conditions.no_circle(known)
    except BadCondition as error:
        raise BadDefinition(str(error)) from error
    for audience in audiences:
        for flaw in lacking(audience, traits, known, kinds):
            raise flaw


def lacking(
    audience: Audience, traits: Collection[str], audiences: Collection[str], kinds: Collection[str]
) -> Iterator[BadDefinition]:
    """Each trait, audience and kind of identifier that an audience looks at and that is not defined."""
    defined = {TRAIT: traits, AUDIENCE: audiences, IDENTIFIER: kinds}
    yield from _lacking(f"audience {audience.name!r}", audience.where, defined)


def check_condition(of: str, condition: Condition, definitions: Definitions) -> None:
    """Raise `BadDefinition` if a condition, which is called so, looks at what is not defined."""
    known = {TRAIT: definitions.trait_of_name, AUDIENCE: conditions_of(definitions.audiences)}
    for error in _lacking(of, condition, {**known, IDENTIFIER: definitions.identity.kinds}):
        raise error


def _lacking(of: str, condition: Condition, defined: Mapping[str, Collection[str]]) -> Iterator[BadDefinition]:
    for subject, name in dict.fromkeys(conditions.subjects(condition)):
        among = defined.get(subject)
        if among is not None and name not in among:
            known = ", ".join(sorted(among)) or "none"
            hint = did_you_mean(name, among)
            yield BadDefinition(f"{of} looks at {subject} {name!r}, which is not defined{hint} (defined: {known})")

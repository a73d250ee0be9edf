"""Definitions: what the workspace's files say, checked and ready to be folded with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec.structs import asdict, astuple

from obverse.core import audiences, json_values
from obverse.core.audiences import Audience
from obverse.core.events import TYPES, Event
from obverse.core.identity import IdentityRules
from obverse.core.traits.kind import TraitKind

VERSION: Final = "obverse/v1"


class BadDefinition(ValueError):
    """A definition that cannot be used; the message names the file, the place and what to write."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends events."""

    name: str
    enabled: bool = True
    key_hashes: frozenset[str] = frozenset()
    """SHA-256 of each write key, in hexadecimal; the keys themselves are kept nowhere."""


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


MOMENT: Final = -1
NOTHING: Final = -2


@dataclass(frozen=True, slots=True)
class Plan:
    """What events of one kind do to traits: which ones they move, and what must be read for it."""

    moves: tuple[tuple[Trait, int], ...] = ()
    """Each trait with the place of its value among `values`; `MOMENT` if it is the event's time, `NOTHING` if none."""
    decoder: msgspec.json.Decoder[Any] | None = None
    """Reads the properties that are needed, as values."""
    raw_decoder: msgspec.json.Decoder[Any] | None = None
    """The same, as JSON text each."""

    def values(self, properties: bytes) -> Sequence[Any]:
        """The properties that are needed, decoded, in their order; others are passed over."""
        if self.decoder is None or self.raw_decoder is None:
            return ()
        try:
            return astuple(self.decoder.decode(properties))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidOperation):
            # One of them cannot be computed with; the others can.
            return tuple(json_values.lenient(bytes(raw)) for raw in astuple(self.raw_decoder.decode(properties)))


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that was defined. Never changes; a change of files makes another one."""

    traits: tuple[Trait, ...] = ()
    audiences: tuple[Audience, ...] = ()
    sources: tuple[Source, ...] = ()
    identity: IdentityRules = field(default_factory=IdentityRules)
    source_of_key: Mapping[str, Source] = field(default_factory=dict)
    watchers: Mapping[tuple[str, str], tuple[Audience, ...]] = field(default_factory=dict)
    """Audiences by what they look at."""
    newcomers: tuple[Audience, ...] = ()
    """Audiences that hold while nothing is known of a person; a profile's first event has them judged."""
    trait_of_name: Mapping[str, Trait] = field(default_factory=dict)
    kind_of_key: Mapping[str, TraitKind] = field(default_factory=dict)
    _plans: Mapping[tuple[str, str | None], Plan] = field(default_factory=dict)

    def plan(self, event: Event) -> Plan:
        """What this event does to traits."""
        plans = self._plans
        return plans.get((event.type, event.name)) or plans.get((event.type, None)) or _NO_PLAN


_NO_PLAN: Final = Plan()


def define(
    *,
    traits: Iterable[Trait] = (),
    audiences: Iterable[Audience] = (),
    sources: Iterable[Source] = (),
    identity: IdentityRules | None = None,
) -> Definitions:
    """
    Make definitions ready for use.

    Raises:
        BadDefinition: an audience looks at a trait that is not defined, or two have one name.
    """
    all_traits, all_audiences, all_sources = tuple(traits), tuple(audiences), tuple(sources)
    for what, names in (
        ("trait", [trait.name for trait in all_traits]),
        ("audience", [audience.name for audience in all_audiences]),
        ("source", [source.name for source in all_sources]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise BadDefinition(f"two definitions of {what} {name!r}: rename or remove one")
    return Definitions(
        traits=all_traits,
        audiences=all_audiences,
        sources=all_sources,
        identity=identity or IdentityRules(),
        source_of_key={key: source for source in all_sources for key in source.key_hashes},
        watchers=_watchers(all_audiences, {trait.name for trait in all_traits}),
        newcomers=tuple(one for one in all_audiences if one.holds(lambda _subject, _name: None)),
        trait_of_name={trait.name: trait for trait in all_traits},
        kind_of_key={trait.key: trait.kind for trait in all_traits},
        _plans=_plans(all_traits),
    )


def _watchers(all_audiences: Sequence[Audience], traits: set[str]) -> dict[tuple[str, str], tuple[Audience, ...]]:
    watchers: dict[tuple[str, str], tuple[Audience, ...]] = {}
    for audience in all_audiences:
        _check_subjects(audience, traits)
        for subject in dict.fromkeys(audiences.subjects(audience.where)):
            watchers[subject] = (*watchers.get(subject, ()), audience)
    return watchers


def _check_subjects(audience: Audience, traits: set[str]) -> None:
    for subject, name in audiences.subjects(audience.where):
        if subject == "trait" and name not in traits:
            known = ", ".join(sorted(traits)) or "none"
            raise BadDefinition(
                f"audience {audience.name!r} looks at trait {name!r}, which is not defined (defined: {known})"
            )


def _plans(traits: Sequence[Trait]) -> dict[tuple[str, str | None], Plan]:
    keys = dict.fromkeys((trait.type, trait.event) for trait in traits)
    return {key: _plan([t for t in traits if t.type == key[0] and t.event in {None, key[1]}]) for key in keys}


def _plan(traits: Sequence[Trait]) -> Plan:
    names = list(dict.fromkeys(trait.property for trait in traits if trait.property is not None))
    moves = tuple((trait, _place(trait, names)) for trait in traits)
    if not names:
        return Plan(moves)
    as_values, as_text = _needed(names, Any, None), _needed(names, msgspec.Raw, msgspec.Raw(b""))
    return Plan(moves, msgspec.json.Decoder(as_values, float_hook=Decimal), msgspec.json.Decoder(as_text))


def _place(trait: Trait, names: Sequence[str]) -> int:
    if trait.property is not None:
        return names.index(trait.property)
    return NOTHING if trait.field is None else MOMENT


def _needed(names: Sequence[str], kind: Any, absent: Any) -> Any:
    """A struct of these properties; all others are passed over."""
    return msgspec.defstruct(
        "Needed",
        [(f"f{place}", kind, absent) for place in range(len(names))],
        rename={f"f{place}": name for place, name in enumerate(names)},
        gc=False,
    )


class _Metadata(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    labels: dict[str, str] = {}


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal["obverse/v1"]
    kind: Literal["trait", "audience", "source", "identity"]
    metadata: _Metadata
    spec: dict[str, Any]


class _TraitSpec(msgspec.Struct, forbid_unknown_fields=True):
    aggregate: str
    event: str | None = None
    type: str = "track"
    property: str | None = None
    field: Literal["timestamp"] | None = None


class _AudienceSpec(msgspec.Struct, forbid_unknown_fields=True):
    where: Any


class _SourceSpec(msgspec.Struct, forbid_unknown_fields=True):
    write_key_hashes: list[Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]] = []
    enabled: bool = True


class _IdentitySpec(msgspec.Struct, forbid_unknown_fields=True):
    blocked: list[str] = []


_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_EXPECTED: Final[Mapping[type[msgspec.Struct], str]] = {
    _Document: (
        f"a document has `version: {VERSION}`, `kind` (trait, audience, source or identity), "
        "`metadata` (name, description, labels) and `spec`"
    ),
    _TraitSpec: "a trait has `aggregate`, and may have `type`, `event`, `property` or `field: timestamp`",
    _AudienceSpec: "an audience has `where`, a condition",
    _SourceSpec: (
        "a source may have `enabled` and `write_key_hashes`, each a SHA-256 in 64 digits of lower-case "
        "hexadecimal (`obverse source add NAME` writes it)"
    ),
    _IdentitySpec: "identity rules have `blocked`, a list of texts",
}


def _read_as(shape: type[_Shape], tree: Any, where: str) -> _Shape:
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        flaw, _, path = str(error).partition(" - at `$")
        place = (where + path.removesuffix("`")).removeprefix(".")
        raise BadDefinition(f"{place or 'the document'}: {flaw}; {_EXPECTED[shape]}") from error


def read(documents: Iterable[tuple[str, Any]], kinds: Mapping[str, TraitKind]) -> Definitions:
    """
    Read definitions from decoded YAML documents, each with the place it came from.

    Raises:
        BadDefinition: names the place, what is wrong there and what to write.
    """
    traits, groups, sources, blocked = [], [], [], []
    places: dict[tuple[str, str], str] = {}
    for place, tree in documents:
        try:
            document = _read_as(_Document, tree, "")
            name = document.metadata.name
            other = places.setdefault((document.kind, name), place)
            if other != place:
                raise BadDefinition(f"{document.kind} {name!r} is defined in {other} too; rename or remove one")
            match document.kind:
                case "trait":
                    spec = _read_as(_TraitSpec, document.spec, "spec")
                    traits.append(_trait(name, document.metadata.description, spec, kinds))
                case "audience":
                    where = _read_as(_AudienceSpec, document.spec, "spec").where
                    groups.append(Audience(name, audiences.parse(where, "spec.where")))
                case "source":
                    source = _read_as(_SourceSpec, document.spec, "spec")
                    sources.append(Source(name, source.enabled, frozenset(source.write_key_hashes)))
                case "identity":
                    blocked.extend(_read_as(_IdentitySpec, document.spec, "spec").blocked)
        except ValueError as error:
            raise BadDefinition(f"{place}: {error}") from error
    for audience in groups:
        try:
            _check_subjects(audience, {trait.name for trait in traits})
        except BadDefinition as error:
            raise BadDefinition(f"{places['audience', audience.name]}: {error}") from error
    return define(traits=traits, audiences=groups, sources=sources, identity=IdentityRules(blocked=frozenset(blocked)))


_UNREADABLE: Final = re.compile(r'["\\\x00-\x1f]')


def _trait(name: str, description: str, spec: _TraitSpec, kinds: Mapping[str, TraitKind]) -> Trait:
    kind = kinds.get(spec.aggregate)
    if kind is None:
        raise BadDefinition(f"spec.aggregate: {spec.aggregate!r} is not known; use one of {', '.join(sorted(kinds))}")
    if spec.type not in TYPES:
        raise BadDefinition(f"spec.type: {spec.type!r} is no call; use one of {', '.join(sorted(TYPES))}")
    if kind.takes_value and (spec.property is None) == (spec.field is None):
        raise BadDefinition(
            f"spec: `{spec.aggregate}` needs a value: give `property: NAME` or `field: timestamp`, and not both"
        )
    if not kind.takes_value and (spec.property, spec.field) != (None, None):
        raise BadDefinition(f"spec: `{spec.aggregate}` takes no value; remove `property` and `field`")
    if spec.property is not None and _UNREADABLE.search(spec.property):
        raise BadDefinition(f"spec.property: {spec.property!r} has a quote, a backslash or a control character in it")
    # Only what was said, so that a field which a later release adds does not make every state start anew.
    plain = _TraitSpec(spec.aggregate)
    said = {part: value for part, value in asdict(spec).items() if value != getattr(plain, part)}
    digest = blake2b(msgspec.json.encode(said), digest_size=4).hexdigest()
    return Trait(
        name=name,
        kind=kind,
        key=f"{spec.aggregate}:{name}:{digest}",
        type=spec.type,
        event=spec.event,
        property=spec.property,
        field=spec.field,
        description=description,
    )

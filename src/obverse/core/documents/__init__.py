"""Documents: definitions as they are written in YAML, read and told apart by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import asdict

from obverse.core import conditions, outgoing
from obverse.core.audiences import Audience
from obverse.core.definitions import (
    BadDefinition,
    Definitions,
    Source,
    Trait,
    check_outgoing,
    define,
    lacking,
)
from obverse.core.documents.identity import EXPECTED as IDENTITY_EXPECTED
from obverse.core.documents.identity import IdentitySpec, identity_rules
from obverse.core.documents.places import quoted
from obverse.core.documents.reading import Shape, read_as
from obverse.core.documents.traits import EXPECTED as TRAIT_EXPECTED
from obverse.core.documents.traits import TraitSpec, trait
from obverse.core.identity import IdentityRules
from obverse.core.matching import MatchingRules
from obverse.core.matching.documents import EXPECTED, MatchingSpec, rules_of
from obverse.core.outgoing import Campaign, CampaignSpec, Connection, ConnectionSpec, Known, Template, TemplateSpec
from obverse.core.tracking_plans import BadPlan, Mode, PlannedCall, TrackingPlan, planned_call, version_of
from obverse.core.traits.kind import TraitKind

VERSION: Final = "obverse/v1"


class _Metadata(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    labels: dict[str, str] = {}


class DocumentShape(msgspec.Struct, forbid_unknown_fields=True):
    """Every document, whatever its kind."""

    version: Literal["obverse/v1"]
    kind: Literal[
        "trait", "audience", "source", "identity", "connection", "template", "campaign", "tracking_plan", "matching"
    ]
    metadata: _Metadata
    spec: dict[str, Any]


class _AudienceSpec(msgspec.Struct, forbid_unknown_fields=True):
    where: Any


_KeyHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Origin = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#\s]+$")]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class _LimitsSpec(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    event_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)] | None = None
    batch_bytes: Annotated[int, msgspec.Meta(ge=1024, le=16 << 20)] | None = None
    batch_items: _Count | None = None
    message_id_characters: _Count | None = None
    group_id_characters: _Count | None = None
    properties: _Count | None = None
    requests_per_second: _Count | None = None


_Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}$")]


class _HeldSpec(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    mode: Mode = "block"
    version: _Version | None = None


class _CallSpec(msgspec.Struct, forbid_unknown_fields=True):
    type: str = "track"
    event: str | None = None
    name: str | None = None
    description: str = ""
    schema: dict[str, Any] = {}


class _PlanSpec(msgspec.Struct, forbid_unknown_fields=True):
    version: _Version
    calls: Annotated[list[_CallSpec], msgspec.Meta(min_length=1)]


class _SourceSpec(msgspec.Struct, forbid_unknown_fields=True):
    # Two at most: the one that is handed out, and the one that is being replaced.
    write_key_hashes: Annotated[list[_KeyHash], msgspec.Meta(max_length=2)] = []
    enabled: bool = True
    allowed_origins: list[_Origin] = []
    limits: _LimitsSpec = msgspec.field(default_factory=_LimitsSpec)
    bots: Literal["keep", "drop"] = "keep"
    tracking_plan: _HeldSpec | None = None


_EXPECTED: Final[Mapping[type[msgspec.Struct], str]] = {
    DocumentShape: (
        f"a document has `version: {VERSION}`, `kind` (trait, audience, source, identity, connection, template, "
        "campaign, tracking_plan or matching), `metadata` (name, description, labels) and `spec`"
    ),
    TraitSpec: TRAIT_EXPECTED,
    _AudienceSpec: "an audience has `where`, a condition",
    _SourceSpec: (
        "a source may have `enabled` and `write_key_hashes`, each a SHA-256 in 64 digits of lower-case "
        "hexadecimal (`obverse source add NAME` writes it, `obverse source rotate NAME` a second one), "
        "`allowed_origins` such as https://shop.example, `limits` (event_bytes, batch_bytes, batch_items, "
        "message_id_characters, group_id_characters, properties, requests_per_second), `bots: drop` and "
        "`tracking_plan` (name, mode: block, omit or allow, version)"
    ),
    _PlanSpec: (
        "a tracking plan has `version`, such as '1.0' in quotes, and `calls`, each with `event` (or `type`, and `name` "
        "for a page or screen), `description` and `schema`, the JSON Schema of its properties or traits"
    ),
    MatchingSpec: EXPECTED,
    IdentitySpec: IDENTITY_EXPECTED,
    ConnectionSpec: "a connection has `crm`, `settings` and `fields`, each the CRM's name of a field and what it holds",
    TemplateSpec: "a template has `subject`, `from`, and `mjml`, `mjml_file` or `text`",
    CampaignSpec: "a campaign has `trigger: entered AUDIENCE` and `template`",
}


SPECS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "trait": TraitSpec,
    "audience": _AudienceSpec,
    "source": _SourceSpec,
    "identity": IdentitySpec,
    "connection": ConnectionSpec,
    "template": TemplateSpec,
    "campaign": CampaignSpec,
    "tracking_plan": _PlanSpec,
    "matching": MatchingSpec,
}
"""The shape of each kind's `spec`."""


def expected(shape: type[msgspec.Struct]) -> str:
    """What may stand in a document, or in a spec, in words."""
    return _EXPECTED[shape]


def _read(shape: type[Shape], tree: Any, where: str) -> Shape:
    return read_as(shape, tree, where, _EXPECTED[shape])


@dataclass(slots=True)
class Found:
    """What the documents define, and where."""

    kinds: Mapping[str, TraitKind]
    unusable: set[tuple[str, str]] = field(default_factory=set)
    """Kind and name of what is defined, but not so that it can be used: who refers to it is not to blame."""
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    traits: list[Trait] = field(default_factory=list)
    audiences: list[Audience] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    plans: list[TrackingPlan] = field(default_factory=list)
    identity: IdentityRules = field(default_factory=IdentityRules)
    matching: MatchingRules = field(default_factory=MatchingRules)

    def add(self, place: str, document: DocumentShape) -> None:
        """Read one document by its kind."""
        name, about, spec = document.metadata.name, document.metadata.description, document.spec
        one = name
        if document.kind == "tracking_plan":
            self.plans.append(_plan(name, about, _read(_PlanSpec, spec, "spec")))
            one = self.plans[-1].title  # of which there may be many versions
        other = self.places.setdefault((document.kind, one), place)
        if other != place:
            raise BadDefinition(f"{document.kind} {one!r} is defined in {other} too; rename or remove one")
        match document.kind:
            case "trait":
                self.traits.append(trait(name, about, spec, self.kinds))
            case "audience":
                where = _read(_AudienceSpec, spec, "spec").where
                self.audiences.append(Audience(name, conditions.parse(where, "spec.where"), about))
            case "source":
                source = _read(_SourceSpec, spec, "spec")
                self.sources.append(_source(name, about, source))
            case "identity":
                self.identity = identity_rules(spec, self.identity)
            case "matching":
                self.matching = rules_of(_read(MatchingSpec, spec, "spec"), self.matching)
            case "connection" | "template" | "campaign":
                self._add_outgoing(name, document.kind, spec)

    def _add_outgoing(self, name: str, kind: str, spec: dict[str, Any]) -> None:
        match kind:
            case "connection":
                self.connections.append(outgoing.connection(name, _read(ConnectionSpec, spec, "spec")))
            case "template":
                self.templates.append(_checked(outgoing.template(name, _read(TemplateSpec, spec, "spec"))))
            case "campaign":
                self.campaigns.append(outgoing.campaign(name, _read(CampaignSpec, spec, "spec")))

    def disagreements(self) -> Iterator[tuple[str, BadDefinition]]:
        """Hold what looks at something against what is defined; each that fails with its place."""
        known = Known.of(self.traits, self.audiences, self.templates)
        known = Known(*({*ones, *self._unusable(kind)} for kind, ones in zip(_REFERRED, astuple(known), strict=True)))
        for audience in self.audiences:
            for error in lacking(audience, known.traits, known.audiences, self.identity.kinds):
                yield self.places["audience", audience.name], error
        outward: list[Connection | Campaign] = [*self.connections, *self.campaigns]
        for one in outward:
            for error in _outgoing_lacking(one, known):
                yield self.places[type(one).__name__.lower(), one.name], error

    def _unusable(self, kind: str) -> Iterator[str]:
        return (name for one, name in self.unusable if one == kind)

    def definitions(self) -> Definitions:
        """
        All of it, ready for use.

        Raises:
            BadDefinition: names the place, what is wrong there and what to write.
        """
        for place, error in self.disagreements():
            raise BadDefinition(f"{place}: {error}") from error
        return define(
            traits=self.traits,
            audiences=self.audiences,
            sources=self.sources,
            connections=self.connections,
            templates=self.templates,
            campaigns=self.campaigns,
            tracking_plans=self.plans,
            identity=self.identity,
            matching=self.matching,
        )


def _outgoing_lacking(one: Connection | Campaign, known: Known) -> Iterator[BadDefinition]:
    """All that it looks at and that is not defined: what was told counts as defined, to come to the next."""
    for _ in range(_MOST_LACKING):
        try:
            check_outgoing(one, known)
        except BadDefinition as error:
            yield error
            told = set(quoted(str(error)))
            known = Known(*({*names, *told} for names in astuple(known)))
        else:
            return


_MOST_LACKING: Final = 100
_REFERRED: Final = ("trait", "audience", "template")
"""Kinds, as in `Known`."""


def read(documents: Iterable[tuple[str, Any]], kinds: Mapping[str, TraitKind]) -> Definitions:
    """
    Read definitions from decoded YAML documents, each with the place it came from.

    Raises:
        BadDefinition: names the place, what is wrong there and what to write.
    """
    found = Found(kinds)
    for place, tree in documents:
        try:
            found.add(place, _read(DocumentShape, tree, ""))
        except ValueError as error:
            raise BadDefinition(f"{place}: {error}") from error
    return found.definitions()


def _checked(template: Template) -> Template:
    # Imported where there is one: Liquid and MJML take a fifth of a second, and few commands need them.
    from obverse.core.templates import BadTemplate, CompiledTemplate

    try:
        CompiledTemplate(template)
    except BadTemplate as error:
        raise BadDefinition(str(error)) from error
    return template


def _held(spec: _HeldSpec | None) -> tuple[str, tuple[int, int] | None, Mode] | None:
    if spec is None:
        return None
    return spec.name, version_of(spec.version) if spec.version else None, spec.mode


def _plan(name: str, description: str, spec: _PlanSpec) -> TrackingPlan:
    calls: dict[tuple[str, str | None], PlannedCall] = {}
    for place, one in enumerate(spec.calls):
        if one.event is not None and (one.type != "track" or one.name is not None):
            raise BadDefinition(f"spec.calls[{place}]: `event` is a track's; use `name` for a {one.type}")
        key = (one.type, one.event or one.name)
        if key in calls:
            raise BadDefinition(f"spec.calls[{place}]: {key[0]} {key[1]!r} is planned above already; remove one")
        try:
            calls[key] = planned_call(*key, one.schema, one.description)
        except BadPlan as error:
            raise BadDefinition(f"spec.calls[{place}].{error}") from error
    return TrackingPlan(name, version_of(spec.version), calls, description)


def _source(name: str, description: str, spec: _SourceSpec) -> Source:
    limits = {part: value for part, value in asdict(spec.limits).items() if value is not None}
    return Source(
        name,
        spec.enabled,
        frozenset(spec.write_key_hashes),
        origins=frozenset(spec.allowed_origins),
        requests_per_second=limits.pop("requests_per_second", None),
        limits=limits,
        drops_bots=spec.bots == "drop",
        tracking_plan=_held(spec.tracking_plan),
        description=description,
    )

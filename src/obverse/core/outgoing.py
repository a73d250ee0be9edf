"""What goes out: connections with their mappings, templates, campaigns, as their definitions say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import msgspec

Direction = Literal["both", "out", "in"]
"""Of a field: `both` ways; `out`, to the CRM alone; `in`, from the CRM alone."""

SUBJECTS: Final = ("attribute", "trait", "audience")
_TOLD: Final = "attribute.NAME, trait.NAME or audience.NAME"
_BREAKS: Final = re.compile(r"[\r\n\0\u0085\u2028\u2029]")
_ADDRESS: Final = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>\s@]+@[^<>\s@]+)>|(?P<bare>[^<>\s@]+@[^<>\s@]+)")


class BadOutgoing(ValueError):
    """A definition of what goes out that cannot be used; the message names the place in it and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedField:
    """One field of a CRM's contacts, and what of a profile it holds."""

    field: str
    """The CRM's name of it."""
    subject: str
    """`attribute`, `trait` or `audience`."""
    name: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A configured CRM."""

    name: str
    crm: str
    """The adapter: an entry point of the group `obverse.crm`."""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The adapter's own; secrets stand here as `${env:NAME}` or `${file:PATH}`."""
    fields: tuple[MappedField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A message's text before it is anybody's: Liquid, and MJML around it."""

    name: str
    subject: str
    sender: str
    sender_name: str = ""
    mjml: str = ""
    text: str = ""
    """The plain part; made from the other one if it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A message to everybody who enters an audience, once an entry."""

    name: str
    audience: str
    template: str


class ConnectionSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The `spec` of a connection."""

    crm: str
    fields: dict[str, Any]
    settings: dict[str, Any] = {}


class TemplateSpec(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from"}):
    """The `spec` of a template."""

    subject: str
    sender: str
    mjml: str = ""
    mjml_file: str = ""
    """Relative to the definition's file; whoever reads the files puts what it holds into `mjml`."""
    text: str = ""


class CampaignSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The `spec` of a campaign."""

    trigger: str
    template: str


class _FieldSpec(msgspec.Struct, forbid_unknown_fields=True, rename={"source": "from"}):
    source: str
    direction: Direction | None = None


def connection(name: str, spec: ConnectionSpec) -> Connection:
    """
    Read a connection.

    Raises:
        BadOutgoing: names the field and what to write.
    """
    fields = tuple(_mapped(one, said, f"spec.fields.{one}") for one, said in spec.fields.items())
    for one in fields:
        twins = [other.field for other in fields if (other.subject, other.name) == (one.subject, one.name)]
        if one.direction != "out" and len(twins) > 1:
            raise BadOutgoing(
                f"spec.fields: {one.subject} {one.name!r} is mapped to {' and '.join(twins)}: "
                "set `direction: out` on all but one, since their edits would overwrite each other"
            )
    return Connection(name=name, crm=spec.crm, settings=spec.settings, fields=fields)


def _mapped(name: str, said: Any, place: str) -> MappedField:
    if name == "email":
        raise BadOutgoing(f"{place}: a contact's address is always written; leave it out")
    try:
        spec = _FieldSpec(said) if isinstance(said, str) else msgspec.convert(said, _FieldSpec)
    except msgspec.ValidationError as error:
        raise BadOutgoing(f"{place}: {error}; write `{name}: {_TOLD}`, or `from` and `direction`") from error
    subject, _, source = spec.source.partition(".")
    if subject not in SUBJECTS or not source:
        raise BadOutgoing(f"{place}: {spec.source!r} is nothing of a profile; write {_TOLD}")
    if subject != "attribute" and spec.direction in {"both", "in"}:
        raise BadOutgoing(f"{place}: {subject}s are computed, so nobody else can write them; set `direction: out`")
    return MappedField(
        field=name,
        subject=subject,
        name=source,
        direction=spec.direction or ("both" if subject == "attribute" else "out"),
    )


def template(name: str, spec: TemplateSpec) -> Template:
    """
    Read a template. Whether its Liquid and MJML are sound, `core.templates` says.

    Raises:
        BadOutgoing: names the field and what to write.
    """
    for place, value in (("spec.subject", spec.subject), ("spec.from", spec.sender)):
        if _BREAKS.search(value):
            raise BadOutgoing(f"{place}: a header has no line break; write it on one line, without `|` and `>`")
    found = _ADDRESS.fullmatch(spec.sender.strip())
    if found is None:
        raise BadOutgoing(
            f"spec.from: {spec.sender!r} is no address; write name@example.com or Name <name@example.com>"
        )
    if not spec.subject.strip():
        raise BadOutgoing("spec.subject: it is empty; write what people see first")
    if not (spec.mjml or spec.text):
        raise BadOutgoing("spec: there is nothing to read; write `mjml`, `mjml_file` or `text`")
    return Template(
        name=name,
        subject=spec.subject,
        sender=found["bare"] or found["address"],
        sender_name=(found["name"] or "").strip().strip('"'),
        mjml=spec.mjml,
        text=spec.text,
    )


def campaign(name: str, spec: CampaignSpec) -> Campaign:
    """
    Read a campaign.

    Raises:
        BadOutgoing: names the field and what to write.
    """
    verb, _, audience = spec.trigger.partition(" ")
    if verb != "entered" or not audience.strip():
        raise BadOutgoing(f"spec.trigger: {spec.trigger!r} is no trigger; write `entered AUDIENCE`")
    return Campaign(name=name, audience=audience.strip(), template=spec.template)


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Names that are defined, by kind."""

    traits: Collection[str]
    audiences: Collection[str]
    templates: Collection[str]

    @classmethod
    def of(cls, traits: Iterable[Named], audiences: Iterable[Named], templates: Iterable[Named]) -> Known:
        """The names of these."""
        return cls(*({one.name for one in ones} for ones in (traits, audiences, templates)))


def check_connection(one: Connection, known: Known) -> None:
    """Raise `BadOutgoing` if a field is mapped to what is not defined."""
    for mapped in one.fields:
        names = {"trait": known.traits, "audience": known.audiences}.get(mapped.subject)
        if names is not None and mapped.name not in names:
            raise BadOutgoing(
                f"spec.fields.{mapped.field}: {mapped.subject} {mapped.name!r} is not defined "
                f"(defined: {', '.join(sorted(names)) or 'none'})"
            )


def check_campaign(one: Campaign, known: Known) -> None:
    """Raise `BadOutgoing` if its audience or template is not defined."""
    for place, what, name, names in (
        ("trigger", "audience", one.audience, known.audiences),
        ("template", "template", one.template, known.templates),
    ):
        if name not in names:
            raise BadOutgoing(
                f"spec.{place}: {what} {name!r} is not defined (defined: {', '.join(sorted(names)) or 'none'})"
            )

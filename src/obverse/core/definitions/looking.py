"""What conditions see of a person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from obverse.core import json_values
from obverse.core.conditions import ATTRIBUTE, CONSENT, GROUP, IDENTIFIER, OCCURRENCES, Member, Need, as_tree
from obverse.core.definitions.traits import Trait
from obverse.core.traits.occurrences import Occurrences


class Standing(Protocol):
    """How somebody stands to an audience."""

    @property
    def member(self) -> bool: ...  # noqa: D102 - as the class says
    @property
    def number(self) -> int:
        """How often they have entered."""
        ...

    @property
    def since(self) -> int:
        """When they entered or left it last, in microseconds since 1970."""
        ...


class Person(Protocol):
    """What is looked at of a profile."""

    @property
    def traits(self) -> Mapping[str, Any]:
        """State by `Trait.key`."""
        ...

    @property
    def identifiers(self) -> Collection[str]:
        """`kind:value` each."""
        ...

    @property
    def groups(self) -> Collection[str]:
        """Ids of those that the person is a member of."""
        ...

    @property
    def audiences(self) -> Mapping[str, Standing]:
        """How the person stands to those audiences that they have ever been in."""
        ...

    def told(self, attribute: str) -> bytes | None:
        """The value of an attribute as it was sent; None if there is none."""
        ...

    def consented(self, purpose: str) -> bool | None:
        """Whether the person has allowed something; None if nothing was said of it."""
        ...


def reader(traits: Mapping[str, Trait], subject: str, name: Any) -> Callable[[Person], Any]:
    """What reads a value of a person; None while there is none. See `conditions.evaluation.Readers`."""
    if subject == ATTRIBUTE:
        return lambda person: None if (value := person.told(name)) is None else json_values.lenient(value)
    if subject == IDENTIFIER:
        beginning = f"{name}:"
        return lambda person: [one[len(beginning) :] for one in person.identifiers if one.startswith(beginning)]
    if subject == GROUP:
        return lambda person: name in person.groups
    if subject == CONSENT:
        return lambda person: person.consented(name)
    trait = remembered(name) if subject == OCCURRENCES else traits.get(name)
    return (lambda _: None) if trait is None else _states(trait)


def _states(trait: Trait) -> Callable[[Person], Any]:
    key, read = trait.key, trait.kind.read

    def read_trait(person: Person) -> Any:
        state = person.traits.get(key)
        return None if state is None else read(state)

    return read_trait


def standing(person: Person, member: Member) -> Sequence[str] | Standing | None:
    """The ids of all groups that a person is in; or how they stand to an audience, None if they never were in it."""
    return sorted(person.groups) if member.subject == GROUP else person.audiences.get(member.name)


def nothing_known(subject: str, _name: Any) -> Callable[[Any], Any]:
    """What reads somebody of whom nothing is known."""
    nothing: Any = () if subject in {IDENTIFIER, OCCURRENCES} else None
    return lambda _: nothing


def remembered(need: Need) -> Trait:
    """The trait, which nobody is shown, that remembers what a condition on events needs."""
    events = need.events
    said = json_values.encode(
        [
            *(events.type, events.event, need.keep, need.horizon),
            None if events.where is None else as_tree(events.where),
        ]
    )
    digest = blake2b(said, digest_size=8).hexdigest()
    return Trait(
        name=f"occurrences:{digest}",
        kind=Occurrences(need.keep, need.horizon),
        key=f"occurrences:{digest}",
        type=events.type,
        event=events.event,
        property=None,
        field=None,
        hidden=True,
        where=events.where,
    )

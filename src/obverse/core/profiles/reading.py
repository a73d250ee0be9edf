"""What can be read of a profile: values, and the JSON that people and SQL see."""

from __future__ import annotations

from typing import Any

import msgspec

from obverse.core import json_values, times
from obverse.core.definitions import Definitions, reader
from obverse.core.identity import REFUSED, Edge
from obverse.core.profiles.profile import Profile
from obverse.core.traits.kind import is_approximate


def value_of(profile: Profile, subject: str, name: str, definitions: Definitions) -> Any:
    """The value of a trait or an attribute, or None while there is none."""
    return reader(definitions.trait_of_name, subject, name)(profile)


def computed_traits(profile: Profile, definitions: Definitions) -> dict[str, Any]:
    """Every trait that has a value, as one flat object."""
    states, values = profile.traits, {}
    for trait in definitions.traits:
        state = states.get(trait.key)
        if state is not None:
            value = trait.kind.read(state)
            if value is not None:
                values[trait.name] = value
    return values


def approximate_traits(profile: Profile, definitions: Definitions) -> list[str]:
    """The traits whose value is about right only, in order of their names."""
    states = profile.traits
    return sorted(
        trait.name
        for trait in definitions.traits
        if (state := states.get(trait.key)) is not None and is_approximate(trait.kind, state)
    )


def identity_graph(profile: Profile) -> dict[str, Any]:
    """The identifiers and the evidence that ties them, in an order of its own, for people and SQL to read."""
    to_text, shown = times.to_text, []
    for identifier, (at, event) in sorted(profile.sightings.items()):
        kind, _, value = identifier.partition(":")
        shown.append({"kind": kind, "value": value, "first_seen": to_text(at), "event": event})
    return {
        "identifiers": shown,
        "edges": [_edge(edge) for _, edge in sorted(profile.edges.items()) if not edge.refused],
        # What has come together since then by other evidence is tied after all.
        "refused": [
            _edge(edge)
            for ends, edge in sorted(profile.edges.items())
            if edge.refused and not profile.identifiers.keys() >= set(ends)
        ],
    }


def _edge(edge: Edge) -> dict[str, str]:
    rule = edge.rule.removeprefix(REFUSED)
    return {"a": edge.a, "b": edge.b, "event": edge.event, "rule": rule, "at": times.to_text(edge.at)}


def state_of(profile: Profile, definitions: Definitions) -> dict[str, Any]:
    """
    What two runs over one log must agree on, field by field, whatever their order: for comparing.

    Leaves out the id, which depends on what was seen first, how often an audience was entered, and the version,
    which speaks of places in the log.
    """
    return {
        "identifiers": profile.identifiers,
        "sightings": profile.sightings,
        "attributes": profile.attributes,
        "groups": profile.groups,
        "consents": profile.consents,
        "traits": computed_traits(profile, definitions),
        "audiences": sorted(name for name, standing in profile.audiences.items() if standing.member),
        "seen": profile.seen.recent().keys(),
        "first": profile.first,
        "events": profile.events,
    }


def consents_text(profile: Profile) -> bytes:
    """What the person has allowed, by purpose, in one JSON object."""
    return json_values.encode({name: msgspec.Raw(written[0].value) for name, written in profile.consents.items()})


def attributes_text(profile: Profile) -> bytes:
    """The winning value of each attribute, as sent, in one JSON object."""
    return json_values.encode({name: msgspec.Raw(written[0].value) for name, written in profile.attributes.items()})

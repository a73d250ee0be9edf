"""Steps of the long tests of identity: how large they are, what is compared, and what is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from obverse.core import json_values, profiles
from obverse.core.definitions import Definitions
from obverse.core.people import People
from obverse.core.profiles import Profile


def size(name: str, short: int) -> int:
    """Return how large a test is: `make identity` sets OBVERSE_NAME, `make test` is short."""
    return int(os.environ.get(f"OBVERSE_{name}", str(short)))


def tell(**figures: Any) -> None:
    """Print figures (seen with `pytest -s`)."""
    sys.stdout.write(" ".join(f"{name}={value}" for name, value in figures.items()) + "\n")


def digest(people: People) -> str:
    """Return one hash of everybody, matched by identifiers: profiles, traits, audiences, graph."""
    return digest_of(people.profiles.values(), people.definitions)


def digest_of(everybody: Iterable[Profile], definitions: Definitions) -> str:
    told = sorted((sorted(profile.identifiers), _told(profile, definitions)) for profile in everybody)
    return sha256(json_values.encode(told)).hexdigest()


def _told(profile: Profile, definitions: Definitions) -> Any:
    """Return all that may not hang on the order of arrival, as JSON text."""
    state: Mapping[str, Any] = profiles.state_of(profile, definitions)
    graph = profiles.identity_graph(profile)
    return json_values.encode(
        {
            **state,
            "identifiers": sorted(state["identifiers"].items()),
            "sightings": sorted((name, *first) for name, first in state["sightings"].items()),
            "attributes": sorted(
                (name, [[*write.stamp, write.value.decode()] for write in writes])
                for name, writes in state["attributes"].items()
            ),
            "consents": sorted(
                (name, [[*write.stamp, write.value.decode()] for write in writes])
                for name, writes in state["consents"].items()
            ),
            "groups": sorted((name, *first) for name, first in state["groups"].items()),
            "traits": sorted(state["traits"].items()),
            "seen": sorted(state["seen"]),
            # Which event showed a pair first is told in the order of arrival: a pair that is known is not decided anew.
            "edges": [(edge["a"], edge["b"], edge["rule"]) for edge in graph["edges"]],
            "refused": [(edge["a"], edge["b"], edge["rule"]) for edge in graph["refused"]],
        }
    ).decode()


class Groups:
    """A plain union-find: which names belong together, whatever tied them."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        parents = self._parents
        parents.setdefault(name, name)
        root = name
        while parents[root] != root:
            root = parents[root]
        while parents[name] != root:
            parents[name], name = root, parents[name]
        return root

    def tie(self, names: Iterable[str]) -> None:
        first, *others = names
        root = self.find(first)
        for other in others:
            self._parents[self.find(other)] = root

    def groups(self) -> set[frozenset[str]]:
        found: dict[str, set[str]] = {}
        for name in self._parents:
            found.setdefault(self.find(name), set()).add(name)
        return set(map(frozenset, found.values()))


def clusters(people: People) -> set[frozenset[str]]:
    return {frozenset(profile.identifiers) for profile in people.profiles.values()}

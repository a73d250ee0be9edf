"""Steps of the tests of resolution: rules, events that show identifiers, and who is who afterwards."""

from __future__ import annotations

from typing import Any

from obverse.core import profiles
from obverse.core.definitions import Definitions, define
from obverse.core.identity import IdentityRules
from obverse.core.people import People


def rules(**said: Any) -> Definitions:
    return define(identity=IdentityRules(**said))


def of(people: People, identifier: str) -> set[str]:
    """Return all identifiers of whoever has this one."""
    return set(people.profiles[people.owners[identifier]].identifiers)


def seen(email: str | None = None, **ids: Any) -> dict[str, Any]:
    return {**ids, **({"context": b'{"traits":{"email":"%b"}}' % email.encode()} if email else {})}


def refused(people: People, identifier: str) -> set[tuple[str, str, str]]:
    graph = profiles.identity_graph(people.profiles[people.owners[identifier]])
    return {(edge["a"], edge["b"], edge["rule"]) for edge in graph["refused"]}

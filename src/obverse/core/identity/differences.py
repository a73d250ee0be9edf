"""Differences: in which rules two workspaces' identity differs, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import msgspec

from obverse.core.identity.kinds import Kind
from obverse.core.identity.rules import IdentityRules, Limit

_DAY: Final = 24 * 3600
_TOLD: Final = 10
"""Of a list of values."""
_NONE: Final = "none"


class Difference(msgspec.Struct, frozen=True):
    """One rule that differs."""

    rule: str
    """As it is written in a definition: `merges`, `limits.email` …"""
    in_force: str
    tried: str


def differences(in_force: IdentityRules, tried: IdentityRules) -> list[Difference]:
    """
    Each rule that differs; none if all are alike.

    >>> differences(IdentityRules(), IdentityRules(limits={}, merges=5))[-1]
    Difference(rule='merges', in_force='100', tried='5')
    """
    found = []
    for rule in fields(IdentityRules):
        if not rule.compare:
            continue
        one, other = (_by_name(getattr(rules, rule.name)) for rules in (in_force, tried))
        if isinstance(one, Mapping):
            found += [
                Difference(f"{rule.name}.{kind}", _text(one.get(kind)), _text(other.get(kind)))
                for kind in sorted({*one, *other})
                if one.get(kind) != other.get(kind)
            ]
        elif isinstance(one, frozenset) and one != other:
            found.append(Difference(rule.name, _text(one - other), _text(other - one)))
        elif one != other:
            found.append(Difference(rule.name, _text(one), _text(other)))
    return found


def _by_name(value: Any) -> Any:
    """A rule's value; kinds that are added by their names."""
    return {kind.name: kind for kind in value} if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    """A rule's value; of a list, what the other one has not."""
    if value is None or value == frozenset():
        return _NONE
    if isinstance(value, Limit):
        if value.within is None:
            return f"{value.values} ever"
        days = f"{value.within / _DAY:g}"
        return f"{value.values} within {days} {'day' if days == '1' else 'days'}"
    if isinstance(value, Kind):
        return " ".join(filter(None, (value.spelling, value.region)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        ordered = sorted(" + ".join(one) if isinstance(one, tuple) else one for one in value)
        more = len(ordered) - _TOLD
        return ", ".join(ordered[:_TOLD]) + (f" and {more} more" if more > 0 else "")
    return str(value)

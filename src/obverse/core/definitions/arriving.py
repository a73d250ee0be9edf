"""
Definitions on their way: what was changed shows only once it has been computed from history.

Three sets play a part. The *newest* is what was applied last. The *live* one is the last whose traits and audiences
have been computed for everybody. Until the newest is live, traits and audiences stay as they are in the live one
(`shown`), while an engine folds those to come beside them (`folding`), unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from obverse.core.audiences import Audience
from obverse.core.conditions import Some
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.traits.kind import Takes

_NOBODY: Final = Some(())
"""A condition that holds for nobody."""


class _Waiting:
    """The kind of a trait that has no value yet."""

    takes: ClassVar[Takes] = Takes.NOTHING
    in_place: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def start(self) -> None:
        """See `TraitKind.start`."""

    def add(self, state: Any, value: Any, stamp: Stamp) -> Any:  # noqa: ARG002 - see `TraitKind.add`
        """See `TraitKind.add`."""
        return state

    def merge(self, one: Any, other: Any) -> Any:  # noqa: ARG002 - see `TraitKind.merge`
        """See `TraitKind.merge`."""
        return one

    def read(self, state: Any) -> Any:
        """See `TraitKind.read`."""
        return state

    def pack(self, state: Any) -> Any:
        """See `TraitKind.pack`."""
        return state

    def unpack(self, packed: Any) -> Any:
        """See `TraitKind.unpack`."""
        return packed


def is_live(newest: Definitions, live: Definitions) -> bool:
    """Whether both have the same traits and audiences, so that there is nothing to be computed."""
    return _traits(newest) == _traits(live) and _audiences(newest) == _audiences(live)


def _traits(definitions: Definitions) -> dict[str, str]:
    return {one.name: one.key for one in definitions.traits}


def _audiences(definitions: Definitions) -> dict[str, Any]:
    return {one.name: one.where for one in definitions.audiences}


def shown(newest: Definitions, live: Definitions) -> Definitions:
    """
    What everybody sees: the newest, but for traits and audiences, which are as the live set has them.

    One that is new is there, without a value and without members, so that others can name it.
    """
    if is_live(newest, live):
        return newest
    traits, audiences = live.trait_of_name, live.audience_of_name
    return _again(
        newest,
        [*live.traits, *(_waiting(one) for one in newest.traits if one.name not in traits)],
        [*live.audiences, *(replace(one, where=_NOBODY) for one in newest.audiences if one.name not in audiences)],
    )


def _waiting(trait: Trait) -> Trait:
    return Trait(
        name=trait.name,
        kind=_Waiting(),
        key=f"waiting:{trait.name}",
        type="",  # no call has it, so none moves it
        event=None,
        property=None,
        field=None,
        description=trait.description,
    )


def changed(newest: Definitions, live: Definitions) -> tuple[Trait, ...]:
    """The traits of either set that the other does not compute."""
    ours, theirs = newest.trait_of_name, live.trait_of_name
    mine = [one for one in newest.traits if one.name not in theirs or theirs[one.name].key != one.key]
    return (*mine, *(one for one in live.traits if one.name not in ours))


def replaces(newest: Definitions, live: Definitions) -> bool:
    """Whether a trait of the live set has another state in the newest one."""
    theirs = newest.trait_of_name
    return any(one.name in theirs and theirs[one.name].key != one.key for one in live.traits)


def without(definitions: Definitions, names: Iterable[str]) -> Definitions:
    """The same, of which these traits have no value."""
    gone = set(names)
    traits = [_waiting(one) if one.name in gone else one for one in definitions.traits]
    return _again(definitions, traits, definitions.audiences)


def fresh(newest: Definitions, live: Definitions) -> tuple[Trait, ...]:
    """The traits of the newest set that the live one does not compute, each unseen."""
    every = {one.key: one for one in (*newest.traits, *newest.remembered)}
    return tuple(replace(one, hidden=True) for key, one in every.items() if key not in live.trait_of_key)


def folding(now: Definitions, to_come: Iterable[Trait], version: int) -> Definitions:
    """What an engine folds with meanwhile: what everybody sees, and beside it these traits of that version."""
    return _again(now, now.traits, now.audiences, to_come, version)


def only(traits: Iterable[Trait], of: Definitions) -> Definitions:
    """Definitions of these traits alone, for computing them from history."""
    return define(beside=traits, identity=of.identity)


def _again(
    of: Definitions,
    traits: Iterable[Trait],
    audiences: Iterable[Audience],
    beside: Iterable[Trait] = (),
    version: int = 0,
) -> Definitions:
    return define(
        traits=traits,
        audiences=audiences,
        beside=beside,
        beside_version=version,
        sources=of.sources,
        connections=of.connections,
        templates=of.templates,
        campaigns=of.campaigns,
        tracking_plans=of.tracking_plans,
        identity=of.identity,
        matching=of.matching,
    )

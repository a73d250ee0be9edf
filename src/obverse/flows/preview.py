"""Preview: how many a condition would hold for, node by node, before it is an audience."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from pyroaring import BitMap64

from obverse.core import times
from obverse.core.conditions import (
    AUDIENCE,
    BadCondition,
    Condition,
    Every,
    Member,
    Not,
    Some,
    as_tree,
    nodes,
    parse,
    parts_of,
)
from obverse.core.conditions.sql.writing import as_sql
from obverse.core.definitions import BadDefinition, Definitions, check_condition
from obverse.core.profiles import Profile, unpack
from obverse.flows.browse import PersonView, view_person
from obverse.flows.serve import UnreadableProfile
from obverse.flows.views import Time
from obverse.ports.runtime import Runtime
from obverse.ports.selections import Selections

FRESH: Final = 10_000_000
"""Microseconds for which a set that was looked up is good enough for the next look."""
_MOST_KEPT: Final = 200
"""Sets that are kept for so long."""
SAMPLE: Final = 10
"""People who are shown."""


class NodeView(msgspec.Struct, frozen=True):
    """One node of a condition, and how many it holds for."""

    condition: Annotated[dict[str, Any], Meta(description="The node, as the definition says it.")]
    count: Annotated[int, Meta(description="People it holds for.")]
    of: Annotated[list[NodeView], Meta(description="The nodes that it joins.")]


class OverlapView(msgspec.Struct, frozen=True):
    """An audience that is defined, and how many of its members the condition holds for."""

    audience: str
    members: int
    both: int


class PreviewView(msgspec.Struct, frozen=True):
    """How many a condition would hold for, as of the last checkpoint."""

    condition: Annotated[dict[str, Any], Meta(description="The condition, as a definition says it.")]
    sql: Annotated[str, Meta(description="The same, as SQL after WHERE.")]
    people: Annotated[int, Meta(description="Everybody.")]
    count: Annotated[int, Meta(description="People it holds for.")]
    node: NodeView
    sample: Annotated[list[PersonView], Meta(description="Some of them.")]
    overlaps: Annotated[list[OverlapView], Meta(description="With every audience that is defined, if asked for.")]
    as_of: Annotated[Time, Meta(description="When the oldest of the sets that were counted was looked up.")]


@dataclass(frozen=True, slots=True)
class _Set:
    people: BitMap64
    at: int


class Preview:
    """
    Counts whom conditions hold for.

    The sets of a condition's tests are kept for a few seconds, so that a look after one test was changed costs that
    test alone.
    """

    def __init__(self, store: Selections, definitions: Callable[[], Definitions], runtime: Runtime) -> None:
        self._store = store
        self._definitions = definitions
        self._runtime = runtime
        self._kept: dict[Condition | None, _Set] = {}

    def read(self, tree: Any) -> Condition:
        """
        Read a condition as a definition says it, and hold it against what is defined.

        Raises:
            BadCondition: it is none, or looks at what is not there.
        """
        return self.checked(parse(tree))

    def read_sql(self, text: str) -> Condition:
        """
        Read a condition as it stands after WHERE.

        Raises:
            BadCondition: as above.
        """
        # A third of a second, and most processes never need it.
        from obverse.core.conditions.sql.reading import parse_sql  # noqa: PLC0415

        return self.checked(parse_sql(text))

    def checked(self, condition: Condition) -> Condition:
        """Return the condition, if all that it looks at is defined."""
        try:
            check_condition("the condition", condition, self._definitions())
        except BadDefinition as error:
            raise BadCondition(f"where: {error}") from error
        return condition

    async def people(self, condition: Condition) -> BitMap64:
        """
        Return the numbers of those whom a condition holds for; the store knows who they are.

        Raises:
            Unreachable, AccessRefused: the store cannot be read, or not in time. So does `preview`.
        """
        return _people(condition, await self._sets(_leaves(condition)))

    async def count(self, condition: Condition) -> int:
        """
        Return how many a condition holds for.

        Raises:
            Unreachable, AccessRefused: as above.
        """
        return len(await self.people(condition))

    async def preview(self, condition: Condition, *, overlaps: bool = True) -> PreviewView:
        """
        Return how many each node of a condition holds for, some of them, and how many are in other audiences too.

        Without `overlaps` nobody looks at other audiences, of which there may be many.

        Raises:
            UnreadableProfile: another release wrote one of those who would be shown.
        """
        audiences = [Member(AUDIENCE, one.name) for one in self._definitions().audiences] if overlaps else []
        sets = await self._sets([*_leaves(condition), *audiences])
        people = _people(condition, sets)
        step = max(1, len(people) // SAMPLE)
        shown = [people[place * step] for place in range(min(SAMPLE, len(people)))]
        rules = self._definitions().identity
        return PreviewView(
            condition=as_tree(condition),
            sql=as_sql(condition),
            people=len(sets[None].people),
            count=len(people),
            node=_node(condition, sets),
            sample=[view_person(self._unpacked(one), rules) for one in await self._store.numbered(shown)],
            overlaps=[
                OverlapView(one.name, len(sets[one].people), len(sets[one].people & people)) for one in audiences
            ],
            as_of=times.to_text(min(one.at for one in sets.values())),
        )

    async def _sets(self, wanted: Iterable[Condition]) -> Mapping[Condition | None, _Set]:
        """The sets of these conditions; of everybody under None."""
        now = self._runtime.now()
        self._kept = {one: kept for one, kept in self._kept.items() if 0 <= now - kept.at < FRESH}
        asked = dict.fromkeys(wanted)
        missing = [one for one in asked if one not in self._kept]
        if missing or None not in self._kept:
            selection = await self._store.select(missing, now=now)
            fresh: dict[Condition | None, _Set] = {one: _Set(people, now) for one, people in selection.chosen.items()}
            self._kept |= {**fresh, None: _Set(selection.everybody, now)}
        found = {one: self._kept[one] for one in (None, *asked)}
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    def _unpacked(self, packed: bytes) -> Profile:
        try:
            return unpack(packed, self._definitions())
        except ValueError as error:
            raise UnreadableProfile(str(error)) from error


def _leaves(condition: Condition) -> list[Condition]:
    return [one for one in nodes(condition) if not parts_of(one)]


def _people(condition: Condition, sets: Mapping[Condition | None, _Set]) -> BitMap64:
    match condition:
        case Every(parts):
            return BitMap64.intersection(*(_people(part, sets) for part in parts))
        case Some(parts):
            return BitMap64.union(*(_people(part, sets) for part in parts))
        case Not(part):
            return sets[None].people - _people(part, sets)
        case _:
            return sets[condition].people & sets[None].people


def _node(condition: Condition, sets: Mapping[Condition | None, _Set]) -> NodeView:
    return NodeView(
        as_tree(condition),
        len(_people(condition, sets)),
        [_node(part, sets) for part in parts_of(condition)],
    )

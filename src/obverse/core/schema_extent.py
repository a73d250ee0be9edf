"""How far a JSON Schema goes: how often one value is held against it, by way of what it refers to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urljoin

_DEEPEST: Final = 400
"""Levels of an event, as the collector takes it: what lies deeper is never held against anything."""
_MOST_LEVELS: Final = 200
"""Schemas of one value, each within the one before; jsonschema-rs ends the process at some ten thousand."""
_MOST_TIMES: Final = 10_000
"""That one value is looked at: two references of each schema to the next are four to the third, ten a thousand."""
_MOST_LOOKS: Final = 1_000_000
"""That are taken to find it out: a second."""

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_ONES: Final = ("not", "if", "then", "else")
_MAPS: Final = ("dependentSchemas", "dependencies")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS: Final = ("$anchor", "$dynamicAnchor")

Schema = Mapping[str, Any]


class TooFar(ValueError):
    """A schema that looks at one value too often, too deep, or for ever; the message says what to do."""


def check_extent(schema: Schema) -> None:
    """
    See that no value is looked at more often than can be waited for.

    Raises:
        TooFar: some may be.
    """
    _Extent(schema).check()


@dataclass(frozen=True, slots=True)
class _Below:
    """Which schemas hold what is in a value that one schema holds, by the ids of both."""

    named: Mapping[str, int]
    """By name of the property."""
    others: tuple[int, ...]
    """Of all other properties."""
    every: tuple[int, ...]
    """Of any property: its name may be of the pattern."""
    names: tuple[int, ...]
    """Of the properties' names themselves."""
    items: tuple[int, ...]
    """Of each item at most one."""
    each: tuple[int, ...]
    """Of each item all."""

    @property
    def all(self) -> Iterator[int]:
        """All of them."""
        yield from (*self.named.values(), *self.others, *self.every, *self.names, *self.items, *self.each)


class _Extent:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._schemas: dict[int, Schema] = {}
        self._bases: dict[int, str] = {}
        self._known: dict[str, Schema] = {"": root}
        """By address."""
        self._dynamic: dict[str, list[Schema]] = {}
        """By dynamic anchor: which one is meant hangs on who refers to it."""
        self._index()
        self._beside_of: dict[int, list[int]] = {}
        self._below_of: dict[int, _Below] = {}
        self._heights: dict[int, int] = {}
        """How many schemas of one value stand above each other here, each beside the one before."""
        self._looks = 0

    def check(self) -> None:
        """See `check_extent`."""
        held = self._held()
        before: dict[int, int] = {}
        for depth in range(_DEEPEST + 1):
            now: dict[int, int] = {}
            for one, beside in held.items():
                times = self._times(beside, before) if depth else beside.total()
                if times > _MOST_TIMES:
                    raise TooFar(f"holds a value against more than {_MOST_TIMES} schemas; refer to each of them once")
                if times:
                    now[one] = times
            held, before = {one: held[one] for one in now}, now

    def _index(self) -> None:
        """Find what may be referred to, wherever it stands."""
        waiting: list[tuple[Any, str]] = [(self._root, "")]
        while waiting:
            one, base = waiting.pop()
            if isinstance(one, Mapping):
                if isinstance(own := one.get("$id"), str):
                    base, _, anchor = _joined(base, own).partition("#")
                    self._known.setdefault(f"{base}#{anchor}" if anchor else base, one)
                for name in _ANCHORS:
                    if isinstance(said := one.get(name), str):
                        self._known.setdefault(f"{base}#{said}", one)
                if isinstance(said := one.get("$dynamicAnchor"), str):
                    self._dynamic.setdefault(said, []).append(one)
                self._bases[id(one)], self._schemas[id(one)] = base, one
            inner = one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
            waiting += [(part, base) for part in inner]

    def _held(self) -> dict[int, Counter[int]]:
        """The schemas that stand by themselves, each with those beside it, itself too, and how often they do."""
        held: dict[int, Counter[int]] = {}
        waiting = [id(self._root)]
        while waiting:
            one = waiting.pop()
            if one not in held:
                self._climb(one, [])
                held[one] = self._with_beside(one)
                waiting += [inner for other in held[one] for inner in self._below(other).all]
        return held

    def _climb(self, schema: int, path: list[int]) -> int:
        """How many schemas of one value stand above each other here."""
        if schema in path:
            raise TooFar("refers to itself for one and the same value; take one of these references out")
        if schema not in self._heights:
            path.append(schema)
            if len(path) > _MOST_LEVELS:
                raise _too_deep()
            height = 1 + max([self._climb(one, path) for one in self._beside(schema)], default=0)
            path.pop()
            self._heights[schema] = height
        if self._heights[schema] > _MOST_LEVELS:
            raise _too_deep()
        return self._heights[schema]

    def _with_beside(self, schema: int) -> Counter[int]:
        found = Counter({schema: 1})
        waiting = [schema]
        while waiting:
            one = waiting.pop()
            for other in self._beside(one):
                self._look(1)
                if other not in found:
                    waiting.append(other)
                found[other] += 0
        # Those that stand higher first, so that all ways that lead to one are known when it is looked at.
        for one in sorted(found, key=lambda each: -self._heights[each]):
            for other in self._beside(one):
                found[other] = min(found[other] + found[one], _MOST_TIMES + 1)
        return found

    def _times(self, beside: Counter[int], before: Mapping[int, int]) -> int:
        """How often one value in a value is looked at, at most; `before` says it of those that hold it."""
        others = every = names = items = 0
        named = Counter[str]()
        for one, times in beside.items():
            below = self._below(one)
            rest = _sum(below.others, before)
            others += times * rest
            every += times * _sum(below.every, before)
            names += times * _sum(below.names, before)
            items += times * (max([before.get(each, 0) for each in below.items], default=0) + _sum(below.each, before))
            for name, schema in below.named.items():
                named[name] += times * (before.get(schema, 0) - rest)
            self._look(1 + sum(1 for _ in below.all))
        return max(others + every + max(named.values(), default=0), others + every, names, items)

    def _look(self, times: int) -> None:
        self._looks += times
        if self._looks > _MOST_LOOKS:
            raise TooFar("refers to more than can be looked through; use fewer references")

    def _beside(self, schema: int) -> list[int]:
        """Those that hold the same value."""
        found = self._beside_of.get(schema)
        if found is None:
            of = self._schemas[schema]
            parts = [part for name in _LISTS for part in _list(of.get(name))]
            parts += [of.get(name) for name in _ONES]
            parts += [part for name in _MAPS for part in _map(of.get(name)).values()]
            parts += [part for name in _REFERENCES for part in self._referred(of, name)]
            found = self._beside_of[schema] = [*_ids(parts)]
        return found

    def _below(self, schema: int) -> _Below:
        found = self._below_of.get(schema)
        if found is None:
            of = self._schemas[schema]
            named, items = _map(of.get("properties")), of.get("items")
            found = self._below_of[schema] = _Below(
                named={name: id(one) for name, one in named.items() if isinstance(one, Mapping)},
                others=(*_ids([of.get("additionalProperties"), of.get("unevaluatedProperties")]),),
                every=(*_ids(_map(of.get("patternProperties")).values()),),
                names=(*_ids([of.get("propertyNames")]),),
                items=(*_ids([*_list(of.get("prefixItems")), *_list(items), items, of.get("additionalItems")]),),
                each=(*_ids([of.get("contains"), of.get("unevaluatedItems")]),),
            )
        return found

    def _referred(self, schema: Schema, name: str) -> Iterator[Any]:
        reference = schema.get(name)
        if not isinstance(reference, str):
            return
        base, _, fragment = _joined(self._bases[id(schema)], reference).partition("#")
        if name == "$dynamicRef" and fragment in self._dynamic:
            yield from self._dynamic[fragment]
            return
        found: Any = self._known.get(f"{base}#{fragment}" if fragment and not fragment.startswith("/") else base)
        for part in unquote(fragment).split("/")[1:] if fragment.startswith("/") else ():
            spelt = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(part)] if part.isdecimal() and int(part) < len(found) else None
            else:
                found = _map(found).get(spelt)
        yield found


def _sum(schemas: Iterable[int], times: Mapping[int, int]) -> int:
    return sum(times.get(one, 0) for one in schemas)


def _too_deep() -> TooFar:
    return TooFar(f"leads through more than {_MOST_LEVELS} schemas for one value; use fewer")


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:  # it is no address, and nothing that is referred to
        return reference


def _ids(parts: Iterable[Any]) -> Iterator[int]:
    return (id(one) for one in parts if isinstance(one, Mapping))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

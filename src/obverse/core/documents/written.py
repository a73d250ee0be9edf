"""Documents as they are written: a tree of JSON's values, whose it is, and where each part of it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from obverse.core.tracking_plans import version_of, version_text

Path = tuple[str | int, ...]
"""Fields and places in lists, from the document's outside to its inside."""
NOWHERE: Final = (0, 0)
_VERSION: Final = re.compile("[0-9]{1,6}[.][0-9]{1,6}")


class Key(NamedTuple):
    """What a definition is told by: there is one of each in a workspace."""

    kind: str
    name: str
    version: str = ""
    """Of a tracking plan, which has a document for each; else empty."""

    @property
    def title(self) -> str:
        """As people say it."""
        return f"{self.kind.replace('_', ' ')} {' '.join(filter(None, self[1:]))}"


class Document(msgspec.Struct, frozen=True):
    """A definition that can be used, as it was written: its order is kept, and remarks are not."""

    key: Key
    text: str
    """JSON."""

    @property
    def tree(self) -> Any:
        """What it says."""
        return msgspec.json.decode(self.text)


@dataclass(frozen=True, slots=True)
class Written:
    """A document that somebody wrote into a file, good or not."""

    file: str
    tree: Any
    values: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """Line and column, from 1, of each value."""
    names: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """The same of the name before it."""

    def at(self, path: Path, *, name: bool = False) -> tuple[int, int]:
        """Where a value stands, or its name; where that is not known, what it stands in."""
        if name and path in self.names:
            return self.names[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, NOWHERE)


def document(tree: Any) -> Document:
    """The document that this tree is, which was checked."""
    return Document(key_of(tree), msgspec.json.encode(tree).decode())


def key_of(tree: Any) -> Key:
    """Whose definition it is, of a document that was checked."""
    kind = tree["kind"]
    version = _version(tree["spec"]["version"]) if kind == "tracking_plan" else ""
    return Key(kind, tree["metadata"]["name"], version)


def _version(said: str) -> str:
    """A version as there is one of each: 1.00 is 1.0."""
    return version_text(version_of(said)) if _VERSION.fullmatch(said) else said


def named_key(tree: Any) -> Key | None:
    """
    Whose definition a document means to be, good or not; None if it does not say so.

    Of a tracking plan without a version that can be read: of every version.
    """
    metadata = tree.get("metadata") if isinstance(tree, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not isinstance(tree.get("kind"), str):
        return None
    spec = tree.get("spec")
    version = spec.get("version") if tree["kind"] == "tracking_plan" and isinstance(spec, dict) else ""
    return Key(tree["kind"], name, _version(version) if isinstance(version, str) else "")


def ordered(documents: Iterable[Document]) -> list[Document]:
    """
    In the one order in which documents are read, wherever they come from.

    Of those that add up, what is said by a preset comes first, and what others say of single things after it.
    """
    return sorted(documents, key=lambda one: order(one.key, one.tree))


def order(key: Key, tree: Any) -> tuple[str, bool, Key]:
    """The place of one document in it."""
    return key.kind, key.kind != "identity" or "preset" not in tree["spec"], key


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes; None stands for what is not there, and for null."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """
    In what two trees differ, as deep inside as they both go.

    >>> [str(one.path) for one in differences({"a": {"b": 1, "c": [2]}}, {"a": {"b": 2, "c": [2]}})]
    ['a.b']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif not same(before, after):
        yield Difference(path, before, after)


def same(one: Any, other: Any) -> bool:
    """Whether two trees say the same; to Python true equals 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)

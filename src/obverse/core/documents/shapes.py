"""Shapes: every way in which a tree is not of a shape, each with its place; reading would end at the first."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import fields

from obverse.core.documents.written import Path
from obverse.core.flaws import nearest


@dataclass(frozen=True, slots=True)
class Misshapen:
    """One value that is not as it should be."""

    path: Path
    rule: str
    what: str
    by_name: bool = False
    """Whether it is the name that is wrong, and not the value after it."""
    meant: str | None = None
    """The name that was probably meant."""


def misshapen(shape: Any, tree: Any, path: Path = (), *, also: Collection[str] = ()) -> Iterator[Misshapen]:
    """Each way in which the tree is not of this shape; names of `also` may have been meant, too."""
    found = False
    for one in _within(shape, tree, path, also):
        found = True
        yield one
    if not found:
        yield from _whole(shape, tree, path)


def _within(shape: Any, tree: Any, path: Path, also: Collection[str]) -> Iterator[Misshapen]:
    """What is wrong inside of it; a value that could be of several shapes is told as a whole."""
    members = [one for one in _members(shape) if _may_be(one, tree)]
    if len(members) != 1:
        return
    (member,) = members
    if isinstance(member, type) and issubclass(member, msgspec.Struct):
        yield from _struct(member, tree, path, also)
    elif get_origin(member) is dict:
        for name, value in tree.items():
            yield from misshapen(get_args(member)[1], value, (*path, name))
    elif get_origin(member) is list:
        for place, value in enumerate(tree):
            yield from misshapen(get_args(member)[0], value, (*path, place))


def _struct(
    shape: type[msgspec.Struct], tree: dict[str, Any], path: Path, also: Collection[str]
) -> Iterator[Misshapen]:
    known = {one.encode_name: one for one in fields(shape)}
    if shape.__struct_config__.forbid_unknown_fields:
        free = [name for name in (*known, *also) if name not in tree]
        for name in tree:
            if name not in known:
                meant = nearest(name, free)
                hint = f"; did you mean `{meant}`?" if meant else ""
                yield Misshapen((*path, name), "OB012", f"unknown field `{name}`{hint}", by_name=True, meant=meant)
    for name, one in known.items():
        if name in tree:
            yield from misshapen(one.type, tree[name], (*path, name))
        elif one.required:
            yield Misshapen(path, "OB013", f"missing required field `{name}`")


def _whole(shape: Any, tree: Any, path: Path) -> Iterator[Misshapen]:
    try:
        msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        what, _, inner = str(error).partition(" - at `$")
        # What somebody wrote where a hash should be might be the key itself, so only choices are repeated.
        choices = [value for member in _members(shape) for value in _choices(member)]
        meant = nearest(tree, choices) if isinstance(tree, str) else None
        hint = f"; did you mean `{meant}`?" if meant else ""
        inside = f" (in {inner.removesuffix('`').lstrip('.')})" if inner else ""
        yield Misshapen(path, "OB014", f"{what}{inside}{hint}")


def _members(shape: Any) -> list[Any]:
    """What a value may be, one by one."""
    origin = get_origin(shape)
    if origin is Annotated:
        return _members(get_args(shape)[0])
    if origin in {Union, types.UnionType}:
        return [inner for one in get_args(shape) for inner in _members(one)]
    return [shape]


def _may_be(member: Any, tree: Any) -> bool:
    """Whether it is a list or a mapping, as the tree is."""
    if isinstance(tree, dict):
        return get_origin(member) is dict or (isinstance(member, type) and issubclass(member, msgspec.Struct))
    return isinstance(tree, list) and get_origin(member) is list


def _choices(member: Any) -> list[str]:
    return [one for one in get_args(member) if isinstance(one, str)] if get_origin(member) is Literal else []

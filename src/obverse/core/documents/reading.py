"""Reading: a tree as a shape, with the place of what is wrong in it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from obverse.core.definitions import BadDefinition

Shape = TypeVar("Shape", bound=msgspec.Struct)


def read_as(shape: type[Shape], tree: Any, where: str, expected: str) -> Shape:
    """
    The tree as this shape; `expected` says what it may have.

    Raises:
        BadDefinition: it is no such thing; names the place below `where`.
    """
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        flaw, _, path = str(error).partition(" - at `$")
        place = (where + path.removesuffix("`")).removeprefix(".")
        raise BadDefinition(f"{place or 'the document'}: {flaw}; {expected}") from error

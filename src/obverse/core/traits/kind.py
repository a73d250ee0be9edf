"""What a kind of trait is: a commutative monoid over the values that events bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar, Final, Protocol

from obverse.core import json_values
from obverse.core.crdt.clock import Stamp


class Takes(Enum):
    """What a kind wants of the values that events bring. It is made once for all traits that look at one property."""

    NOTHING = "nothing"
    VALUE = "value"
    """Decoded JSON, as `json_values.decode` reads it."""
    NUMBER = "number"
    """An exact decimal, as `json_values.number` makes it."""
    TEXT = "text"
    """JSON text, as `json_values.encode` writes it: one spelling for each value."""

    def of(self, value: Any) -> Any:
        """
        What `TraitKind.add` is given of a value that an event brings; None if the event is passed over.

        >>> Takes.NUMBER.of("12.5"), Takes.NUMBER.of("twelve"), Takes.TEXT.of("twelve")
        (Decimal('12.5'), None, b'"twelve"')
        """
        return None if value is None else MAKERS[self](value)


MAKERS: Final[Mapping[Takes, Callable[[Any], Any]]] = {
    Takes.NOTHING: lambda _: None,
    Takes.VALUE: lambda value: value,
    Takes.NUMBER: json_values.number,
    Takes.TEXT: json_values.encode,
}
"""What is made of a value that is not null."""


class TraitKind(Protocol):
    """
    How one kind of trait is computed; has no state of its own.

    A state is any Python value; `start` makes the empty one. Each event is added once. The laws
    (adding in any order, merging in any grouping, packing and unpacking give the same reading) are
    tested for every kind by `obverse.contracts.trait_kind`.
    """

    takes: ClassVar[Takes]
    """What is added; unless it is nothing, a definition of this kind names the property or field that brings it."""

    in_place: ClassVar[bool]
    """Whether `add` changes the state it is given; if not, a state that it returns as it was has not moved."""

    plain: ClassVar[bool]
    """Whether a state is what it reads as; `read` need not be asked then."""

    def start(self) -> Any:
        """The state before any event."""
        ...

    def add(self, state: Any, value: Any, stamp: Stamp) -> Any:
        """
        The state after one more event; may change and return the state given.

        `value` is what the kind `takes`; None where it takes nothing, and there alone. A value that this
        kind cannot use leaves the state as it was.
        """
        ...

    def merge(self, one: Any, other: Any) -> Any:
        """The state of two profiles that became one; may change and return either, if the kind is `in_place`."""
        ...

    def read(self, state: Any) -> Any:
        """The trait's value as JSON can say it, or None while there is none."""
        ...

    def pack(self, state: Any) -> Any:
        """The state in terms that MessagePack knows."""
        ...

    def unpack(self, packed: Any) -> Any:
        """The state that was packed."""
        ...


class Approximates(Protocol):
    """What a kind of trait has beside, if its reading may be about right only."""

    def approximate(self, state: Any) -> bool:
        """Whether this state reads as something that is about right."""
        ...


def is_approximate(kind: object, state: Any) -> bool:
    """Whether a state of a kind reads as something about right only; never, if the kind is none that `Approximates`."""
    says: Callable[[Any], bool] | None = getattr(kind, "approximate", None)
    return says is not None and says(state)

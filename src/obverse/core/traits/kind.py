"""What a kind of trait is: a commutative monoid over the values that events bring."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from obverse.core.crdt.clock import Stamp


class TraitKind(Protocol):
    """
    How one kind of trait is computed; has no state of its own.

    A state is any Python value; `start` makes the empty one. Each event is added once. The laws
    (adding in any order, merging in any grouping, packing and unpacking give the same reading) are
    tested for every kind by `obverse.contracts.trait_kind`.
    """

    takes_value: ClassVar[bool]
    """Whether a definition of this kind names a property or field whose value is added."""

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

        `value` is decoded JSON (`json_values.decode`); None where the kind takes no value. A value that
        this kind cannot use leaves the state as it was.
        """
        ...

    def merge(self, one: Any, other: Any) -> Any:
        """The state of two profiles that became one; may change and return either."""
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

"""A register: the latest write wins, and the writes it beat are kept."""

from __future__ import annotations

from typing import NamedTuple

from obverse.core.crdt.clock import Stamp

KEPT = 5
"""Writes that one register remembers, the winner included."""


class Write(NamedTuple):
    """A value as it was sent (JSON text), and its stamp. Compared by stamp, then by value."""

    stamp: Stamp
    value: bytes


Register = tuple[Write, ...]
"""The latest writes, newest first; the first is the register's value. Never empty."""


def merge(one: Register, other: Register) -> Register:
    """
    The newest `KEPT` of both sides' writes.

    The largest few of a union are the same however the union was built, so this is a lattice.

    >>> early, late = Write(Stamp(1, "web", "a"), b"1"), Write(Stamp(2, "web", "b"), b"2")
    >>> merge((early,), (late,))[0].value
    b'2'
    """
    if one == other:
        return one
    return tuple(sorted({*one, *other}, reverse=True)[:KEPT])


def write(register: Register | None, new: Write) -> Register:
    """The register after one more write."""
    if register is None:
        return (new,)
    if new > register[0]:
        return (new, *register[: KEPT - 1])
    return merge(register, (new,))

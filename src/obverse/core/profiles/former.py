"""The format of profiles before 2, in which both parts were one: read, and never written."""

from __future__ import annotations

from typing import Any

import msgspec

from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Register
from obverse.core.definitions import trait_code
from obverse.core.identity import Edge
from obverse.core.profiles import packing
from obverse.core.profiles.parts import Membership, Sighting


class _Packed(msgspec.Struct, array_like=True):
    format: int
    id: bytes
    identifiers: dict[str, tuple[int, str, int]]
    """When and by which event each was shown first, and when last."""
    edges: list[Edge]
    attributes: dict[str, Register]
    traits: dict[str, Any]
    """By `Trait.key`."""
    audiences: dict[str, Membership]
    seen: bytes
    version: dict[int, int]
    first: Stamp | None
    changed_at: int
    events: int


_decoder = msgspec.msgpack.Decoder(_Packed)


def converted(packed: bytes) -> tuple[bytes, bytes]:
    """
    What is known and the state, as they are packed today.

    Raises:
        ValueError: these bytes are no profile of that format.
    """
    try:
        old = _decoder.decode(packed)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{len(packed)} bytes are no packed profile: {error}") from error
    known = packing.pack_known(
        {identifier: Sighting(at, event) for identifier, (at, event, _) in old.identifiers.items()},
        {(edge.a, edge.b): edge for edge in old.edges},
        old.attributes,
        {},
        {},
    )
    state = packing.State(
        packing.FORMAT,
        old.id,
        {identifier: last for identifier, (_, _, last) in old.identifiers.items()},
        {trait_code(key): packed for key, packed in old.traits.items()},
        old.audiences,
        old.seen,
        old.version,
        old.first,
        old.changed_at,
        old.events,
    )
    return known, packing.pack_state(state)

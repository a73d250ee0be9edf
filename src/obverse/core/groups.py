"""Groups: accounts or companies, with what systems told of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from obverse.core import json_values
from obverse.core.crdt import clock, register
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Register, Write
from obverse.core.events import Event
from obverse.core.identity import IdentityRules, is_blocked

FORMAT: Final = 1


@dataclass(slots=True)
class Group:
    """
    One account.

    A lattice: what it is told in any order, however often, makes the same of it. So it needs no memory of message ids.
    """

    id: str
    attributes: dict[str, Register] = field(default_factory=dict)
    """By name."""
    first: Stamp | None = None
    """Stamp of the earliest event."""
    changed_at: int = 0
    """Arrival of the event that told it something last, in microseconds since 1970."""
    whole: bool = field(default=False, compare=False)
    """Whether an engine has brought what the store knows of it."""


def named(sent: str, rules: IdentityRules) -> str | None:
    r"""
    The id of a group as it is kept, None if it names none: a value that many share, blank or too long, such as `null`.

    >>> named(" acme ", IdentityRules()), named("null", IdentityRules()), named("a\0", IdentityRules())
    ('acme', None, None)
    """
    value = sent.strip()
    return None if "\0" in value or is_blocked(value, rules) else value


def group_of(event: Event, rules: IdentityRules) -> str | None:
    """The id of the group that a group call is of; None if it is none."""
    if event.type != "group" or event.group_id is None:
        return None
    return named(event.group_id, rules)


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def tell(group: Group, event: Event, stamp: Stamp) -> None:
    """Write what a group call tells of its group; `stamp` is the event's. Changes the group in place."""
    for name, raw in _fields.decode(event.properties).items():
        group.attributes[name] = register.write(group.attributes.get(name), Write(stamp, bytes(raw)))
    group.first = clock.earliest(group.first, stamp)
    group.changed_at = max(group.changed_at, event.received_at)


def merge(one: Group, other: Group) -> Group:
    """Unite what two places know of one group. Changes the first in place."""
    for name, written in other.attributes.items():
        mine = one.attributes.get(name)
        one.attributes[name] = written if mine is None else register.merge(mine, written)
    one.first = clock.earliest(one.first, other.first)
    one.changed_at = max(one.changed_at, other.changed_at)
    return one


def attributes_text(group: Group) -> bytes:
    """The winning value of each attribute, as sent, in one JSON object."""
    return json_values.encode({name: msgspec.Raw(written[0].value) for name, written in group.attributes.items()})


class _Packed(msgspec.Struct, array_like=True, gc=False):
    format: int
    id: str
    attributes: dict[str, Sequence[Write]]
    first: Stamp | None
    changed_at: int


_packer = msgspec.msgpack.Encoder()
_packed = msgspec.msgpack.Decoder(_Packed)


def pack(group: Group) -> bytes:
    """The group as bytes."""
    return _packer.encode(_Packed(FORMAT, group.id, dict(group.attributes), group.first, group.changed_at))


def unpack(packed: bytes) -> Group:
    """
    The group that was packed.

    Raises:
        ValueError: the bytes are none, or of a format that this release does not know.
    """
    try:
        read = _packed.decode(packed)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{len(packed)} bytes are no packed group: {error}") from error
    if read.format != FORMAT:
        raise ValueError(f"group format {read.format} is not known; this release reads {FORMAT}")
    attributes = {name: tuple(written) for name, written in read.attributes.items()}
    return Group(read.id, attributes, read.first, read.changed_at)

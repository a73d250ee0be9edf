"""What a router has buckets do, what they send each other, and what comes of it: the records on the way."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from obverse.core import codec
from obverse.core.changes import Change
from obverse.core.events import Event, RejectedEvent
from obverse.core.identity import Decision
from obverse.ports.identity_requests import Outcome
from obverse.ports.profile_rows import ProfileRow

BUCKETS: Final = 16
"""How many buckets the profiles of a workspace are shared out to, if nothing else is set."""
FORMAT: Final = 1
_PLACE: Final = 4


def bucket_of(profile: bytes, buckets: int) -> int:
    """The bucket that a profile lives in: for ever, as long as their number is the same."""
    return int.from_bytes(profile[-4:]) % buckets


class Told(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=1):
    """Fold an event into its profile."""

    profile: bytes
    partition: int
    """Where the log holds it."""
    offset: int
    event: Event


class Decided(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=2):
    """Carry out a decision of identity. It is given to the bucket of the decision's profile."""

    offset: int
    """Of the decision, in the stream of decisions: no other has the same."""
    decision: Decision
    lent: tuple[bytes, ...] = ()
    """Whom other buckets lend for it; those that are not absorbed go back."""


class Lent(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=3):
    """Send a profile to the bucket in which a decision on it is carried out."""

    profile: bytes
    to: int
    decision: int
    """`Decided.offset`."""
    returns: bool
    """Whether it comes back; else it is absorbed there."""


class Tick(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=4):
    """
    What time it is, and how far the log was routed before this: every bucket is told.

    Time is told by the router, and not by the clock of whoever folds, so that it is the same however often the same is
    folded, and never ahead of what the log still holds.
    """

    now: int
    """Microseconds since 1970."""
    first: int
    """Number of the first item of its turn: all before it was routed before."""
    events: dict[int, int]
    """By partition, the offset of the event that comes next."""
    decisions: int
    """The same of the stream of decisions."""
    routed: int
    """The offset of this turn in the stream of what was routed."""
    keep: int = 0
    """If not 0, the rows of all that has moved are to be told: the number after the last item of this turn."""


class Defined(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=5):
    """Fold with these definitions from here on."""

    version: int
    documents: bytes
    """See `core.documents.portable`."""


class Refused(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=6):
    """Keep what was refused on the way in."""

    rejected: RejectedEvent


class Adopted(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=7):
    """Take in a profile that was folded elsewhere before: another engine's."""

    packed: bytes
    """`core.profiles.pack`."""


class Became(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=8):
    """Have a profile be this from here on: it was computed anew, while nothing was routed."""

    packed: bytes
    """`core.profiles.pack`."""
    changes: tuple[Change, ...] = ()
    """What that changes."""


class Follow(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=9):
    """Have a profile follow definitions that have become live (`core.profiles.go_live`)."""

    profile: bytes
    now: int
    """Microseconds since 1970."""
    version: int
    """Of the definitions."""
    names: tuple[str, ...]
    """Traits whose value that may change."""


class Done(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=10):
    """Keep what was done beside the fold."""

    decisions: tuple[tuple[int, Decision], ...] = ()
    """Those that profiles have become otherwise by, with their offsets."""
    settled: dict[str, Outcome] = {}
    """Requests of identity, by their ids."""
    moved: dict[int, bytes] = {}
    """Whose events are from now on, by their event ids."""
    nobodys: tuple[str, ...] = ()
    """Identifiers that are nobody's from now on."""


class Fill(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=11):
    """
    Join what a profile's history gives for traits to come with what was folded of them since (`core.profiles.fill`).

    Of whoever has become one with others since that history was read, other history is lacking: nothing is done then,
    and the router reads again.
    """

    profile: bytes
    version: int
    """Of the definitions that are on their way."""
    merges: int
    """How many others were part of it when its history was read …"""
    since: dict[int, int] | None
    """… and `Profile.since` of then."""
    history: dict[int, Any]
    """`core.profiles.pack_traits`."""


class Anew(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=12):
    """Forget everybody: another engine has folded them since, and who they are now is told next."""

    begun: int
    """Greater than that of every beginning before, and than 0: who is lent after it is told from who was before."""
    changes: int
    """Where the stream of changes ended: nothing before it is told again."""


Item = Told | Decided | Lent | Tick | Defined | Refused | Adopted | Became | Follow | Done | Fill | Anew


class Turn(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """
    The head of what was routed at once: one append to the stream, all of it or none.

    The items follow, those of each bucket together. All items are numbered from 0 on, for ever, in the order in which
    they were routed: what an item follows from has a smaller number.
    """

    format: int = FORMAT
    buckets: int
    first: int
    """Number of the first item."""
    partition: int = 0
    """Which events these are of."""
    events_end: int = -1
    """Up to which offset of that partition; -1 if it is of none."""
    decisions_end: int = 0
    """Up to which offset of the stream of decisions everything was routed."""
    slices: tuple[tuple[int, int, bytes], ...]
    """
    Of each bucket that has items: its number, how many bytes they have, and the place of each in the turn, in 4 bytes.
    """

    @property
    def count(self) -> int:
        """How many items."""
        return sum(len(places) for *_, places in self.slices) // _PLACE

    @property
    def end(self) -> int:
        """The number of the item that comes next."""
        return self.first + self.count


class Moved(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A profile on its way from one bucket to another, lent after the beginning that `begun` names (see `Anew`)."""

    decision: int
    """For which it is lent: `Decided.offset`."""
    profile: bytes
    packed: bytes
    """`core.profiles.pack`."""
    back: bool = False
    """Whether it comes back from where it was lent."""
    begun: int = 0


class Shown(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A profile as it is after an item, for whoever reads it at once."""

    number: int
    """Of the item."""
    id: bytes
    identifiers: tuple[str, ...]
    """All of them."""
    packed: bytes
    """`core.profiles.pack`."""


class Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A profile as it is to be kept: what has moved since the row before."""

    number: int
    """Of the last item that moved it."""
    row: ProfileRow


class Folded(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """What came of some items of one bucket. Each part names the item that it comes of."""

    format: int = FORMAT
    bucket: int
    done: list[int]
    """The numbers of all of them."""
    parts: list[tuple[int, bytes]] = []
    """Of ticks that are not done for everybody at once: number and profile of each for whom it is."""
    shown: list[Shown] = []
    """Everybody whom they moved."""
    rows: list[Row] = []
    """Told when a tick says so, and of whoever moves to another bucket."""
    absorbed: list[tuple[int, bytes, bytes]] = []
    """Who was merged away, and into whom."""
    events: list[tuple[int, bytes, int, int, Event]] = []
    """Profile, partition, offset and event of each that was new to its profile."""
    changes: list[tuple[int, Change]] = []
    rejected: list[tuple[int, RejectedEvent]] = []
    decisions: list[tuple[int, int, Decision]] = []
    groups: list[tuple[int, bytes]] = []
    """What events told of groups (`core.groups.pack`), to be united with what is known of them."""
    beside: list[tuple[int, Done]] = []
    ticks: list[tuple[int, Tick]] = []


_encoder = msgspec.msgpack.Encoder()
_turn = msgspec.msgpack.Decoder(Turn)
_items: codec.Decoder[Item] = codec.Decoder(Item)  # type: ignore[arg-type]  # one of several classes
_moved = msgspec.msgpack.Decoder(Moved)
_folded = msgspec.msgpack.Decoder(Folded)

_BYTES: Final = b"\xc6"
"""Begins bytes in MessagePack, with four that say how many follow: so the head is cut off without a look inside."""
_HEAD: Final = 5
_SLICE: Final = b"S"
_MOVE: Final = b"M"
_NUMBER: Final = 8


def write_turn(first: int, buckets: int, items: Iterable[tuple[int, Item]], **head: Any) -> tuple[int, bytes]:
    """
    How many records, and the records, of what is routed at once: (bucket, item) in the order in which it is to be done.

    `head` is what else a `Turn` says.
    """
    of_bucket: dict[int, list[Item]] = {}
    places: dict[int, list[int]] = {}
    for place, (bucket, item) in enumerate(items):
        of_bucket.setdefault(bucket, []).append(item)
        places.setdefault(bucket, []).append(place)
    bodies = {bucket: codec.encode(some) for bucket, some in of_bucket.items()}
    slices = tuple(
        (bucket, len(body), b"".join(place.to_bytes(_PLACE) for place in places[bucket]))
        for bucket, body in bodies.items()
    )
    told = _encoder.encode(Turn(buckets=buckets, first=first, slices=slices, **head))
    count = 1 + sum(map(len, of_bucket.values()))
    return count, b"".join((_BYTES, len(told).to_bytes(4), told, *bodies.values()))


def turns_of(body: bytes) -> Iterator[tuple[int, Turn, bytes]]:
    """
    What was routed, one turn after another: how many records come before it, its head, and its items.

    Raises:
        codec.UnreadableRecord: these are no turns, or of a format that this release does not know.
    """
    at, before = 0, 0
    while at < len(body):
        begin = at + _HEAD
        end = begin + int.from_bytes(body[at + 1 : begin])
        try:
            turn = _turn.decode(body[begin:end])
        except msgspec.MsgspecError as error:
            raise codec.UnreadableRecord(f"{len(body)} bytes are nothing that was routed: {error}") from error
        if turn.format != FORMAT:
            raise codec.UnreadableRecord(f"what was routed has format {turn.format}, and this release reads {FORMAT}")
        at = end + sum(length for _, length, _ in turn.slices)
        yield before, turn, body[end:at]
        before += 1 + turn.count


def slices_of(body: bytes) -> list[tuple[int, bytes]]:
    """
    Cut what was routed into (bucket, slice), each for its bucket's machine; no item is decoded for it.

    Raises:
        codec.UnreadableRecord: as `turns_of`.
    """
    found: list[tuple[int, bytes]] = []
    for _, turn, rest in turns_of(body):
        at, head = 0, _SLICE + turn.buckets.to_bytes(4) + turn.first.to_bytes(_NUMBER)
        for bucket, length, places in turn.slices:
            found.append((bucket, b"".join((head, len(places).to_bytes(4), places, rest[at : at + length]))))
            at += length
    return found


def items_of(turn: Turn, rest: bytes) -> list[Item]:
    """
    The items of a turn, decoded, those of each bucket together.

    Raises:
        codec.UnreadableRecord: these are none.
    """
    return _items.decode(turn.count, rest)


class Slice(msgspec.Struct, frozen=True, gc=False):
    """Some items of one bucket."""

    buckets: int
    """Of how many buckets this is one."""
    numbers: list[int]
    items: list[Item]


def write_move(moved: Moved) -> bytes:
    """A profile on its way, as a record of the topic of moves."""
    return _MOVE + _encoder.encode(moved)


def read(record: bytes) -> Slice | Moved:
    """
    What a bucket's machine is given.

    Raises:
        codec.UnreadableRecord: it is neither a slice nor a move of this release.
    """
    if record[:1] == _SLICE:
        buckets, first = int.from_bytes(record[1:5]), int.from_bytes(record[5 : 5 + _NUMBER])
        begin = 9 + _NUMBER
        end = begin + int.from_bytes(record[5 + _NUMBER : begin])
        places = array("I", record[begin:end])
        if sys.byteorder == "little":
            places.byteswap()
        return Slice(buckets, [first + place for place in places], _items.decode(len(places), record[end:]))
    try:
        if record[:1] == _MOVE:
            return _moved.decode(record[1:])
    except msgspec.MsgspecError as error:
        raise codec.UnreadableRecord(f"a move of {len(record)} bytes cannot be read: {error}") from error
    raise codec.UnreadableRecord(f"{len(record)} bytes are no slice and no move: they begin with {record[:4].hex()}")


def write_folded(folded: Folded) -> bytes:
    """What came of some items, as a record of the topic of what was folded."""
    return _encoder.encode(folded)


def read_folded(record: bytes) -> Folded:
    """
    The same, read.

    Raises:
        codec.UnreadableRecord: the bytes are none, or of a format that this release does not know.
    """
    try:
        folded = _folded.decode(record)
    except msgspec.MsgspecError as error:
        raise codec.UnreadableRecord(f"{len(record)} bytes are nothing that was folded: {error}") from error
    if folded.format != FORMAT:
        raise codec.UnreadableRecord(f"what was folded has format {folded.format}; this release reads {FORMAT}")
    return folded

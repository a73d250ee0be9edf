"""A checkpoint cut into the slices that one query each writes; little enough work for nobody to wait: no I/O here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from obverse.adapters.postgres import jsonb_text
from obverse.core import times
from obverse.ports.profile_store import Checkpoint, ProfileRow

PROFILES: Final = 150
"""Profiles of one slice."""
CLAIMS: Final = 1000
"""Identifiers of one slice."""
EVENTS: Final = 500
"""Events of one slice."""
REJECTED: Final = 100
"""Rejected events of one slice, of 32 KB at most."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Work:
    """A checkpoint with each profile once and each absorbed profile with its last keeper."""

    profiles: Sequence[ProfileRow]
    keepers: Mapping[bytes, bytes]


def arrange(checkpoint: Checkpoint) -> Work:
    """
    Make a checkpoint ready to be cut.

    Raises:
        ValueError: profiles absorb each other in a circle.
    """
    keepers = {lost: _last_keeper(checkpoint.absorbed, lost) for lost in checkpoint.absorbed}
    latest = {row.id: row for row in checkpoint.profiles if row.id not in keepers}
    # In order of id, so that two writers never wait for each other.
    return Work([latest[one] for one in sorted(latest)], keepers)


def _last_keeper(absorbed: Mapping[bytes, bytes], lost: bytes) -> bytes:
    keeper = absorbed[lost]
    passed = {lost}
    while keeper in absorbed:
        if keeper in passed:
            raise ValueError(f"profile {keeper.hex()} is absorbed by itself: name its keeper")
        passed.add(keeper)
        keeper = absorbed[keeper]
    if keeper in passed:
        raise ValueError(f"profile {keeper.hex()} is absorbed by itself: name its keeper")
    return keeper


def slices(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut into runs of at most so many."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def profile_columns(rows: Sequence[ProfileRow], *, careful: bool) -> tuple[list[Any], ...]:
    """Return the arrays of `profile_queries.WRITE_PROFILES`."""
    return (
        [UUID(bytes=row.id) for row in rows],
        _texts([row.identity_graph for row in rows], careful=careful),
        _texts([row.computed_traits for row in rows], careful=careful),
        _texts([row.attributes for row in rows], careful=careful),
        [row.state for row in rows],
        [times.to_datetime(row.changed_at) for row in rows],
    )


def member_columns(rows: Sequence[ProfileRow]) -> tuple[list[Any], ...]:
    """Return the arrays of `profile_queries.WRITE_MEMBERS`."""
    members = [
        (tidy(audience), UUID(bytes=row.id), number, times.to_datetime(since))
        for row in rows
        for audience, (number, since) in row.audiences.items()
    ]
    audiences, profiles, numbers, moments = zip(*members, strict=True) if members else ((), (), (), ())
    return [UUID(bytes=row.id) for row in rows], list(audiences), list(profiles), list(numbers), list(moments)


def claims(checkpoint: Checkpoint, keepers: Mapping[bytes, bytes], into: dict[str, UUID]) -> Iterator[None]:
    """Note which profile claims each identifier last. Pauses now and then, for others to get their turn."""
    for rows in slices(checkpoint.profiles, PROFILES):
        for row in rows:
            owner = UUID(bytes=keepers.get(row.id, row.id))
            for identifier in row.identifiers:
                into[tidy(identifier)] = owner
        yield


def claim_columns(claimed: Mapping[str, UUID]) -> Iterator[tuple[list[str], list[UUID]]]:
    """Cut into the arrays of `profile_queries.CLAIM`."""
    pairs = iter(claimed.items())
    while part := list(islice(pairs, CLAIMS)):
        yield [identifier for identifier, _ in part], [owner for _, owner in part]


def tidy(value: str) -> str:
    """Return text as PostgreSQL can keep it: as it is, but for NUL and halves of characters."""
    if "\0" in value:
        value = value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not value.isascii():
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _texts(objects: Sequence[bytes], *, careful: bool) -> list[str]:
    if careful:
        return [jsonb_text.force(one).decode() for one in objects]
    sound = not jsonb_text.suspicious(b"".join(objects)) and max(map(len, objects)) <= jsonb_text.LONG
    return [(one if sound else jsonb_text.clean(one)).decode() for one in objects]

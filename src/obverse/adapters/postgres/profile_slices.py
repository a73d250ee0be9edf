"""A checkpoint cut into slices, each little enough work for nobody to wait: no I/O here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from msgspec.structs import replace

from obverse.ports.profile_store import Checkpoint, PackedEvents, ProfileRow

PROFILES: Final = 200
"""Profiles of one slice."""
WRITTEN: Final = 1000
"""Profiles, or identifiers, that one statement writes: the server is busy with it, and with nobody else, for 20 ms."""
CLAIMS: Final = 1000
"""Identifiers of one slice."""
EVENTS: Final = 500
"""Events of one slice."""
DECISIONS: Final = 500
"""Decisions of one slice."""
GROUPS: Final = 200
"""Groups of one slice."""
REJECTED: Final = 100
"""Rejected events of one slice, of 32 KB at most."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Work:
    """A checkpoint with each profile once and each absorbed profile with its last keeper."""

    profiles: Sequence[ProfileRow]
    keepers: Mapping[bytes, bytes]


async def arrange(checkpoint: Checkpoint, pause: Callable[[], Awaitable[None]]) -> Work:
    """
    Make a checkpoint ready to be cut; `pause` lets others have their turns.

    Raises:
        ValueError: profiles absorb each other in a circle.
    """
    keepers = checkpoint.keepers()
    # In order of id, so that two writers never wait for each other; sorted part by part, so that nobody waits for that.
    parts: list[dict[bytes, ProfileRow]] = [{} for _ in range(256)]
    for rows in slices(checkpoint.profiles, 10 * PROFILES):
        for row in rows:
            if row.id not in keepers:
                part = parts[row.id[0]]
                part[row.id] = _latest(part[row.id], row) if row.id in part else row
        await pause()
    ordered: list[ProfileRow] = []
    for some in slices(parts, 16):
        ordered += [part[one] for part in some for one in sorted(part)]
        await pause()
    return Work(ordered, keepers)


def _latest(early: ProfileRow, late: ProfileRow) -> ProfileRow:
    """Two rows of one profile as one: what the later one does not tell is as the earlier one says."""
    return replace(
        late,
        known=late.known or early.known,
        audiences=early.audiences if late.audiences is None else late.audiences,
    )


def slices(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut into runs of at most so many."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def bundles(packed: Sequence[PackedEvents], size: int) -> Sequence[Sequence[PackedEvents]]:
    """Put those that follow each other together, until they are so many events or more."""
    found: list[list[PackedEvents]] = []
    held = size
    for one in packed:
        if held >= size:
            found.append([])
            held = 0
        found[-1].append(one)
        held += len(one)
    return found


def claim(rows: Sequence[ProfileRow], keepers: Mapping[bytes, bytes], owners: dict[str, bytes]) -> None:
    """Note the profile that claims each identifier: the last one, or what holds it now."""
    for row in rows:
        owners.update(dict.fromkeys(row.identifiers, keepers.get(row.id, row.id)))

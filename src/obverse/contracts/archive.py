"""What every `Archive` must prove: events come back as they were, and a piece is there whole or not at all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import pytest

from obverse.core.archives import Archived
from obverse.core.events import Event
from obverse.ports.archive import Archive, Piece
from obverse.ports.outcomes import Unreachable

NOON = 1_767_268_800_000_000
HOUR = 3_600_000_000


def rows(first: int, count: int, name: str = "Viewed") -> list[Archived]:
    """So many events, one a second."""
    return [
        Archived(
            number,
            NOON + number * 1_000_000,
            Event(
                type="track",
                message_id=f"m-{number}",
                source="shop",
                received_at=NOON + number,
                timestamp=NOON - number,
                user_id=f"u-{number % 7}",
                name=name,
                properties=b'{"price": 12.50, "name": "\xc3\xa4\\u0000"}',
            ),
        )
        for number in range(first, first + count)
    ]


UNUSUAL = Event(
    type="identify",
    message_id="\x00ä\n'\"",
    source="",
    received_at=0,
    timestamp=-62_135_596_800_000_000,
    anonymous_id="𝄞",
    properties=b'{"raw": "\xff\xfe"}',
    context=b"[]",
    integrations=b"",
    original_timestamp=253_402_300_799_999_999,
    sent_at=-1,
    group_id="g",
    previous_id="p",
    extra=b'{"a": 1e400}',
)
"""What no SDK sends, and no text can show."""


async def write(archive: Archive, placed: Sequence[Archived], **fields: int) -> Piece:
    """Archive these as one piece."""
    first, end, latest = placed[0].offset, placed[-1].offset + 1, placed[-1].appended_at
    piece = replace(Piece(partition=0, first=first, end=end, period=NOON, latest=latest), **fields)  # type: ignore[arg-type]  # numbers, all of them
    writer = await archive.open_writer(piece.partition)
    for at in range(0, len(placed), 700):
        await writer.add(placed[at : at + 700])
    return await writer.finish(piece)


async def read(archive: Archive, piece: Piece, after: int = 0) -> list[Archived]:
    """All rows of a piece."""
    return [row async for some in archive.read(piece, after=after) for row in some]


class ArchiveContract:
    """Subclass, answer the questions, and every promise is tested."""

    @abstractmethod
    @pytest.fixture
    def archive(self) -> Archive:
        """An empty archive."""

    @abstractmethod
    async def reopen(self, archive: Archive) -> Archive:
        """The same one, as another process finds it after a crash."""

    @abstractmethod
    async def neighbour(self, archive: Archive) -> Archive:
        """That of another workspace at the same place."""

    async def test_events_come_back_as_they_were(self, archive: Archive) -> None:
        placed = [*rows(5, 3), Archived(9, NOON, UNUSUAL), Archived(12, NOON, rows(0, 1)[0].event)]
        piece = await write(archive, placed, first=4, end=20)
        assert piece.rows == 5
        again = await self.reopen(archive)
        assert await again.pieces() == [piece]
        assert await read(again, piece) == placed

    async def test_pieces_are_in_order_of_partition_and_offset(self, archive: Archive) -> None:
        later = await write(archive, rows(100, 10))
        other = await write(archive, rows(0, 10), partition=1, period=NOON + HOUR)
        first = await write(archive, rows(0, 100), period=NOON - HOUR)
        assert await archive.pieces() == [first, later, other]

    async def test_reading_begins_at_an_offset(self, archive: Archive) -> None:
        placed = rows(0, 5_000)
        piece = await write(archive, placed)
        assert await read(archive, piece, after=4_321) == placed[4_321:]
        assert await read(archive, piece, after=5_000) == []

    async def test_nothing_is_seen_of_what_was_not_finished(self, archive: Archive) -> None:
        writer = await archive.open_writer(0)
        await writer.add(rows(0, 50_000))
        assert await archive.pieces() == []
        assert await (await self.reopen(archive)).pieces() == []
        await writer.abandon()
        await writer.abandon()
        piece = await write(archive, rows(0, 10))
        assert await archive.pieces() == [piece]

    async def test_what_a_rule_matches_is_left_out(self, archive: Archive) -> None:
        placed = rows(0, 3_000)
        mixed = [one for pair in zip(placed, rows(3_000, 3_000, "Ordered"), strict=True) for one in pair]
        piece = await write(archive, sorted(mixed, key=lambda row: row.offset))
        left = await archive.leave_out(piece, lambda event: event.name == "Viewed", ["a rule"])
        assert (left.rows, left.followed, left.first, left.end) == (3_000, ("a rule",), 0, 6_000)
        again = await self.reopen(archive)
        assert await again.pieces() == [left]
        assert await read(again, left) == rows(3_000, 3_000, "Ordered")
        empty = await archive.leave_out(left, lambda _: True, ["a rule", "another"])
        assert (await read(archive, empty), empty.rows) == ([], 0)
        assert await archive.pieces() == [empty]

    async def test_what_is_not_there_says_so(self, archive: Archive) -> None:
        with pytest.raises(Unreachable):
            await read(archive, Piece(partition=3, first=7, end=9, period=NOON, latest=NOON))

    async def test_nothing_of_it_is_of_another_workspace(self, archive: Archive) -> None:
        await write(archive, rows(0, 10))
        other = await self.neighbour(archive)
        assert await other.pieces() == []
        await other.close()

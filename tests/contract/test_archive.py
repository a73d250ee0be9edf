"""Every archive keeps its promises."""

from __future__ import annotations

import os
import time
from pathlib import Path

import duckdb
import pytest

from obverse.adapters.memory.archive import MemoryArchiveSettings
from obverse.adapters.memory.archive import open_archive as open_memory
from obverse.adapters.parquet import ParquetArchiveSettings, open_archive
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.archive import NOON, ArchiveContract, read, rows, write
from obverse.ports.archive import Archive
from obverse.ports.outcomes import Unreachable


class TestMemoryArchive(ArchiveContract):
    @pytest.fixture
    async def archive(self) -> Archive:
        return await open_memory(MemoryArchiveSettings(), open_runtime())

    async def reopen(self, archive: Archive) -> Archive:
        return archive

    async def neighbour(self, archive: Archive) -> Archive:
        del archive
        return await open_memory(MemoryArchiveSettings(workspace="other"), open_runtime())


class TestParquetArchive(ArchiveContract):
    @pytest.fixture
    async def archive(self, tmp_path: Path) -> Archive:
        self.folder = tmp_path / "archive"
        return await open_archive(ParquetArchiveSettings(folder=self.folder), open_runtime())

    async def reopen(self, archive: Archive) -> Archive:
        del archive
        return await open_archive(ParquetArchiveSettings(folder=self.folder), open_runtime())

    async def neighbour(self, archive: Archive) -> Archive:
        del archive
        return await open_archive(ParquetArchiveSettings(folder=self.folder, workspace="other"), open_runtime())

    async def test_anybody_reads_it_with_sql(self, archive: Archive) -> None:
        await write(archive, rows(0, 100))
        await write(archive, rows(100, 50, "Ordered"))
        found = duckdb.execute(
            "select name, count(*), sum((properties->>'price')::decimal(9, 2)), min(timestamp at time zone 'UTC') "
            f"from '{self.folder}/main/events/*/*.parquet' group by 1 order by 1"
        ).fetchall()
        assert [(name, count, str(total)) for name, count, total, _ in found] == [
            ("Ordered", 50, "625.00"),
            ("Viewed", 100, "1250.00"),
        ]
        assert str(found[0][3]) == "2026-01-01 11:59:59.999851"

    async def test_a_file_that_is_not_ours_or_damaged_is_told(self, archive: Archive) -> None:
        piece = await write(archive, rows(0, 3))
        (path,) = self.folder.glob("main/events/*/*.parquet")
        duckdb.sql(f"copy (select 1 as a) to '{path.parent}/other.parquet' (format parquet)")
        with pytest.raises(Unreachable, match=r"other.parquet was not written by obverse: move it out"):
            await archive.pieces()
        (path.parent / "other.parquet").unlink()
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(Unreachable, match="cannot read"):
            await read(archive, piece)
        with pytest.raises(Unreachable, match="cannot look into"):
            await (await self.reopen(archive)).pieces()

    async def test_what_somebody_who_was_killed_left_is_removed(self, archive: Archive) -> None:
        folder = self.folder / "main" / "events"
        folder.mkdir(parents=True)
        left, fresh = folder / "1-a.unfinished", folder / "1-b.unfinished"
        for path in (left, fresh):
            path.write_bytes(b"PAR1")
        os.utime(left, (time.time() - 7200,) * 2)
        await write(archive, rows(0, 3), period=NOON)
        assert (left.exists(), fresh.exists()) == (False, True)

    async def test_a_folder_that_cannot_be_written_is_told(self, archive: Archive) -> None:
        self.folder.write_text("a file")
        with pytest.raises(Unreachable, match="cannot write"):
            await write(archive, rows(0, 3))

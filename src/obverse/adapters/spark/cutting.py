"""Cuts the records of `routed` in the task that reads them, and keeps the cutter's few bytes beside the checkpoint."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import pyarrow as pa
from pyarrow import fs

from obverse.adapters.spark.folding import SLICE

KEPT_FILES: Final = 100
"""As many micro-batches as Spark itself can go back by."""

_FULL: Final = 4 << 20
"""Bytes of slices that are passed on together."""
_PARTIAL: Final = ".partial"


class CutterLost(Exception):
    """What the cutter kept is not there any more; the message says where it was looked for."""


class CutterFiles:
    """
    What the cutter kept at the end of each micro-batch, in files named for the offset that comes next.

    It follows from the records before that offset and from nothing else. So whichever attempt writes a file writes
    the same, and a micro-batch that is done again finds the file that it found before, whatever came after it.
    """

    def __init__(self, checkpoint: str) -> None:
        # Hadoop's name for it.
        url = checkpoint.replace("s3a://", "s3://", 1)
        self._files, folder = fs.FileSystem.from_uri(f"{url}/cutter")
        self._folder = str(folder)
        self._files.create_dir(self._folder)

    def before(self, offset: int) -> bytes:
        """
        What was kept when this offset was next; empty if nothing was cut yet.

        Raises:
            CutterLost: micro-batches were cut, but the file for this one is gone.
        """
        names = self._names()
        if not names:
            # Also the first micro-batch may be done again, when there is a file from its end.
            self.keep(offset, b"")
            return b""
        fitting = [name for name in names if int(name) <= offset]
        if not fitting:
            raise CutterLost(
                f"{self._folder} has files for the offsets {names[0]} to {names[-1]}, and none for {offset} of "
                "`routed`: restore the folder with the rest of the checkpoint"
            )
        with self._files.open_input_stream(f"{self._folder}/{fitting[-1]}") as file:
            return bytes(file.read())

    def keep(self, following: int, kept: bytes) -> None:
        """Keep this for when that offset is next, and let go of what is too old to be asked for."""
        path = f"{self._folder}/{following:020d}"
        # Whole or not at all; and two attempts do not write into one file.
        partial = f"{path}.{uuid.uuid4().hex}{_PARTIAL}"
        with self._files.open_output_stream(partial) as file:
            file.write(kept)
        self._files.move(partial, path)
        for name in self._names()[:-KEPT_FILES]:
            self._files.delete_file(f"{self._folder}/{name}")

    def _names(self) -> list[str]:
        found = self._files.get_file_info(fs.FileSelector(self._folder))
        return sorted(info.base_name for info in found if info.base_name.isdecimal())


def cut(words: Mapping[str, Any], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """
    Cut a micro-batch's records of `routed`: rows of (place, record) in, rows of `operators.ARRIVALS` out.

    One task has them all, in their order: the topic has one partition.
    """
    hosted = import_module(words["hosted"])
    files = CutterFiles(words["checkpoint"])
    slices = _Slices()
    cutter, following = None, 0
    for batch in batches:
        for place, value in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            if cutter is None:
                cutter = hosted.open_cutter(words["workspace"], files.before(place))
            for step, (bucket, record) in enumerate(cutter.cut(place, value.as_py())):
                slices.add(bucket, place, step, record)
            following = place + 1
            if slices.size >= _FULL:
                yield slices.batch()
                slices = _Slices()
    if slices.size:
        yield slices.batch()
    if cutter is not None:
        files.keep(following, cutter.kept())


class _Slices:
    """Rows on their way to the buckets."""

    def __init__(self) -> None:
        self.size = 0
        self._buckets: list[int] = []
        self._places: list[int] = []
        self._steps: list[int] = []
        self._records: list[bytes] = []

    def add(self, bucket: int, place: int, step: int, record: bytes) -> None:
        self._buckets.append(bucket)
        self._places.append(place)
        self._steps.append(step)
        self._records.append(record)
        self.size += len(record)

    def batch(self) -> pa.RecordBatch:
        """See `operators.ARRIVALS`."""
        count = len(self._buckets)
        columns = {
            "bucket": pa.array(self._buckets, pa.int32()),
            "source": pa.array([SLICE] * count, pa.int32()),
            "partition": pa.array([0] * count, pa.int32()),
            "place": pa.array(self._places, pa.int64()),
            "step": pa.array(self._steps, pa.int32()),
            "record": pa.array(self._records, pa.binary()),
        }
        return pa.RecordBatch.from_pydict(columns)

"""What the batch job does with rows, in Arrow: the places of people, the events of log and archive, and the fold."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from obverse.adapters._archived_rows import from_batch
from obverse.adapters._buckets.definitions import OURS, Reading
from obverse.adapters._kafka.chain import Chain, Verdict
from obverse.adapters._kafka.records import Foreign, Place, read, unpack
from obverse.adapters.spark.histories.records import Result, count_of, event_of, read_chunk, write
from obverse.core import codec, profiles
from obverse.core.definitions import Definitions, arriving
from obverse.core.events import Event
from obverse.core.profiles import Profile

PLACES: Final = "profile binary, number long, log_partition int, log_offset long, basis binary, event binary"
"""One place of a person, and the event if it is not as the log has it; `number` is its turn in the fold."""
EVENTS: Final = "log_partition int, log_offset long, record binary"
"""One event of the log."""
RESULTS: Final = "value binary"
"""See `records.Result`."""

_BATCH: Final = 2000
"""Rows that are passed on together."""
_KINDS: Final = {"binary": pa.binary(), "long": pa.int64(), "int": pa.int32()}
_events = codec.Decoder(Event)
Words = Mapping[str, Any]
Calls = frozenset[tuple[str, str | None]]
Rows = Iterator[tuple[Any, ...]]


def operator(work: Callable[[Words, Iterable[pa.RecordBatch]], Rows], words: Words, shape: str) -> Any:
    """What `mapInArrow` takes: rows of batches through this work, and in batches of that shape."""
    fields = [pa.field(*_named(one)) for one in shape.split(", ")]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        waiting: list[tuple[Any, ...]] = []
        for row in work(words, batches):
            waiting.append(row)
            if len(waiting) >= _BATCH:
                yield _batch(waiting, fields)
                waiting = []
        if waiting:
            yield _batch(waiting, fields)

    return run


def _named(field: str) -> tuple[str, pa.DataType]:
    name, kind = field.split(" ")
    return name, _KINDS[kind]


def _batch(rows: list[tuple[Any, ...]], fields: list[pa.Field]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def places(words: Words, batches: Iterable[pa.RecordBatch]) -> Rows:
    """Rows of `PLACES` out of records of the topic of people."""
    run = base64.b64decode(words["run"])
    for batch in batches:
        for value in batch.column(0):
            chunk = read_chunk(value.as_py())
            if chunk is None or chunk.run != run:
                continue
            for at, place in enumerate(zip(chunk.partitions, chunk.offsets, strict=True)):
                yield chunk.profile, chunk.first + at, *place, chunk.basis, chunk.events.get(at)


def archived(words: Words, batches: Iterable[pa.RecordBatch]) -> Rows:
    """Rows of `EVENTS` out of the archive's, of the calls that are asked for."""
    calls = calls_of(definitions_of(words))
    for batch in batches:
        partitions = batch.column("partition").to_pylist()
        for partition, one in zip(partitions, from_batch(batch), strict=True):
            if is_of(one.event, calls):
                yield partition, one.offset, codec.encode([one.event])


def logged(words: Words, batches: Iterable[pa.RecordBatch]) -> Rows:
    """
    Rows of `EVENTS` out of the topic of events, of the calls that are asked for; rows are (partition, offset, value).

    Those of a partition come in their order, from the lowest that is kept: so it is known which records count. What is
    damaged is left out.
    """
    calls, chains = calls_of(definitions_of(words)), dict[int, Chain]()
    for batch in batches:
        for number, offset, value in zip(*(batch.column(one).to_pylist() for one in range(3)), strict=True):
            if number not in chains:
                chains[number] = Chain(expected=0 if offset == 0 else None)
            record, chain = read(Place(words["workspace"], "events", number), value), chains[number]
            verdict = chain.take(offset, record)
            if isinstance(record, Foreign):
                continue
            if verdict in {Verdict.MISSING, Verdict.LOST}:
                chain.skip(record)
                verdict = chain.take(offset, record)
            if verdict is Verdict.COUNTS and not record.damage:
                yield from _of_record(number, record.first, record.count, record.body, calls)


def _of_record(number: int, first: int, count: int, body: bytes, calls: Calls) -> Rows:
    damage, packed = unpack(body)
    try:
        events = [] if damage else _events.decode(count, packed)
    except codec.UnreadableRecord:
        return
    for place, event in enumerate(events, first):
        if is_of(event, calls):
            yield number, place, codec.encode([event])


def folded(words: Words, batches: Iterable[pa.RecordBatch]) -> Rows:
    """
    Rows of `RESULTS`; those of a person come one after another, in the order of the fold.

    A row is of `PLACES`, and has the event that was found there last. One that was found twice counts once.
    """
    run, alone = base64.b64decode(words["run"]), definitions_of(words)
    current: _Fold | None = None
    for batch in batches:
        for profile, number, partition, offset, basis, event, record in zip(
            *(batch.column(one).to_pylist() for one in _COLUMNS), strict=True
        ):
            if current is None or current.profile.id != profile:
                if current is not None:
                    yield (current.result(run),)
                current = _Fold(profile, basis, alone)
            current.take(number, (partition, offset), event or record)
    if current is not None:
        yield (current.result(run),)


_COLUMNS: Final = ("profile", "number", "log_partition", "log_offset", "basis", "event", "record")


class _Fold:
    """The history of one person."""

    def __init__(self, profile: bytes, basis: bytes, alone: Definitions) -> None:
        self.profile = Profile(profile)
        self._basis = basis
        self._alone = alone
        self._last = -1
        self._found = 0
        self._first: tuple[int, int] | None = None
        """The place of the first that was found nowhere."""

    def take(self, number: int, place: tuple[int, int], record: bytes | None) -> None:
        if number == self._last:
            return
        self._last = number
        if record is None:
            self._first = self._first or place
        else:
            self._found += 1
            event = event_of(record)
            profiles.apply(self.profile, event, event.stamp, place, self._alone)

    def result(self, run: bytes) -> bytes:
        missing = count_of(self._basis) - self._found
        if missing:
            return write(Result(run, self.profile.id, self._basis, None, missing, *(self._first or (0, 0))))
        packed = profiles.pack_traits(self.profile.traits, self._alone.trait_of_key)
        return write(Result(run, self.profile.id, self._basis, packed))


def definitions_of(words: Words) -> Definitions:
    """The traits that are to be computed, alone."""
    read_definitions = Reading((*OURS, *words["trait_modules"]))
    coming = read_definitions(words["version"], base64.b64decode(words["documents"]))
    return arriving.only(coming.beside, coming)


def calls_of(definitions: Definitions) -> Calls:
    """The types and names of the events that these look at."""
    return frozenset((one.type, one.event) for one in definitions.trait_of_key.values())


def is_of(event: Event, calls: Calls) -> bool:
    """Whether one of these calls is of this event."""
    return (event.type, event.name) in calls or (event.type, None) in calls

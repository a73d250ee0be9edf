"""The program that Flink runs, in Flink's own environment: from the topic `routed` through the buckets to `folded`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import (
    DataStream,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    RuntimeContext,
    StreamExecutionEnvironment,
)
from pyflink.datastream.state import MapState, MapStateDescriptor, ValueState, ValueStateDescriptor
from pyflink.java_gateway import get_gateway
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

HEAD: Final = 4
"""Bytes of the number of the bucket, before each slice and each record of `moves`."""

BYTES: Final = Types.PRIMITIVE_ARRAY(Types.BYTE())
WRITTEN: Final = Types.ROW_NAMED(["topic", "bucket", "record"], [Types.STRING(), BYTES, BYTES])


class StateShelf:
    """A `Shelf` in the keyed state of Flink: what is under the key that is being worked on."""

    def __init__(self, state: MapState) -> None:
        self._state = state

    def get(self, key: bytes) -> bytes | None:
        """See `Shelf.get`."""
        found: bytes | None = self._state.get(key.decode("latin-1"))
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """See `Shelf.put`."""
        self._state.put(key.decode("latin-1"), value)

    def remove(self, key: bytes) -> None:
        """See `Shelf.remove`."""
        self._state.remove(key.decode("latin-1"))

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """See `Shelf.scan`."""
        for key, value in self._state.items():
            yield key.encode("latin-1"), value


class Cut(KeyedProcessFunction):
    """Cuts the records of `routed`, all under one key, into the buckets' slices."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    def open(self, runtime_context: RuntimeContext) -> None:
        """See `KeyedProcessFunction.open`."""
        self._open = import_module(self._told["hosted"]).open_cutter
        self._kept: ValueState = runtime_context.get_state(ValueStateDescriptor("kept", Types.PICKLED_BYTE_ARRAY()))
        self._cutter: Any = None

    def process_element(self, value: Row, _context: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """See `KeyedProcessFunction.process_element`."""
        if self._cutter is None:
            self._cutter = self._open(self._told["workspace"], self._kept.value() or b"")
            self._before = self._cutter.kept()
        slices = self._cutter.cut(value[1], value[0] or b"")
        kept = self._cutter.kept()
        if kept != self._before:
            self._kept.update(kept)
            self._before = kept
        for bucket, piece in slices:
            yield bucket.to_bytes(HEAD, "big") + piece


class Fold(KeyedCoProcessFunction):
    """Gives each bucket's machine its slices, in their order, and what is moved to it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    def open(self, runtime_context: RuntimeContext) -> None:
        """See `KeyedCoProcessFunction.open`."""
        hosted = import_module(self._told["hosted"])
        self._open = hosted.machines(self._told["workspace"], self._told["trait_modules"])
        self._topics = self._told["topics"]
        state = runtime_context.get_map_state(MapStateDescriptor("shelf", Types.STRING(), Types.PICKLED_BYTE_ARRAY()))
        self._shelf = StateShelf(state)
        self._machines: dict[bytes, Any] = {}

    def process_element1(self, value: bytes, context: KeyedCoProcessFunction.Context) -> Iterator[Row]:  # noqa: ARG002 - Flink gives it
        """See `KeyedCoProcessFunction.process_element1`."""
        head = value[:HEAD]
        machine = self._machines.get(head)
        if machine is None:
            machine = self._machines[head] = self._open(int.from_bytes(head, "big"), self._shelf)
        folded, moves = machine.take(value[HEAD:])
        if folded:
            yield Row(self._topics["folded"], head, folded)
        for bucket, record in moves:
            to = bucket.to_bytes(HEAD, "big")
            yield Row(self._topics["moves"], to, to + record)

    def process_element2(self, value: bytes, context: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        """See `KeyedCoProcessFunction.process_element2`."""
        return self.process_element1(value, context)


def keys_of(buckets: int) -> list[int]:
    """For each bucket a key that Flink puts into a group of its own, so that tasks have equally many buckets."""
    jvm = get_gateway().jvm
    assign = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    row = jvm.org.apache.flink.types.Row(1)
    found: dict[int, int] = {}
    key = 0
    while len(found) < buckets:
        row.setField(0, key)
        found.setdefault(assign(row, buckets), key)
        key += 1
    return [found[bucket] for bucket in range(buckets)]


def main(told: Mapping[str, Any]) -> None:
    """Submit the job, and say its id."""
    configuration = Configuration()
    for name, value in told["flink"].items():
        configuration.set_string(name, value)
    # The ready-made ways to an environment take no other cluster than a small one in this process.
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment(
        configuration._j_configuration  # noqa: SLF001 - as said
    )
    environment = StreamExecutionEnvironment(java)
    environment.add_python_file(told["code"])
    tables = StreamTableEnvironment.create(environment)
    # A savepoint is found again by names that hang on nothing else than this program.
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")
    _create_tables(tables, told)

    key_of, one = _BucketKey(keys_of(told["buckets"])), Types.INT()
    # One task reads and cuts: a second one between it and the folding tasks would bring slices into disorder.
    environment.set_parallelism(1)
    routed = tables.to_data_stream(tables.from_path("routed"))
    cut = routed.key_by(lambda _: 0, one).process(Cut(told), BYTES).name("cut").uid("cut")
    moves = tables.to_data_stream(tables.from_path("moves")).map(lambda row: row[0], BYTES).name("moved").uid("moved")
    for stream in (cut, moves):
        _keep_in_one_task(stream)
    environment.set_parallelism(told["parallelism"])
    folding = cut.key_by(key_of, one).connect(moves.key_by(key_of, one)).process(Fold(told), WRITTEN)
    # A group of keys for each bucket.
    folding.name("fold").uid("fold").set_max_parallelism(told["buckets"])
    columns = Schema.new_builder().column("topic", DataTypes.STRING())
    schema = columns.column("bucket", DataTypes.BYTES()).column("record", DataTypes.BYTES()).build()
    result = tables.from_data_stream(folding, schema).execute_insert("written")
    print(json.dumps({"job": str(result.get_job_client().get_job_id())}))  # noqa: T201 - whoever started us reads it


def _keep_in_one_task(stream: DataStream) -> None:
    """
    Say it of each part that leads to a stream.

    What is said of the whole environment would be undone by whoever makes sources of tables, if there are more folding
    tasks than one; then a savepoint of one such job could not be restored by another.
    """
    part = stream._j_data_stream.getTransformation()  # noqa: SLF001 - the tables' own parts are reached in no other way
    while True:
        part.setParallelism(1)
        part.setMaxParallelism(1)
        if part.getInputs().isEmpty():
            return
        part = part.getInputs().get(0)


class _BucketKey:
    def __init__(self, keys: Sequence[int]) -> None:
        self._keys = keys

    def __call__(self, value: bytes) -> int:
        return self._keys[int.from_bytes(value[:HEAD], "big")]


def _create_tables(tables: StreamTableEnvironment, told: Mapping[str, Any]) -> None:
    topics, read = told["topics"], {"scan.startup.mode": "earliest-offset", "scan.parallelism": "1", "format": "raw"}
    kafka = {"connector": "kafka"} | {f"properties.{name}": text for name, text in told["kafka"].items()}

    def create(name: str, columns: str, options: Mapping[str, str]) -> None:
        words = ", ".join(f"{_quoted(option)} = {_quoted(text)}" for option, text in {**kafka, **options}.items())
        tables.execute_sql(f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ({words})")

    create("routed", "record BYTES, place BIGINT METADATA FROM 'offset' VIRTUAL", {"topic": topics["routed"], **read})
    create("moves", "record BYTES", {"topic": topics["moves"], **read})
    create(
        "written",
        "topic STRING METADATA, bucket BYTES, record BYTES",
        {
            "topic": f"{topics['folded']};{topics['moves']}",
            "key.format": "raw",
            "key.fields": "bucket",
            "value.format": "raw",
            "value.fields-include": "EXCEPT_KEY",
            "sink.delivery-guarantee": "at-least-once",
        },
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))

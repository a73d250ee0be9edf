"""The program that Flink runs, in Flink's own environment: from the topic `routed` through the buckets to `folded`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import (
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
        self._parts = import_module(self._told["machine"])
        self._kept: ValueState = runtime_context.get_state(ValueStateDescriptor("kept", Types.PICKLED_BYTE_ARRAY()))
        self._cutter: Any = None

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """See `KeyedProcessFunction.process_element`."""
        if self._cutter is None:
            place = self._parts.Place(self._told["workspace"], self._told["stream"], 0)
            self._cutter = self._parts.Cutter(place, self._kept.value() or b"")
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
        self._machine = import_module(self._told["machine"]).BucketMachine
        state = runtime_context.get_map_state(
            MapStateDescriptor("shelf", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._shelf = StateShelf(state)
        self._machines: dict[bytes, Any] = {}

    def process_element1(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        """See `KeyedCoProcessFunction.process_element1`."""
        head = value[:HEAD]
        machine = self._machines.get(head)
        if machine is None:
            bucket = int.from_bytes(head, "big")
            machine = self._machine(bucket, self._shelf, workspace=self._told["workspace"])
            self._machines[head] = machine
        folded, moves = machine.take(value[HEAD:])
        if folded:
            yield Row(self._told["folded"], head, folded)
        for bucket, record in moves:
            yield Row(self._told["moves"], bucket.to_bytes(HEAD, "big"), record)

    def process_element2(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        """See `KeyedCoProcessFunction.process_element2`."""
        return self.process_element1(value, ctx)


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
    jvm = get_gateway().jvm
    # The ready-made ways to an environment take no other cluster than a small one in this process.
    java = jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment(configuration._j_configuration)
    environment = StreamExecutionEnvironment(java)
    environment.add_python_file(told["code"])
    tables = StreamTableEnvironment.create(environment)
    # A savepoint is found again by names that hang on nothing else than this program.
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")

    def table(name: str, columns: str, **options: str) -> None:
        given = {"connector": "kafka"} | {option.replace("_", "."): text for option, text in options.items()}
        given |= {f"properties.{name}": text for name, text in told["kafka"].items()}
        words = ", ".join(f"{_quoted(name)} = {_quoted(text)}" for name, text in given.items())
        tables.execute_sql(f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ({words})")

    environment.set_parallelism(1)
    source = {"scan.startup.mode": "earliest-offset", "format": "raw", "scan.parallelism": "1"}
    table("routed", "`value` BYTES, `at` BIGINT METADATA FROM 'offset' VIRTUAL", topic=told["routed"], **source)
    table("moves", "`value` BYTES", topic=told["moves"], **source)
    routed = tables.to_data_stream(tables.from_path("routed"))
    keys = keys_of(told["buckets"])
    cut = routed.key_by(lambda _: 0, Types.INT()).process(Cut(told), BYTES).uid("cut").name("cut")
    cut.force_non_parallel()
    moves = tables.to_data_stream(tables.from_path("moves")).map(lambda row: row[0], BYTES).uid("moved").name("moved")
    moves.force_non_parallel()

    def key_of(value: bytes) -> int:
        return keys[int.from_bytes(value[:HEAD], "big")]

    environment.set_parallelism(told["parallelism"])
    written = Types.ROW_NAMED(["topic", "bucket", "record"], [Types.STRING(), BYTES, BYTES])
    folded = (
        cut.key_by(key_of, Types.INT())
        .connect(moves.key_by(key_of, Types.INT()))
        .process(Fold(told), written)
        .uid("fold")
        .name("fold")
        .set_parallelism(told["parallelism"])
    )
    table(
        "folded",
        "`topic` STRING METADATA, `bucket` BYTES, `record` BYTES",
        topic=";".join((told["folded"], told["moves"])),
        **{"key.format": "raw", "key.fields": "bucket", "value.format": "raw", "value.fields-include": "EXCEPT_KEY"},
        **{"sink.delivery-guarantee": "at-least-once"},
    )
    schema = (
        Schema.new_builder()
        .column("topic", DataTypes.STRING())
        .column("bucket", DataTypes.BYTES())
        .column("record", DataTypes.BYTES())
        .build()
    )
    result = tables.from_data_stream(folded, schema).execute_insert("folded")
    print(json.dumps({"job": str(result.get_job_client().get_job_id())}))  # noqa: T201 - whoever started us reads it


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))

"""The two operators of the job, in Spark's terms. Runs where pyspark is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pyspark.sql import Row
from pyspark.sql.streaming import StatefulProcessor

from obverse.adapters.spark import cutting
from obverse.adapters.spark.folding import Arrival, Folding, State
from obverse.adapters.spark.states import SparkMap, SparkMark

ARRIVALS: Final = "bucket int, source int, partition int, place long, step int, record binary"
"""Records for buckets: the bucket, and the fields of `Arrival`."""
LEAVINGS: Final = "topic string, key binary, value binary"
"""Records for Kafka, in the columns that Spark's sink looks for."""


def cutter(words: Mapping[str, Any]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """For `mapInArrow`."""

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        return cutting.cut(words, batches)

    return run


class Buckets(StatefulProcessor):
    """For `transformWithState`, grouped by bucket."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self._folding = Folding(words)

    def init(self, handle: Any) -> None:
        """See `StatefulProcessor.init`."""
        self._shelf = handle.getMapState("shelf", "key binary", "value binary")
        self._mark = handle.getValueState("mark", "nonce binary")

    def handleInputRows(self, key: Any, rows: Iterator[Any], timerValues: Any) -> Iterator[Any]:  # noqa: N802, N803, ARG002 - Spark's names
        """See `StatefulProcessor.handleInputRows`."""
        arrivals = (Arrival(row.source, row.partition, row.place, row.step, bytes(row.record)) for row in rows)
        state = State(SparkMap(self._shelf), SparkMark(self._mark))
        for leaving in self._folding.fold(key[0], arrivals, state):
            yield Row(topic=leaving.topic, key=leaving.key, value=leaving.value)

    def close(self) -> None:
        """See `StatefulProcessor.close`."""
        self._folding.rest()

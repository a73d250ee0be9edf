"""
The program that Spark runs once for an ask: people and events in, what their histories give out.

Its one argument is a file of JSON, of `answering.batch_words`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from obverse.adapters.spark.histories.computing import (
    EVENTS,
    PLACES,
    RESULTS,
    archived,
    calls_of,
    definitions_of,
    folded,
    logged,
    operator,
    places,
)

_PLACE: Final = ["log_partition", "log_offset"]


def compute(spark: SparkSession, words: Mapping[str, Any]) -> None:
    """Write what everybody's history gives."""
    people = _read(spark, words, "people", words["begin"], words["end"]).select("value")
    wanted = people.mapInArrow(operator(places, words, PLACES), PLACES)
    found = wanted.join(_events(spark, words), _PLACE, "left")
    # Each person's rows in one task, in the order of the fold.
    theirs = found.repartition("profile").sortWithinPartitions("profile", "number")
    writer = theirs.mapInArrow(operator(folded, words, RESULTS), RESULTS).write.format("kafka")
    for name, value in words["writing"].items():
        writer = writer.option(f"kafka.{name}", value)
    writer.option("topic", words["topics"]["given"]).save()


def _events(spark: SparkSession, words: Mapping[str, Any]) -> DataFrame:
    """What the log has, and, of what it has no more, what is archived."""
    stored = _read(spark, words, "events").select("partition", "offset", "value")
    events = stored.mapInArrow(operator(logged, words, EVENTS), EVENTS)
    if words["archive"]:
        try:
            files = spark.read.parquet(words["archive"])
        except AnalysisException as error:
            if error.getCondition() != "PATH_NOT_FOUND":
                raise
            # Whose events nobody has is told of each person.
            print(f"obverse: nothing is archived in {words['archive']}", flush=True)  # noqa: T201 - for the driver's log
            return events
        old = files.where(_is_gone(words)).where(_is_of(words))
        events = events.union(old.mapInArrow(operator(archived, words, EVENTS), EVENTS))
    return events


def _is_gone(words: Mapping[str, Any]) -> Any:
    """Whether the log has an archived event no more."""
    gone = sql.lit(False)  # noqa: FBT003 - Spark's own
    for partition, first in words["kept"].items():
        gone |= (sql.col("partition") == int(partition)) & (sql.col("offset") < first)
    return gone


def _is_of(words: Mapping[str, Any]) -> Any:
    """Whether an archived event is of a call that is asked for: what can be passed over whole, is."""
    of = sql.lit(False)  # noqa: FBT003 - as above
    for kind, name in calls_of(definitions_of(words)):
        of |= (sql.col("type") == kind) & (sql.lit(True) if name is None else sql.col("name") == name)  # noqa: FBT003 - as above
    return of


def _read(spark: SparkSession, words: Mapping[str, Any], stream: str, begin: int = -2, end: int = -1) -> DataFrame:
    """A topic, from the lowest offset that is kept to the end, or a part of one that has one partition."""
    topic = words["topics"][stream]
    reader = spark.read.format("kafka").option("subscribe", topic).option("failOnDataLoss", "false")
    for name, value in words["reading"].items():
        reader = reader.option(f"kafka.{name}", value)
    if begin >= 0:
        reader = reader.options(
            startingOffsets=f'{{"{topic}":{{"0":{begin}}}}}', endingOffsets=f'{{"{topic}":{{"0":{end}}}}}'
        )
    return reader.load()


if __name__ == "__main__":
    compute(SparkSession.builder.getOrCreate(), json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

"""
The program that Spark runs: `routed` and `moves` from Kafka, through the buckets, to `folded` and `moves`.

Its one argument is a file of JSON, of `settings.job_words`. From the first micro-batch on `progress.json` stands beside
it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from obverse.adapters.spark.folding import MOVE
from obverse.adapters.spark.operators import ARRIVALS, LEAVINGS, Buckets, cutter

READY: Final = "obverse: folding"
_LOOK: Final = 1.0
"""Seconds between two looks at how far the query is."""


def start(spark: SparkSession, words: Mapping[str, Any]) -> Any:
    """Start the query: from its checkpoint, or from the beginning of both topics."""
    routed = _read(spark, words, "routed", maxOffsetsPerTrigger=str(words["batch_records"]))
    slices = routed.select(sql.col("offset"), sql.col("value")).mapInArrow(cutter(words), ARRIVALS)
    moves = _read(spark, words, "moves").select(
        sql.conv(sql.hex(sql.col("key")), 16, 10).cast("int").alias("bucket"),
        sql.lit(MOVE).alias("source"),
        sql.col("partition"),
        sql.col("offset").alias("place"),
        sql.lit(0).alias("step"),
        sql.col("value").alias("record"),
    )
    leavings = slices.union(moves).groupBy("bucket").transformWithState(Buckets(words), LEAVINGS, "append", "none")
    writer = leavings.writeStream.format("kafka").outputMode("append").queryName("fold")
    for name, value in words["writing"].items():
        writer = writer.option(f"kafka.{name}", value)
    if words["once"]:
        writer = writer.trigger(availableNow=True)
    return writer.option("checkpointLocation", words["checkpoint"]).start()


def _read(spark: SparkSession, words: Mapping[str, Any], stream: str, **more: str) -> DataFrame:
    reader = spark.readStream.format("kafka").option("subscribe", words["topics"][stream])
    for name, value in words["reading"].items():
        reader = reader.option(f"kafka.{name}", value)
    tries = {"fetchOffset.numRetries": words["tries"]}
    return reader.options(startingOffsets="earliest", **tries, **more).load()


def main(path: Path) -> None:
    """Run until the query ends: by an error, or, if it is to run once, because nothing is left."""
    words = json.loads(path.read_text(encoding="utf-8"))
    spark = SparkSession.builder.getOrCreate()
    while True:
        query = start(spark, words)
        print(READY, flush=True)  # noqa: T201 - whoever submitted it waits for these words
        _watch(query, path.with_name("progress.json"))
        # What buckets sent each other meanwhile was not there when it began.
        if not any(progress.numInputRows for progress in query.recentProgress):
            return


def _watch(query: Any, path: Path) -> None:
    told = None
    while not query.awaitTermination(_LOOK):
        progress = query.lastProgress
        if progress is not None and progress.batchId != told:
            told = progress.batchId
            _tell(path, progress.json)


def _tell(path: Path, progress: str) -> None:
    """Replace the file: whoever reads it finds the whole of one or the other."""
    partial = path.with_suffix(".partial")
    partial.write_text(progress, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

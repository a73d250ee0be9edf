"""What is set of an engine in Spark, and what Spark and its job are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from obverse.adapters._buckets.hosted import HostedSettings
from obverse.adapters._kafka.folded import FOLDED, MOST_MESSAGE, MOVES
from obverse.adapters._kafka.java_client import java_client
from obverse.ports.event_log import Stream

HOSTED: Final = "obverse.adapters.spark.hosted"
"""The module that has the cutter and the machines."""
HISTORIES: Final = ("store", "kafka", "archive")
"""See `SparkSettings.history`."""

_ANSWER_MS: Final = "10000"
"""Milliseconds for an answer of a broker."""
_TRIES: Final = "10"
"""How often it is asked where the topics end before the job gives up, and is submitted again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSettings(HostedSettings):
    """The `[engine.spark]` table of the settings file."""

    folder: str = "spark"
    """Where the checkpoint is kept: a path that driver and executors share, or a URL such as `hdfs://…`, `s3a://…`."""

    master: str = ""
    """`spark://host:port` of a cluster that somebody else runs; empty: one on this machine."""

    home: str = ""
    """Spark's environment; empty: beside ours (`make spark`)."""

    cores: int = 2
    """Executors, each with one core, since Python in it has one lock: the tasks are shared out among them."""

    tasks: int = 4
    """
    Parts into which the buckets are divided; of more cores than that some do nothing.

    It cannot be changed while the checkpoint stands. Each costs some milliseconds a micro-batch.
    """

    batch_records: int = 500
    """
    Most records of what was routed in one micro-batch; one holds what was routed at once, at most some 1,000 events.

    All of a bucket's slices in a micro-batch are in memory together.
    """

    driver_mb: int = 512
    """Java's heap of the driver."""

    executor_mb: int = 768
    """Java's heap of an executor. Its Python, with the awake profiles, comes beside it."""

    executor_java: str = ""
    """More that the executors' Java is told, such as `-XX:TieredStopAtLevel=1` where they live for minutes only."""

    history: str = "store"
    """
    Where a changed trait's history comes from: `store`, or a batch job of Spark, which reads `kafka`, or the `archive`
    and of Kafka what is not there yet.
    """

    history_cores: int = 1
    """Cores of that job. On a cluster that somebody else runs they are taken beside those above."""

    archive: str = ""
    """Where the archive is: a path, or a URL that all machines reach; empty: where `[archive.parquet]` says."""

    trait_modules: list[str] = field(default_factory=list)
    """Beginnings of further modules whose kinds of traits may be folded with, such as `acme.traits.`."""

    def __post_init__(self) -> None:
        # Not `super()`: a dataclass with slots is another class than the one that this was written in.
        HostedSettings.__post_init__(self)
        for name, least, most in (
            ("cores", 1, 1024),
            ("tasks", 1, 1024),
            ("batch_records", 1, 1_000_000),
            ("driver_mb", 512, 1 << 20),
            ("executor_mb", 512, 1 << 20),
            ("history_cores", 1, 1024),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"engine.spark.{name} is {getattr(self, name)}: choose {least} to {most}")
        if self.master and not self.master.startswith("spark://"):
            raise ValueError(f"engine.spark.master is {self.master!r}: write it as spark://host:port")
        if self.history not in HISTORIES:
            raise ValueError(f"engine.spark.history is {self.history!r}: choose one of {', '.join(HISTORIES)}")
        if self.history == "archive" and not self.archive:
            raise ValueError(
                'engine.spark.history is "archive", and nothing is archived: set archive.adapter = "parquet", or name '
                "in engine.spark.archive where the files are"
            )

    def place(self) -> str:
        """The folder, as Spark names it."""
        return url_of(self.folder)

    @property
    def in_batch(self) -> bool:
        """Whether Spark computes histories."""
        return self.history != "store"


def url_of(place: str) -> str:
    """A path or URL, as Spark names it."""
    return place.rstrip("/") if "://" in place else Path(place).absolute().as_uri()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """What a job hosts, and for how long."""

    module: str = HOSTED
    """Another one for tests of what surrounds it."""
    files: Sequence[Path] = ()
    """Modules that go with the job."""
    once: bool = False
    """Whether the job ends when it has folded all that the topics hold, and what comes of that."""


def job_name(settings: SparkSettings) -> str:
    """By which a running job is found."""
    log = settings.log()
    return f"{log.prefix}.{log.workspace}"


def job_words(settings: SparkSettings, hosted: Hosted) -> dict[str, object]:
    """What the job is told, as JSON."""
    log = settings.log()
    clients = java_client(log)
    much = str(MOST_MESSAGE)
    return {
        "workspace": log.workspace,
        "checkpoint": settings.place(),
        "once": hosted.once,
        "hosted": hosted.module,
        "trait_modules": settings.trait_modules,
        "batch_records": settings.batch_records,
        "topics": {stream: log.topic(stream) for stream in (str(Stream.ROUTED), MOVES, FOLDED)},
        # A topic of one partition is fetched by one consumer: much at a time.
        "reading": {
            **clients,
            "max.partition.fetch.bytes": much,
            "fetch.max.bytes": much,
            # Whoever asks a dead broker where a topic ends goes on doing so for so long; whoever asks anew does not.
            "request.timeout.ms": _ANSWER_MS,
            "default.api.timeout.ms": _ANSWER_MS,
        },
        "tries": _TRIES,
        "writing": {**clients, "linger.ms": "5", "batch.size": str(256 << 10)},
    }


def history_words(settings: SparkSettings) -> dict[str, str]:
    """What Spark is told of such a job. On one machine its driver does all the work."""
    cores = settings.history_cores
    return _any_words(settings) | {
        "spark.app.name": f"{job_name(settings)}.histories",
        "spark.cores.max": str(cores),
        "spark.driver.memory": f"{settings.driver_mb if settings.master else settings.executor_mb}m",
        "spark.sql.shuffle.partitions": str(4 * cores),
        # A record of the log may have a megabyte, a place of a person a few bytes.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(16 << 20),
        # As the archive's times are.
        "spark.sql.session.timeZone": "UTC",
    }


def _any_words(settings: SparkSettings) -> dict[str, str]:
    """What Spark is told of any job."""
    return {
        "spark.executor.cores": "1",
        "spark.executor.memory": f"{settings.executor_mb}m",
        "spark.driver.memory": f"{settings.driver_mb}m",
        "spark.executor.extraJavaOptions": f"-XX:+UseSerialGC {settings.executor_java}".strip(),
        # The driver only plans: what it would gain by better code it loses while that is made.
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.ui.enabled": "false",
        # Python and Java of one machine speak through files that nobody else may open.
        "spark.python.unix.domain.socket.enabled": "true",
    }


def spark_words(settings: SparkSettings) -> dict[str, str]:
    """What Spark is told of the job."""
    states = "spark.sql.streaming.stateStore"
    return _any_words(settings) | {
        "spark.app.name": job_name(settings),
        "spark.cores.max": str(settings.cores),
        "spark.sql.shuffle.partitions": str(settings.tasks),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
        f"{states}.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
        f"{states}.rocksdb.changelogCheckpointing.enabled": "true",
        # To count the rows it would read each before it is written.
        f"{states}.rocksdb.trackTotalNumberOfRows": "false",
        "spark.sql.streaming.noDataMicroBatches.enabled": "false",
        "spark.sql.streaming.numRecentProgressUpdates": "10",
    }

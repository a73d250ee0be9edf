"""What a worker does where Flink or Spark folds: it routes, and keeps what came of it. Kafka is between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from obverse.adapters._buckets.engine import BucketedEngine, BucketedSettings
from obverse.adapters._buckets.histories import Elsewhere
from obverse.adapters._buckets.items import BUCKETS
from obverse.adapters._buckets.routing import RouterSettings
from obverse.adapters._kafka.folded import KafkaFoldedSource, make_topics
from obverse.adapters._kafka.settings import KafkaLogSettings
from obverse.ports.engine import Engine, EngineParts

MOST_BUCKETS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedSettings:
    """What `[engine.flink]` and `[engine.spark]` have in common."""

    workspace: str = "main"
    partitions: int = 1
    kafka: dict[str, Any] = field(default_factory=dict, repr=False)
    """The `[event_log.kafka]` table, for the topics of engines are where the log is."""

    buckets: int = BUCKETS
    """
    Shares of the profiles; each is folded by one task at a time. Never changed once profiles were folded.

    More of them than tasks that will ever fold; few enough that each gets some tens of events at once.
    """

    topic_partitions: int = 4
    """Partitions of the topics by which engines send each other profiles, and tell what came of the fold."""

    checkpoint_seconds: float = 2.0
    """Longest time between two checkpoints in the store while few events come."""

    busy_seconds: float = 10.0
    """The same while many do."""

    def __post_init__(self) -> None:
        for name, least, most in (("buckets", 1, MOST_BUCKETS), ("topic_partitions", 1, 1024)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"engine: {name} is {getattr(self, name)}: choose {least} to {most}")

    def log(self) -> KafkaLogSettings:
        """
        Where Kafka is.

        Raises:
            ValueError: it is not said, or cannot be used.
        """
        if not self.kafka.get("servers"):
            raise ValueError(
                "event_log.kafka.servers is not set: an engine that folds elsewhere is told by Kafka what to do; name "
                "at least one broker, such as kafka-1:9092"
            )
        return KafkaLogSettings(**{"workspace": self.workspace, "partitions": self.partitions, **self.kafka})


async def open_hosted(settings: HostedSettings, parts: EngineParts, elsewhere: Elsewhere | None = None) -> Engine:
    """
    Make the engine of a worker whose profiles are folded elsewhere, and histories too, if that is given.

    Raises:
        ValueError: Kafka is not set.
        Unreachable, AccessRefused: its topics cannot be made.
    """
    log = settings.log()
    await make_topics(log, settings.topic_partitions)
    works = BucketedSettings(
        router=RouterSettings(
            buckets=settings.buckets, keep_seconds=settings.checkpoint_seconds, busy_seconds=settings.busy_seconds
        ),
    )
    return BucketedEngine(works, parts, lambda: KafkaFoldedSource(log), elsewhere)

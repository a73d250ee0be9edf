"""Partitions of a layout: how many each stream needs, on which brokers they are, what the busiest of these carries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Final

from obverse.apps.bench.layout.asked import MB, Asked, TooMuch
from obverse.ports.event_log import Stream

FOLDED: Final = "folded"
MOVES: Final = "moves"
APPENDERS: Final = "appenders"
"""As Kafka's adapters call them: topics beside the streams of the log."""
MOST: Final = 1024
"""Partitions that can be set."""


class Split(Enum):
    """What may be cut into partitions."""

    ANYHOW = auto()
    """Each collector takes partitions of its own."""
    BY_BUCKET = auto()
    """All of a bucket is in one partition, for its order counts."""
    NOT = auto()
    """One task writes it in one order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What goes through Kafka, of one workspace."""

    name: str
    size: float = 0.0
    """Bytes for each event."""
    readers: int = 1
    split: Split = Split.NOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """What one broker carries, in MB a second."""

    partitions: int
    """Copies included."""
    comes: float
    goes: float


def topics_of(asked: Asked) -> Sequence[Topic]:
    """All topics of a workspace whose profiles are folded in buckets."""
    sizes = asked.sizes
    return (
        # The router, and the archive.
        Topic(name=Stream.EVENTS, size=sizes.logged, readers=2, split=Split.ANYHOW),
        Topic(name=Stream.REJECTED, split=Split.ANYHOW),
        Topic(name=Stream.DECISIONS, size=sizes.decisions),
        # Who writes to CRMs, and who sends mails.
        Topic(name=Stream.CHANGES, size=sizes.changes, readers=2),
        Topic(name=Stream.ROUTED, size=sizes.logged),
        Topic(name=FOLDED, size=sizes.folded, split=Split.BY_BUCKET),
        Topic(name=MOVES, size=sizes.moves, split=Split.BY_BUCKET),
        Topic(name=APPENDERS, readers=0),
    )


def most_in_one_order(asked: Asked) -> float:
    """Events a second of one workspace that the partition takes which there can be only one of."""
    largest = max(topic.size for topic in topics_of(asked) if topic.split is Split.NOT)
    return asked.habits.partition_mb * MB / largest


def traffic(asked: Asked, copies: int) -> tuple[float, float]:
    """Bytes for each event that come to brokers, and that go from them; those between them are in both."""
    topics = topics_of(asked)
    comes = sum(topic.size for topic in topics) * copies
    goes = sum(topic.size * (copies - 1 + topic.readers) for topic in topics)
    return comes, goes


def partitioned(asked: Asked, rate: float, weights: Sequence[float]) -> Mapping[str, Sequence[float]]:
    """
    What each partition of each topic of a workspace carries, in MB a second; `weights`: of its buckets.

    There are as many of them as keep each below `partition_mb`. One collector takes everything in (`layout_of`), so
    bytes alone count, of events too.

    Raises:
        TooMuch: no number is enough.
    """
    habits, topics = asked.habits, topics_of(asked)
    events = max(1, math.ceil(rate * asked.sizes.logged / MB / habits.partition_mb))
    by_bucket = max(topic.size for topic in topics if topic.split is Split.BY_BUCKET) * rate / MB
    hosted = _fewest(by_bucket, weights, habits.partition_mb)
    shares = {
        Split.ANYHOW: [1 / events] * events,
        Split.BY_BUCKET: _shares(weights, hosted),
        Split.NOT: [1.0],
    }
    return {topic.name: [share * topic.size * rate / MB for share in shares[topic.split]] for topic in topics}


def _fewest(whole: float, weights: Sequence[float], bound: float) -> int:
    for partitions in range(max(1, math.ceil(whole / bound)), MOST + 1):
        if max(_shares(weights, partitions)) * whole <= bound:
            return partitions
    raise TooMuch(
        f"what comes of the busiest of {len(weights)} buckets is {max(weights) * whole:.1f} MB/s, and a partition "
        f"takes {bound:g}: raise the number of buckets or of workspaces, or what a partition takes"
    )


def _shares(weights: Sequence[float], partitions: int) -> list[float]:
    """Of what goes by bucket, the share that each partition has."""
    shares = [0.0] * partitions
    for bucket, weight in enumerate(weights):
        shares[partition_of(bucket.to_bytes(4, "big"), partitions)] += weight
    return shares


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's Java client puts a key: by a hash, so one partition may have several buckets and another none."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """
    The hash of that client (`org.apache.kafka.common.utils.Utils.murmur2`), as a number without a sign.

    >>> murmur2(b"foobar") - 2**32
    -790332482
    """
    many, mask = 0x5BD1E995, 0xFFFFFFFF
    found, whole = 0x9747B28C ^ len(key), len(key) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * many & mask
        found = (found * many & mask) ^ ((word ^ word >> 24) * many & mask)
    if key[whole:]:
        found = (found ^ int.from_bytes(key[whole:], "little")) * many & mask
    found = (found ^ found >> 13) * many & mask
    return found ^ found >> 15


def brokers_of(
    asked: Asked, topics: Mapping[str, Sequence[float]], *, cells: int, brokers: int, seed: int
) -> Sequence[Broker]:
    """
    What each broker carries of so many workspaces.

    As Kafka places them: a topic begins at a broker by chance, each further partition is led by the next one, and its
    copies are on those that follow.
    """
    copies, random = min(asked.habits.replication, brokers), Random(seed)  # noqa: S311 - the same seed gives the same
    readers = {topic.name: topic.readers for topic in topics_of(asked)}
    counts, comes, goes = [0] * brokers, [0.0] * brokers, [0.0] * brokers
    for name in [*topics] * cells:
        begin = random.randrange(brokers)
        for number, carried in enumerate(topics[name], begin):
            for copy in range(copies):
                counts[(number + copy) % brokers] += 1
                comes[(number + copy) % brokers] += carried
            goes[number % brokers] += carried * (readers[name] + copies - 1)
    return [Broker(partitions=one, comes=into, goes=out) for one, into, out in zip(counts, comes, goes, strict=True)]

"""The client library's own codes of errors, whose names begin with an underscore though they are documented."""

# ruff: noqa: SLF001 - that is how the library spells them

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

AUTHENTICATION: Final = KafkaError._AUTHENTICATION
SSL: Final = KafkaError._SSL
INVALID_ARGUMENT: Final = KafkaError._INVALID_ARG

AT_END: Final = KafkaError._PARTITION_EOF
"""No error: the end of a partition was reached."""

NOBODY: Final = KafkaError._ALL_BROKERS_DOWN
"""Of those that were tried so far; the client goes on."""

MOVED: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
"""Kafka no longer keeps what was to be read, or not yet."""

UNSETTLED: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""A topic was just made, or its leader has just changed: it is asked again."""

PASSING: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT, KafkaError._DESTROY_BROKER}
)
"""Of one broker: the client goes on with another one, or with this one as soon as it is back."""

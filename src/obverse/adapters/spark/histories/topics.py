"""The topics between a router and who computes histories for it."""

from __future__ import annotations

from typing import Final

from obverse.adapters._kafka.clients import FAILURES, Topics, trouble
from obverse.adapters._kafka.folded import MOST_MESSAGE
from obverse.adapters._kafka.settings import KafkaLogSettings
from obverse.adapters.spark.histories.records import ASKS, GIVEN, PEOPLE

LOOK: Final = 0.5
"""Seconds between two looks at what has come."""
_WEEK: Final = str(7 * 24 * 3600 * 1000)


async def make_history_topics(settings: KafkaLogSettings) -> None:
    """
    See that they are there; each has one partition, and what is in them is of no use a week later.

    Raises:
        Unreachable, AccessRefused: they cannot be made.
    """
    config = {
        "cleanup.policy": "delete",
        "min.insync.replicas": str(settings.min_insync),
        "max.message.bytes": str(MOST_MESSAGE),
        "retention.ms": _WEEK,
        "retention.bytes": "-1",
    }
    names = [settings.topic(one) for one in (ASKS, PEOPLE, GIVEN)]
    try:
        await Topics(settings).ensure(dict.fromkeys(names, 1), dict.fromkeys(names, config))
    except FAILURES as error:
        raise trouble(error, "make the topics of histories", settings) from error

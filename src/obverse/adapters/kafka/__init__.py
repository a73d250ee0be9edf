"""The log in Apache Kafka: one topic a stream, one record a group commit, and no transactions."""

from obverse.adapters._kafka.settings import KafkaLogSettings
from obverse.adapters.kafka.event_log import open_event_log

__all__ = ["KafkaLogSettings", "open_event_log"]

"""
The log in Apache Kafka: one topic a stream, one record a group commit, and no transactions.

Needs the extra `kafka`; what needs it is imported when a log is opened.
"""

from obverse.adapters.kafka.opening import open_event_log
from obverse.adapters.kafka.settings import KafkaLogSettings

__all__ = ["KafkaLogSettings", "open_event_log"]

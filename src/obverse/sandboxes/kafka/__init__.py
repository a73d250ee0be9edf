"""Apache Kafka on this machine: real brokers in KRaft mode, as child processes, for the demo, benchmarks and tests."""

from obverse.sandboxes.kafka.broker import Broker
from obverse.sandboxes.kafka.cluster import KafkaSandbox, open_kafka_sandbox

__all__ = ["Broker", "KafkaSandbox", "open_kafka_sandbox"]

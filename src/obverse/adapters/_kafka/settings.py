"""What is set of a log in Kafka, in its own words and in those of its client library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from obverse.ports.event_log import TAKEN

MOST_PARTITIONS: Final = 1024
MOST_BYTES: Final = 2 * TAKEN
"""Of one record: a group's limit and one call together, and what packing may add to bytes that cannot be packed."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST_NAME: Final = 249
_PROTOCOLS: Final = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaLogSettings:
    """The `[event_log.kafka]` table of the settings file."""

    servers: str
    """Brokers to begin with: `host:port`, separated by commas."""

    workspace: str = "main"
    partitions: int = 1
    """Partitions of the streams of events and of rejected events. The other streams have one."""

    prefix: str = "obverse"
    """Topics are named `prefix.workspace.stream`."""

    reader: str = ""
    """Kafka's own tools show how far this process reads as the group `prefix.workspace.reader`; not if it is empty."""

    replication: int = 3
    """Copies of each topic that is made."""

    min_insync: int = 2
    """Copies that must have a record before it is acknowledged (`min.insync.replicas`)."""

    flush: bool | None = None
    """Whether a record must be on the disk before it is acknowledged; if not set, where no other broker has a copy."""

    security: str = "plaintext"
    """`plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`."""

    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    """PEM of who signs the brokers' certificates; what the machine trusts, if empty."""

    certificate_file: str = ""
    """PEM of our own certificate, where brokers ask for one."""

    key_file: str = ""
    key_password: str = field(default="", repr=False)

    linger_ms: float = 3.0
    """How long an append of events, or of rejected events, waits for others to be written with it."""

    pace_ms: float = 10.0
    """The least time between two groups, if that is longer; a full group waits for neither."""

    group_bytes: int = 1_048_576
    """Bytes at which it waits no longer."""

    delivery_ms: int = 10_000
    """After so long without an answer one is given up; of a group of appends nothing is known then."""

    lease_ms: int = 3_000
    """A former appender that has said nothing for so long is waited for no longer."""

    def __post_init__(self) -> None:
        if not self.servers.strip():
            raise ValueError("event_log.kafka.servers is empty: name at least one broker, such as kafka-1:9092")
        if not _NAME.fullmatch(f"{self.prefix}.{self.workspace}"):
            raise ValueError(
                f"event_log.kafka.prefix is {self.prefix!r} and the workspace {self.workspace!r}: a topic's name takes "
                "letters, digits, dots, dashes and underscores alone"
            )
        if len(self.topic("appenders")) > _LONGEST_NAME:
            raise ValueError(f"event_log.kafka.prefix is {len(self.prefix)} characters long: a topic's name has 249")
        if self.security not in _PROTOCOLS:
            raise ValueError(f"event_log.kafka.security is {self.security!r}: choose one of {', '.join(_PROTOCOLS)}")
        for name, least, most in (
            ("partitions", 1, MOST_PARTITIONS),
            ("replication", 1, 32),
            ("min_insync", 1, self.replication),
            ("linger_ms", 0, 1000),
            ("pace_ms", 0, 1000),
            ("group_bytes", 1, TAKEN),
            ("delivery_ms", 1000, 300_000),
            ("lease_ms", 500, 300_000),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"event_log.kafka.{name} is {getattr(self, name)}: choose {least} to {most}")

    @property
    def flushes(self) -> bool:
        """Whether a record must be on the disk before it is acknowledged."""
        return self.replication == 1 if self.flush is None else self.flush

    def topic(self, stream: str) -> str:
        """The topic of a stream."""
        return f"{self.prefix}.{self.workspace}.{stream}"

    def client(self) -> dict[str, Any]:
        """What every client of the library is told."""
        told: dict[str, Any] = {
            "bootstrap.servers": self.servers,
            "client.id": "obverse",
            "security.protocol": self.security,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "socket.timeout.ms": 10_000,
            "topic.metadata.refresh.fast.interval.ms": 50,
            "allow.auto.create.topics": False,
            # What it would print to stderr comes to us as errors.
            "log_level": 0,
        }
        if self.security.startswith("sasl"):
            told |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        files = {
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.certificate_file,
            "ssl.key.location": self.key_file,
            "ssl.key.password": self.key_password,
        }
        return told | {name: value for name, value in files.items() if value}

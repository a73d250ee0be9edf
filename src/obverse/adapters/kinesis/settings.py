"""The settings of the log in Amazon Kinesis."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from obverse.adapters.kinesis.records import MOST_PARTITIONS
from obverse.ports.event_log import TAKEN, Stream, partitions_of

_MOST_NAME = 128
_YEAR = 8760
_DAY = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class KinesisLogSettings:
    """The `[event_log.kinesis]` table of the settings file."""

    dsn: str = field(repr=False)
    """
    PostgreSQL, which says who may append: Kinesis has no fences. A pooler in between must keep sessions, for the
    appender's locks are the session's.
    """

    workspace: str = "main"
    partitions: int = 1
    """Partitions of the streams of events and of rejected events. The other streams have one."""

    region: str = ""
    """Such as `eu-central-1`; empty: as AWS' own settings say (AWS_REGION, ~/.aws/config)."""

    endpoint_url: str = ""
    """Another server than Amazon's, or a VPC endpoint; empty: Amazon's of the region."""

    stream_prefix: str = "obverse"
    """The streams are called PREFIX-WORKSPACE-STREAM."""

    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    """Empty, as all three should be wherever a role can be had: found as AWS' own tools find them."""

    create_streams: bool = True
    """Whether streams that are not there are created. Without it somebody must have created them."""

    shards: int = 0
    """Shards that the stream of events is created with; 0: one a partition, rounded up to a power of two."""

    retention_hours: int = 168
    """How long Kinesis keeps what was appended: 24 to 8760. It is raised where it is less, and never lowered."""

    decisions_retention_hours: int = 8760
    """The same for decisions, without which a replay would find other people."""

    poll_ms: float = 200.0
    """The least time between two looks at a shard. Kinesis allows 5 a second to all readers together."""

    look_ms: float = 5000.0
    """After how long a shard is looked at though no append was announced."""

    linger_ms: float = 3.0
    """How long an append waits for others to be put with it."""

    pace_ms: float = 10.0
    """The least time between two puts, if that is longer; a full group waits for neither."""

    group_bytes: int = 1_048_576
    """Bytes at which it waits no longer."""

    give_up_seconds: float = 10.0
    """For how long an append is put again, if Kinesis takes nothing of it, before its caller is told."""

    position_seconds: float = 10.0
    """How often the position of an offset is noted: a reader reads up to so much that is before its mark."""

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= MOST_PARTITIONS:
            raise ValueError(f"event_log.partitions is {self.partitions}: choose 1 to {MOST_PARTITIONS}")
        for stream in Stream:
            name = self.name_of(stream)
            if not re.fullmatch(r"[a-zA-Z0-9_.-]+", name) or len(name) > _MOST_NAME:
                raise ValueError(
                    f"event_log.kinesis.stream_prefix is {self.stream_prefix!r} and the workspace {self.workspace!r}: "
                    f"a stream cannot be called {name!r}; use letters, digits, _, . and -, {_MOST_NAME} at most"
                )
        for hours in ("retention_hours", "decisions_retention_hours"):
            if not _DAY <= getattr(self, hours) <= _YEAR:
                raise ValueError(f"event_log.kinesis.{hours} is {getattr(self, hours)}: choose {_DAY} to {_YEAR}")
        if not 0 <= self.shards <= 10_000:  # noqa: PLR2004 - said in the message
            raise ValueError(f"event_log.kinesis.shards is {self.shards}: choose 0 to 10000")
        for name, least, most in (
            ("poll_ms", 1, 10_000),
            ("look_ms", 1, 60_000),
            ("linger_ms", 0, 1000),
            ("pace_ms", 0, 1000),
            ("group_bytes", 1, TAKEN),
            ("give_up_seconds", 0, 600),
            ("position_seconds", 0, 3600),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"event_log.kinesis.{name} is {getattr(self, name)}: choose {least} to {most}")
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("event_log.kinesis.access_key_id and secret_access_key: set both, or neither")

    def name_of(self, stream: Stream) -> str:
        """What Kinesis calls a stream of ours."""
        return f"{self.stream_prefix}-{self.workspace}-{stream}"

    def partitions_of(self, stream: Stream) -> int:
        """How many partitions a stream of ours has."""
        return partitions_of(stream, self.partitions)

    def shards_of(self, stream: Stream) -> int:
        """How many shards a stream is created with."""
        if stream is not Stream.EVENTS:
            return 1
        return self.shards or 1 << (self.partitions - 1).bit_length()

    def retention_of(self, stream: Stream) -> int:
        """For how many hours Kinesis is to keep a stream."""
        return self.decisions_retention_hours if stream is Stream.DECISIONS else self.retention_hours

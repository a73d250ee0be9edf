"""Amazon Kinesis: the log in its streams."""

from obverse.adapters.kinesis.log import open_event_log
from obverse.adapters.kinesis.settings import KinesisLogSettings

__all__ = ["KinesisLogSettings", "open_event_log"]

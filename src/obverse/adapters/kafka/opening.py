"""Opening the log, which is where its client library is needed first."""

from __future__ import annotations

from obverse.adapters.kafka.settings import KafkaLogSettings
from obverse.ports.event_log import EventLog, LogLacking
from obverse.ports.runtime import Runtime


async def open_event_log(settings: KafkaLogSettings, runtime: Runtime) -> EventLog:
    """
    Entry point `obverse.event_log:kafka`.

    Nothing is connected before it is needed, so that a process can start before the brokers.

    Raises:
        LogLacking: the client library is not installed.
    """
    try:
        from obverse.adapters.kafka.event_log import KafkaEventLog  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("confluent_kafka"):
            raise
        raise LogLacking("the log in Kafka needs its client library: install the extra `obverse[kafka]`") from error
    return KafkaEventLog(settings, runtime)

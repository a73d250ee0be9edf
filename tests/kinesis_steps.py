"""Steps that the proofs of the log in Kinesis take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiobotocore.session import get_session

from obverse.adapters.kinesis import KinesisLogSettings, open_event_log
from obverse.adapters.kinesis.records import HEAD_BYTES, Kind, Part, Place, read
from obverse.ports.event_log import EventLog, Stream
from services import ShiftedRuntime


@dataclass
class Opened:
    """Logs with the same streams and the same database."""

    settings: KinesisLogSettings
    runtime: ShiftedRuntime
    logs: list[EventLog] = field(default_factory=list)

    async def open(self, **more: Any) -> EventLog:
        """Open one as the next process would; what is set for one holds for all that follow."""
        self.settings = replace(self.settings, **more)
        self.logs.append(await open_event_log(self.settings, self.runtime))
        return self.logs[-1]

    async def close(self) -> None:
        """Close all of them."""
        for log in self.logs:
            await log.close()

    @property
    def stream(self) -> str:
        """What Kinesis calls the stream of events."""
        return self.settings.name_of(Stream.EVENTS)

    @asynccontextmanager
    async def vendor(self) -> AsyncIterator[Any]:
        """Kinesis' own client."""
        settings = self.settings
        async with get_session().create_client(
            "kinesis",
            region_name=settings.region,
            endpoint_url=settings.endpoint_url,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
        ) as client:
            yield client

    async def stored(self) -> list[bytes]:
        """All records of the stream of events, without asking the log."""
        found: list[bytes] = []
        async with self.vendor() as client:
            for shard in (await client.list_shards(StreamName=self.stream))["Shards"]:
                answer = await client.get_shard_iterator(
                    StreamName=self.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )
                answer = await client.get_records(ShardIterator=answer["ShardIterator"])
                found += [one["Data"] for one in answer["Records"]]
        return found

    async def parts(self) -> list[Part]:
        """What of these is part of a group."""
        found = [read(self.settings.workspace, Stream.EVENTS, data) for data in await self.stored()]
        return [one for one in found if isinstance(one, Part) and one.kind is Kind.PART]

    async def put(self, data: bytes, *, stream: Stream = Stream.EVENTS, partition: int = 0) -> str:
        """Put a record where a partition is, as anybody can; its sequence number."""
        key = Place(self.settings.workspace, stream, partition).hash_key
        async with self.vendor() as client:
            answer = await client.put_record(
                StreamName=self.settings.name_of(stream), Data=data, PartitionKey="any", ExplicitHashKey=str(key)
            )
        number: str = answer["SequenceNumber"]
        return number


def settings_for(url: str, dsn: str, **more: Any) -> KinesisLogSettings:
    """Settings for a server on loopback, at which one may look as often as one likes."""
    given: dict[str, Any] = {
        "poll_ms": 5.0,
        "region": "eu-central-1",
        "access_key_id": "key",
        "secret_access_key": "secret",
    }
    return KinesisLogSettings(dsn=dsn, endpoint_url=url, **(given | more))


def group_at(data: bytes, stream: str, partition: int, first: int) -> bool:
    """Whether a record holds the group that begins at an offset."""
    part = read("main", stream, data)
    return isinstance(part, Part) and (part.kind, part.partition, part.first) == (Kind.PART, partition, first)


def bit_flipped(data: bytes) -> bytes:
    """Return a record with one bit of its body changed."""
    changed = bytearray(data)
    changed[HEAD_BYTES + 5] ^= 1
    return bytes(changed)

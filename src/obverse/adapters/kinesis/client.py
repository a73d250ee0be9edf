"""Kinesis itself: the calls that the log makes, and what their failures mean to those who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from obverse.adapters._postgres import to_micros
from obverse.adapters.kinesis.assembly import Held
from obverse.adapters.kinesis.settings import KinesisLogSettings
from obverse.adapters.kinesis.shards import Shard, Shards
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

_CONNECT_LIMIT: Final = 2.0
_READ_LIMIT: Final = 5.0
_CREATED_WITHIN: Final = 60.0
_LOOK: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_CONNECTIONS: Final = 64
_PAGE_RECORDS: Final = 1000

THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "LimitExceededException",
        "KMSThrottlingException",
    }
)
_NEEDS_A_PERSON: Final = {
    "AccessDeniedException": "let the role do what docs/logs.md lists",
    "ExpiredTokenException": "renew the credentials, or give the process a role",
    "IncompleteSignatureException": "check the access key and its secret",
    "InvalidClientTokenId": "check the access key and its secret",
    "InvalidSignatureException": "check the access key, its secret and this machine's clock",
    "MissingAuthenticationTokenException": "give the process a role, or set the access key",
    "SignatureDoesNotMatch": "check the access key and its secret",
    "UnrecognizedClientException": "check the access key and the region",
    "KMSAccessDeniedException": "let the role use the key that the stream is encrypted with",
    "KMSDisabledException": "enable the key that the stream is encrypted with",
    "KMSNotFoundException": "restore the key that the stream is encrypted with",
    "KMSOptInRequired": "subscribe the account to KMS",
}


class Throttled(Unreachable):
    """Kinesis had more calls or bytes than it takes: later, and not at once."""


class IteratorExpired(Unreachable):
    """An iterator was not used for five minutes."""


class PlaceGone(Unreachable):
    """There is no such stream or shard, or not that record in it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be put."""

    partition: int
    hash_key: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Where:
    """Where a record stands."""

    shard: str
    sequence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of a shard."""

    records: Sequence[Held]
    iterator: str | None
    """With which reading goes on; None at the end of a shard that was closed."""
    at_tip: bool
    """Whether there was nothing more."""


class Kinesis:
    """One process' connection to Kinesis, opened when it is first needed."""

    def __init__(self, settings: KinesisLogSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._turn = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._closed = False
        self._there: dict[Stream, int] = {}
        """For how many hours each stream that is there keeps what it holds."""

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        async with self._opening:
            self._client = None
            await self._stack.aclose()

    async def ensure(self, stream: Stream) -> None:
        """
        See that a stream is there.

        Raises:
            Unreachable, AccessRefused: as Kinesis says, or because the stream is not there and we may not create it.
        """
        async with self._turn:
            if stream not in self._there:
                self._there[stream] = await self._ensure(stream)

    async def keep(self, stream: Stream) -> None:
        """
        See that a stream is there, and keeps what it holds for as long as it should.

        Raises:
            Unreachable, AccessRefused: as `ensure`, or because we may not have it keep it for so long.
        """
        await self.ensure(stream)
        name, hours = self._settings.name_of(stream), self._settings.retention_of(stream)
        if self._there.get(stream, hours) < hours:
            await self._call(
                "increase_stream_retention_period",
                f"keep the stream {name} for {hours} hours",
                StreamName=name,
                RetentionPeriodHours=hours,
            )
            self._there[stream] = hours

    async def _ensure(self, stream: Stream) -> int:
        """Return for how many hours it keeps what it holds."""
        name, settings = self._settings.name_of(stream), self._settings
        doing = f"look at the stream {name}"
        tried, pause, due = False, _LOOK, self._runtime.elapsed() + _CREATED_WITHIN
        while True:
            try:
                answer = await self._call("describe_stream_summary", doing, StreamName=name)
            except PlaceGone:
                if not settings.create_streams:
                    raise AccessRefused(
                        f"there is no stream {name} in Kinesis: create it, or set event_log.kinesis.create_streams"
                    ) from None
                if not tried:
                    await self._create(stream)
                tried = True
            else:
                found = answer["StreamDescriptionSummary"]
                if found["StreamStatus"] in {"ACTIVE", "UPDATING"}:
                    return int(found["RetentionPeriodHours"])
            if self._runtime.elapsed() > due:
                raise Unreachable(f"Kinesis has not made the stream {name} in {_CREATED_WITHIN:.0f} seconds")
            await self._runtime.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _create(self, stream: Stream) -> None:
        name, shards = self._settings.name_of(stream), self._settings.shards_of(stream)
        try:
            await self._call("create_stream", f"create the stream {name}", StreamName=name, ShardCount=shards)
        except _AlreadyThere:
            return

    async def put(self, stream: Stream, entries: Sequence[Entry]) -> list[Where | str]:
        """
        Put records; returns for each where it stands, or why it was not taken.

        Raises:
            Unreachable: nothing is known of any of them.
            AccessRefused: none was taken.
        """
        name = self._settings.name_of(stream)
        records = [
            {"Data": one.data, "PartitionKey": str(one.partition), "ExplicitHashKey": str(one.hash_key)}
            for one in entries
        ]
        try:
            answer = await self._call("put_records", f"put records into {name}", StreamName=name, Records=records)
        except PlaceGone:
            self._there.pop(stream, None)
            raise
        return [
            f"{one['ErrorCode']}: {one.get('ErrorMessage', '')}"
            if one.get("ErrorCode")
            else Where(one["ShardId"], one["SequenceNumber"])
            for one in answer["Records"]
        ]

    async def shards(self, stream: Stream) -> Shards:
        """
        Return the shards of a stream.

        Raises:
            Unreachable, AccessRefused: as Kinesis says.
        """
        name = self._settings.name_of(stream)
        found: dict[str, Shard] = {}
        asked: dict[str, Any] = {"StreamName": name}
        while asked:
            answer = await self._call("list_shards", f"list the shards of {name}", **asked)
            for one in answer["Shards"]:
                keys = one["HashKeyRange"]
                parents = {one.get("ParentShardId"), one.get("AdjacentParentShardId")} - {None, ""}
                found[one["ShardId"]] = Shard(
                    one["ShardId"], int(keys["StartingHashKey"]), int(keys["EndingHashKey"]), frozenset(parents)
                )
            asked = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        return found

    async def iterator(self, stream: Stream, shard: str, kind: str, sequence: str) -> str:
        """
        Return an iterator of a shard; `kind` and `sequence` are Kinesis' own.

        Raises:
            PlaceGone: there is no such shard or record.
            Unreachable, AccessRefused: as Kinesis says.
        """
        name = self._settings.name_of(stream)
        start = {"StartingSequenceNumber": sequence} if sequence else {}
        answer = await self._call(
            "get_shard_iterator",
            f"read {name}, {shard}",
            StreamName=name,
            ShardId=shard,
            ShardIteratorType=kind,
            **start,
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    async def records(self, stream: Stream, shard: str, iterator: str) -> Answer:
        """
        Return what follows in a shard.

        Raises:
            IteratorExpired: it must be asked for anew.
            Throttled, Unreachable, AccessRefused: as Kinesis says.
        """
        place = f"{self._settings.name_of(stream)}, {shard}"
        answer = await self._call("get_records", f"read {place}", ShardIterator=iterator, Limit=_PAGE_RECORDS)
        held = [Held(place, one["SequenceNumber"], one["Data"], _arrived(one)) for one in answer["Records"]]
        # What follows may be far behind a stretch without records; only then does Kinesis say how far.
        at_tip = not held and not answer.get("MillisBehindLatest")
        return Answer(held, answer.get("NextShardIterator"), at_tip)

    async def _call(self, operation: str, doing: str, **asked: Any) -> dict[str, Any]:
        async with self._opening:
            client = self._client or await self._open()
        try:
            answer: dict[str, Any] = await getattr(client, operation)(**asked)
        except ClientError as error:
            raise _refused(error, doing) from error
        except (BotoCoreError, OSError, TimeoutError) as error:
            raise _failed(error, doing) from error
        return answer

    async def _open(self) -> Any:
        if self._closed:
            raise Unreachable("this log in Kinesis is closed")
        settings = self._settings
        try:
            client = get_session().create_client(
                "kinesis",
                region_name=settings.region or None,
                endpoint_url=settings.endpoint_url or None,
                aws_access_key_id=settings.access_key_id or None,
                aws_secret_access_key=settings.secret_access_key or None,
                aws_session_token=settings.session_token or None,
                config=AioConfig(
                    connect_timeout=_CONNECT_LIMIT,
                    read_timeout=_READ_LIMIT,
                    max_pool_connections=_CONNECTIONS,
                    # What failed is sent again by us, who know which part of it.
                    retries={"total_max_attempts": 1},
                ),
            )
            opened = await self._stack.enter_async_context(client)
        except (BotoCoreError, ValueError) as error:
            raise _failed(error, "connect to Kinesis") from error
        self._client = opened
        return opened


class _AlreadyThere(Exception):
    """Somebody else has created the stream."""


def _refused(error: Any, doing: str) -> Exception:
    """What Kinesis means by an error of its own."""
    code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    told = f"Kinesis ({doing}): {code}: {said}"
    if code in THROTTLED:
        return Throttled(told)
    if code in _NEEDS_A_PERSON:
        return AccessRefused(f"{told}; {_NEEDS_A_PERSON[code]}")
    if code == "ExpiredIteratorException":
        return IteratorExpired(told)
    if code == "ResourceInUseException":
        return _AlreadyThere(told)
    if code in {"ResourceNotFoundException", "InvalidArgumentException"}:
        return PlaceGone(told)
    return Unreachable(told)


def _failed(error: BaseException, doing: str) -> Exception:
    """What it means that Kinesis could not be asked."""
    told = f"Kinesis ({doing}): {str(error) or type(error).__name__}"
    if type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        return AccessRefused(f"{told}; give the process a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if type(error).__name__ in {"NoRegionError", "InvalidRegionError"}:
        return AccessRefused(f"{told}; set event_log.kinesis.region, or AWS_REGION")
    if type(error).__name__ in {"ParamValidationError", "ValueError", "ProfileNotFound", "UnknownServiceError"}:
        return AccessRefused(f"{told}; correct the table [event_log.kinesis]")
    return Unreachable(told)


def _arrived(record: dict[str, Any]) -> int:
    at = record.get("ApproximateArrivalTimestamp")
    return to_micros(at) if isinstance(at, datetime) else 0

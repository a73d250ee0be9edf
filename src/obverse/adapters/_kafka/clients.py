"""The clients of Kafka that one log has, and what their failures mean to those who asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are documented there
    AdminClient,
    NewPartitions,
    NewTopic,
    TopicMetadata,
)

from obverse.adapters._kafka.codes import AUTHENTICATION, INVALID_ARGUMENT, SSL
from obverse.adapters._kafka.settings import MOST_BYTES, KafkaLogSettings
from obverse.ports.outcomes import AccessRefused, Unreachable

Result = TypeVar("Result")

_POLL: Final = 1.0
"""Seconds between two looks of a thread at whether it is to end. It is woken by what happens."""
_PAUSE: Final = 0.02
"""Seconds between two looks at whether partitions that were added are there."""

_NEEDS_A_PERSON: Final = {
    AUTHENTICATION: "check event_log.kafka.username, password and sasl_mechanism",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check event_log.kafka.username, password and sasl_mechanism",
    SSL: "check event_log.kafka.security and its certificates",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "let this user create, alter, describe, read, write and trim our topics",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "let this user create topics, or create them yourself",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "let this user read with groups that begin as our topics do",
    KafkaError.INVALID_REPLICATION_FACTOR: "set event_log.kafka.replication to at most the number of brokers",
    KafkaError.POLICY_VIOLATION: "create the topics yourself as your brokers' policy wants them",
    INVALID_ARGUMENT: "correct event_log.kafka",
}


class Misplaced(Exception):
    """Kafka keeps nothing at the offset from which was to be read: it was trimmed."""


FAILURES: Final = (KafkaException, BufferError, TimeoutError, Misplaced)
"""All that can be raised by what is asked of the brokers."""


def trouble(error: BaseException, doing: str, settings: KafkaLogSettings) -> Unreachable | AccessRefused:
    """Say one of FAILURES in the words of the ports, to be raised from it."""
    if isinstance(error, Unreachable | AccessRefused):
        return error
    reason = error.args[0] if isinstance(error, KafkaException) and error.args else None
    said = reason.str() if isinstance(reason, KafkaError) else str(error) or "no answer in time"
    if isinstance(reason, KafkaError) and reason.code() in _NEEDS_A_PERSON:
        return AccessRefused(f"{doing}: {said}; {_NEEDS_A_PERSON[reason.code()]}")
    return Unreachable(f"{doing}: {said}; see that the brokers of event_log.kafka.servers ({settings.servers}) run")


class Complaints:
    """What a client said last of its own accord: why it does not answer stands here, and not in its answers."""

    def __init__(self, heard: Callable[[KafkaError], None] | None = None) -> None:
        self.last: KafkaError | None = None
        self._heard = heard

    def hear(self, error: KafkaError) -> None:
        """Called by the client, on one of its threads."""
        if error.code() in _NEEDS_A_PERSON or self.last is None:
            self.last = error
        if self._heard is not None:
            self._heard(error)

    def explain(self, error: BaseException) -> BaseException:
        """The complaint that a person must mend, if there is one; else the error."""
        last, self.last = self.last, None
        return KafkaException(last) if last is not None and last.code() in _NEEDS_A_PERSON else error


class Sender:
    """The producer of a log. Answers come on a thread of its own, and are brought to whoever awaits them."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._complaints = Complaints()
        self._producer = self._new()

    async def send(self, topic: str, partition: int, value: bytes, at: int) -> int:
        """
        Write a record, and return its Kafka offset once enough brokers have it; -1 if they do not say where it is.

        `at` is its time, in milliseconds since 1970; 0 for the brokers' own.

        Raises:
            one of FAILURES: nothing is known of it.
        """
        done: asyncio.Future[int] = self._loop.create_future()
        report = partial(_report, self._loop, done)
        try:
            self._producer.produce(topic, value, partition=partition, timestamp=at, on_delivery=report)
            return await done
        except KafkaException as error:
            if error.args[0].fatal():
                self._close()
                self._producer = self._new()
            raise self._complaints.explain(error) from error

    async def close(self) -> None:
        """Give up what is under way."""
        self._close()

    def _new(self) -> Producer:
        delivery = self._settings.delivery_ms
        producer = Producer(
            self._settings.client()
            | {
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "compression.type": "none",
                "message.max.bytes": MOST_BYTES + 65536,
                "delivery.timeout.ms": delivery,
                "request.timeout.ms": min(delivery, 5000),
                "retry.backoff.ms": 50,
                "retry.backoff.max.ms": 500,
                "error_cb": self._complaints.hear,
            }
        )
        self._going = threading.Event()
        threading.Thread(target=_serve, args=(producer, self._going), name="kafka answers", daemon=True).start()
        return producer

    def _close(self) -> None:
        self._going.set()
        self._producer.purge()


def _serve(producer: Producer, ending: threading.Event) -> None:
    while not ending.is_set():
        producer.poll(_POLL)
    producer.poll(0)


def _report(
    loop: asyncio.AbstractEventLoop, done: asyncio.Future[int], error: KafkaError | None, message: Message
) -> None:
    """Called on the thread of the answers."""
    offset = message.offset()

    def settle() -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(KafkaException(error))
        else:
            done.set_result(offset if offset is not None and offset >= 0 else -1)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def reading(settings: KafkaLogSettings) -> dict[str, Any]:
    """What a consumer of ours is told."""
    return settings.client() | {
        "group.id": settings.topic(settings.reader or "readers"),
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        # Records of an open transaction of others must not hold ours up.
        "isolation.level": "read_uncommitted",
        "fetch.message.max.bytes": 1 << 20,
        "fetch.max.bytes": MOST_BYTES,
        "message.max.bytes": MOST_BYTES,
        "receive.message.max.bytes": 4 * MOST_BYTES,
        "queued.max.messages.kbytes": 8192,
        "fetch.queue.backoff.ms": 5,
        "fetch.error.backoff.ms": 50,
    }


class Topics:
    """Makes the topics of a log that are missing."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = settings
        self._patience = settings.delivery_ms / 1000
        self._there = False
        self._turn = asyncio.Lock()

    async def ensure(
        self,
        partitions: Mapping[str, int],
        configs: Mapping[str, Mapping[str, str]],
        *,
        grows: Collection[str] = (),
    ) -> None:
        """
        See that there are these topics, each with its number of partitions; those of `grows` are given more.

        Raises:
            one of FAILURES: it cannot be known.
            AccessRefused: one has another number of partitions.
        """
        async with self._turn:
            if not self._there:
                await asyncio.get_running_loop().run_in_executor(None, self._make, partitions, configs, grows)
                self._there = True

    async def partitions(self, topic: str) -> int:
        """
        How many partitions a topic has.

        Raises:
            one of FAILURES: it cannot be known, or there is no such topic.
        """
        return await asyncio.get_running_loop().run_in_executor(None, self._count, topic)

    def _count(self, topic: str) -> int:
        found = AdminClient(self._settings.client()).list_topics(topic, timeout=self._patience).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    async def trim(self, topic: str, partition: int, before: int) -> None:
        """
        Let go of a partition's records before a Kafka offset.

        Raises:
            one of FAILURES: nothing is known.
        """
        admin = AdminClient(self._settings.client())
        place = TopicPartition(topic, partition, before)
        await asyncio.gather(
            *map(asyncio.wrap_future, admin.delete_records([place], request_timeout=self._patience).values())
        )

    def _make(
        self, partitions: Mapping[str, int], configs: Mapping[str, Mapping[str, str]], grows: Collection[str]
    ) -> None:
        complaints = Complaints()
        admin = AdminClient(self._settings.client() | {"error_cb": complaints.hear})
        try:
            known = admin.list_topics(timeout=self._patience).topics
            missing = [name for name in partitions if name not in known]
            new = [
                NewTopic(name, partitions[name], self._settings.replication, config=dict(configs[name]))
                for name in missing
            ]
            for answer in (admin.create_topics(new, operation_timeout=self._patience) if new else {}).values():
                _unless_there(answer.result)
            if missing:
                # Also those that another process has made: they are held against what is set all the same.
                known = self._shown(admin, dict.fromkeys(missing, 1), "were made")
            short = {one for one in grows if one in known and len(known[one].partitions) < partitions[one]}
            if short:
                known = self._grow(admin, {name: partitions[name] for name in short})
        except FAILURES as error:
            admin.poll(0)  # which brings complaints
            raise complaints.explain(error) from error
        for name in partitions.keys() & known.keys():
            found = len(known[name].partitions)
            if found != partitions[name]:
                raise AccessRefused(
                    f"the topic {name} has {found} partitions, and {partitions[name]} are set: set "
                    f"partitions = {found}, or use another event_log.kafka.prefix"
                )

    def _grow(self, admin: AdminClient, partitions: Mapping[str, int]) -> dict[str, TopicMetadata]:
        """Give topics more partitions, and return all topics once that shows."""
        more = [NewPartitions(name, count) for name, count in partitions.items()]
        for answer in admin.create_partitions(more, operation_timeout=self._patience).values():
            _unless_there(answer.result)
        return self._shown(admin, partitions, "were given more partitions")

    def _shown(self, admin: AdminClient, partitions: Mapping[str, int], done: str) -> dict[str, TopicMetadata]:
        """Return all topics once these have so many partitions at least."""
        until = time.monotonic() + self._patience
        while True:
            known = admin.list_topics(timeout=self._patience).topics
            if all(name in known and len(known[name].partitions) >= count for name, count in partitions.items()):
                return known
            if time.monotonic() > until:
                raise TimeoutError(f"{', '.join(partitions)} {done}, and do not show it")
            time.sleep(_PAUSE)


def _unless_there(result: Callable[[], object]) -> None:
    try:
        result()
    except KafkaException as error:
        # The second: it has as many partitions already, for another process was quicker.
        if error.args[0].code() not in {KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.INVALID_PARTITIONS}:
            raise


def offsets_of(messages: Iterable[Message]) -> Sequence[tuple[int, bytes | None]]:
    """Kafka offset and value of each."""
    return [(message.offset() or 0, message.value()) for message in messages]

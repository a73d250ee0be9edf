"""Asks the brokers where the topics of a log begin and end, and for a record here and there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from obverse.adapters._kafka.clients import FAILURES, Complaints, Misplaced, reading
from obverse.adapters._kafka.codes import AT_END, MOVED, PASSING, UNSETTLED
from obverse.adapters._kafka.settings import KafkaLogSettings

Result = TypeVar("Result")

_PAUSE: Final = 0.02
_TRIES: Final = 4
"""How often a question is put in the time that it may take, while nobody answers."""


class Scout:
    """Reads here and there in the topics of a log: one question at a time, on a thread of its own."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = settings
        self._complaints = Complaints()
        self._long = settings.delivery_ms / 1000
        self._patience = self._long / _TRIES
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka scout")
        self._consumer: Consumer | None = None

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The lowest Kafka offset that is kept, and the one after the highest."""
        return await self._ask(lambda consumer: _bounds(consumer, TopicPartition(topic, partition), self._patience))

    async def at(self, topic: str, partition: int, time: int) -> int | None:
        """Kafka offset of the first record that is not older than so many milliseconds since 1970, or None."""

        def ask(consumer: Consumer) -> int | None:
            (found,) = consumer.offsets_for_times([TopicPartition(topic, partition, time)], timeout=self._patience)
            if found.error is not None:
                raise KafkaException(found.error)
            return found.offset if found.offset >= 0 else None

        return await self._ask(ask)

    async def read(self, topic: str, partition: int, start: int, end: int) -> list[Message]:
        """
        The records from one Kafka offset up to another; of those that are in the midst none is left out.

        Raises:
            Misplaced: what begins there is not kept any more.
        """
        if start >= end:
            return []
        return await self._ask(
            lambda consumer: _read(consumer, TopicPartition(topic, partition, start), end, self._patience)
        )

    async def noted(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """
        Kafka offsets that were noted last for a topic, by partition; those of which nothing was noted are left out.

        Raises:
            one of FAILURES: it cannot be known.
        """
        places = [TopicPartition(topic, partition) for partition in partitions]
        found = await self._ask(lambda consumer: consumer.committed(places, timeout=self._patience))
        return {one.partition: one.offset for one in found if one.error is None and one.offset >= 0}

    async def note(self, positions: Mapping[tuple[str, int], int]) -> None:
        """
        Tell Kafka how far the partitions of topics are read. Nobody reads this but people and their tools.

        Raises:
            one of FAILURES: it cannot be told. Whether it was noted is not heard of.
        """
        places = [TopicPartition(topic, partition, at) for (topic, partition), at in positions.items()]
        await self._ask(lambda consumer: consumer.commit(offsets=places, asynchronous=True))

    async def close(self) -> None:
        """Ask nothing more."""
        if self._consumer is not None:
            self._thread.submit(self._consumer.close)
        self._thread.shutdown(wait=False)

    async def _ask(self, question: Callable[[Consumer], Result]) -> Result:
        """
        Put a question to the consumer.

        Raises:
            one of FAILURES: there is no answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    def _answer(self, question: Callable[[Consumer], Result]) -> Result:
        until = time.monotonic() + self._long
        while True:
            consumer = self._consumer = self._consumer or self._new()
            try:
                return question(consumer)
            except FAILURES as error:
                # Complaints are brought by polling, and nothing is assigned that could be missed.
                consumer.poll(0)
                explained = self._complaints.explain(error)
                unanswered = isinstance(error, TimeoutError) or _is_of(error, PASSING)
                if explained is not error or not (unanswered or _is_of(error, UNSETTLED)) or time.monotonic() > until:
                    raise explained from error
                if unanswered:
                    # It would go on asking whom it knows, also when that one is dead and another leads by now.
                    consumer.close()
                    self._consumer = None
            time.sleep(_PAUSE)

    def _new(self) -> Consumer:
        told = {"fetch.wait.max.ms": 100, "enable.partition.eof": True, "error_cb": self._complaints.hear}
        return Consumer(reading(self._settings) | told)


def _is_of(error: BaseException, codes: Collection[int]) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in codes


def _bounds(consumer: Consumer, place: TopicPartition, patience: float) -> tuple[int, int]:
    found: tuple[int, int] | None = consumer.get_watermark_offsets(place, timeout=patience)
    if found is None:
        raise TimeoutError
    return found


def _read(consumer: Consumer, start: TopicPartition, end: int, patience: float) -> list[Message]:
    found: list[Message] = []
    consumer.assign([start])
    try:
        while True:
            message = consumer.poll(patience)
            if message is None:
                raise TimeoutError
            error, offset = message.error(), message.offset() or 0
            if error is not None and error.code() == AT_END:
                return found
            if error is not None and error.code() in MOVED:
                raise Misplaced(error.str())
            if error is not None:
                raise KafkaException(error)
            if offset < end:
                found.append(message)
            if offset >= end - 1:
                return found
    finally:
        consumer.unassign()

"""Fetching: a consumer on a thread of its own, which brings to the loop what it gets, as long as there is room."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from obverse.adapters._kafka.clients import Complaints, reading
from obverse.adapters._kafka.codes import AT_END, MOVED, NOBODY, PASSING, UNSETTLED
from obverse.adapters._kafka.settings import KafkaLogSettings

_ROOM: Final = 8 << 20
"""Bytes that wait to be taken; beyond, the thread waits."""
_POLL: Final = 1.0
"""Seconds between two looks of the thread at whether it is to end. It is woken by what comes."""
_DOWN: Final = 1.0
"""Seconds after which nobody being reached is told."""
_AT_ONCE: Final = 256
"""Records that it brings together, if so many are there."""


class Fetching:
    """
    What comes in some partitions of a topic, from Kafka offsets on.

    All but the thread itself runs on the loop.
    """

    def __init__(
        self, settings: KafkaLogSettings, topic: str, starts: Mapping[int, int], woken: Callable[[], None]
    ) -> None:
        self.waiting: dict[int, deque[Message]] = {number: deque() for number in starts}
        """What was brought and not taken, by partition."""
        self.failure: BaseException | None = None
        """What keeps it from fetching, since this was looked at last."""
        self.moved = False
        """Whether Kafka no longer keeps what was to come next."""
        self.unheard = set(starts)
        """Partitions of which nothing was heard yet: neither a record nor that they are at their end."""
        self._loop = asyncio.get_running_loop()
        self._woken = woken
        self._bytes = 0
        self._room = threading.Event()
        self._room.set()
        self._ending = threading.Event()
        self._down: float | None = None
        """Since when nobody was reached."""
        self._complaints = Complaints(self._hear)
        told = {"fetch.wait.max.ms": 500, "enable.partition.eof": True, "error_cb": self._complaints.hear}
        self._consumer = Consumer(reading(settings) | told)
        self._consumer.assign([TopicPartition(topic, number, start) for number, start in starts.items()])
        threading.Thread(target=self._run, name=f"kafka {topic}", daemon=True).start()

    def take(self, number: int) -> Message:
        """Take the next of a partition."""
        message = self.waiting[number].popleft()
        self._bytes -= len(message)
        if self._bytes < _ROOM:
            self._room.set()
        return message

    def stop(self) -> None:
        """Bring no more."""
        self._ending.set()
        self._room.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            first = self._consumer.poll(_POLL)
            self._look()
            if first is not None:
                # Whatever is there already comes with it.
                self._down = None
                self._tell(self._bring, [first, *self._consumer.consume(_AT_ONCE, 0)])
            self._room.wait()
        self._consumer.close()

    def _hear(self, error: KafkaError) -> None:
        if error.code() == NOBODY:
            # It says so also of the first one that it has tried, and goes on to the next.
            self._down = self._down or time.monotonic()
        elif error.code() not in PASSING:
            self._tell(self._fail, KafkaException(error))

    def _look(self) -> None:
        if self._down is not None and time.monotonic() - self._down > _DOWN:
            self._down = None
            self._tell(self._fail, KafkaException(KafkaError(NOBODY, "all brokers are down")))

    def _tell(self, what: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what, *args)

    def _bring(self, messages: list[Message]) -> None:
        for message in messages:
            error, number = message.error(), message.partition()
            if number in self.waiting:
                self.unheard.discard(number)
            if error is None and number is not None:
                self.waiting[number].append(message)
                self._bytes += len(message)
            elif error is not None and error.code() in MOVED:
                self.moved = True
            elif error is not None and error.code() not in PASSING | UNSETTLED | {AT_END}:
                self.failure = KafkaException(error)
        if self._bytes >= _ROOM:
            self._room.clear()
        self._woken()

    def _fail(self, failure: KafkaException) -> None:
        self.failure = self._complaints.explain(failure)
        self._woken()

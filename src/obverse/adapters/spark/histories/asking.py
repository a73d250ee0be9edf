"""The router's side: asks for histories, and brings what was computed."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import structlog

from obverse.adapters._buckets.histories import Given, NotComputed, Person, Wanted
from obverse.adapters._kafka.clients import FAILURES, Sender, Topics, trouble
from obverse.adapters._kafka.scout import Scout
from obverse.adapters._kafka.settings import KafkaLogSettings
from obverse.adapters.spark.histories.records import (
    ASKS,
    GIVEN,
    PEOPLE,
    Answer,
    Ask,
    Result,
    chunks_of,
    given_of,
    read_ask,
    read_result,
    write,
)
from obverse.adapters.spark.histories.topics import LOOK, make_history_topics

_UNDER_WAY: Final = 500
"""Records that are sent together."""
_AT_ONCE: Final = 500
"""Records of what was computed that are read together."""
_TELL: Final = 60.0
"""Seconds between two times that it is told for whom we wait."""
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Missing:
    """Who has events that were found nowhere."""

    people: int = 0
    events: int = 0
    lowest: dict[int, int] = field(default_factory=dict)
    """By partition, the lowest offset of those that were the first of their person."""

    def note(self, result: Result) -> None:
        self.people += 1
        self.events += result.missing
        known = self.lowest.get(result.partition, result.offset)
        self.lowest[result.partition] = min(known, result.offset)


class SparkHistories:
    """See `Elsewhere`. The role `engine-spark` has Spark compute them."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = settings
        self._asks, self._people, self._given = (settings.topic(one) for one in (ASKS, PEOPLE, GIVEN))

    async def compute(self, wanted: Wanted, people: AsyncIterator[Person]) -> AsyncGenerator[Sequence[Given]]:
        """See `Elsewhere.compute`."""
        settings, run, missing = self._settings, secrets.token_bytes(16), _Missing()
        await make_history_topics(settings)
        async with AsyncExitStack() as stack:
            sender, scout = Sender(settings), Scout(settings)
            stack.push_async_callback(scout.close)
            stack.push_async_callback(sender.close)
            try:
                ask = await self._send(sender, scout, Ask(run, wanted, 0, 0), people)
                if ask.begin == ask.end:
                    return
                asked = await sender.send(self._asks, 0, write(ask), 0)
                answer = await self._answer(scout, run, asked + 1)
                if answer.fault:
                    raise NotComputed(answer.fault)
                async for some in self._read(scout, answer, missing):
                    yield some
            except FAILURES as error:
                raise trouble(error, "have histories computed by Spark", settings) from error
        await self._let_go(ask.end, answer.end)
        if missing.people:
            _log.warning(
                "events are in neither log nor archive; histories of these people are read from the store",
                people=missing.people,
                events=missing.events,
                partitions_from_offset=missing.lowest,
            )

    async def _send(self, sender: Sender, scout: Scout, ask: Ask, people: AsyncIterator[Person]) -> Ask:
        """Send who and where; return the ask with the part of the topic in which it stands."""
        begin, count, waiting = (await scout.bounds(self._people, 0))[1], 0, list[bytes]()
        async for person in people:
            count += 1
            waiting += [write(chunk) for chunk in chunks_of(ask.run, person)]
            if len(waiting) >= _UNDER_WAY:
                await self._send_all(sender, waiting)
                waiting = []
        await self._send_all(sender, waiting)
        end = (await scout.bounds(self._people, 0))[1]
        _log.info("histories are asked of Spark", people=count, version=ask.wanted.version)
        return Ask(ask.run, ask.wanted, begin, end if count else begin)

    async def _send_all(self, sender: Sender, values: Sequence[bytes]) -> None:
        await asyncio.gather(*(sender.send(self._people, 0, value, 0) for value in values))

    async def _answer(self, scout: Scout, run: bytes, at: int) -> Answer:
        """Wait for how it ended."""
        loop = asyncio.get_running_loop()
        told = loop.time()
        while True:
            end = (await scout.bounds(self._asks, 0))[1]
            for message in await scout.read(self._asks, 0, at, end):
                found = read_ask(message.value())
                if isinstance(found, Answer) and found.run == run:
                    return found
            at = end
            if loop.time() - told >= _TELL:
                told = loop.time()
                _log.info("histories are waited for: the role engine-spark has Spark compute them")
            await asyncio.sleep(LOOK)

    async def _read(self, scout: Scout, answer: Answer, missing: _Missing) -> AsyncIterator[Sequence[Given]]:
        for at in range(answer.begin, answer.end, _AT_ONCE):
            found: list[Given] = []
            for message in await scout.read(self._given, 0, at, min(at + _AT_ONCE, answer.end)):
                result = read_result(message.value())
                if result is None or result.run != answer.run:
                    continue
                given = given_of(result)
                if given is None:
                    missing.note(result)
                else:
                    found.append(given)
            yield found

    async def _let_go(self, people: int, given: int) -> None:
        """Have Kafka keep nothing that is done with; what it keeps all the same goes after a week."""
        topics = Topics(self._settings)
        with contextlib.suppress(*FAILURES):
            await topics.trim(self._people, 0, people)
            await topics.trim(self._given, 0, given)

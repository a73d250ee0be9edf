"""
Whose turn it is to append: a courtesy, so that an appender is not overtaken while it lives and works.

That no two of them ever both append rests on their claims alone (`chain`), whatever becomes of the turns. They are
told in a topic of their own: who is there says so again and again, and who goes says that too. All is
measured by the broker's clock, which stamps these records.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import Literal

import msgspec
from confluent_kafka import Message

from obverse.adapters._kafka.clients import FAILURES, Misplaced, Sender
from obverse.adapters._kafka.scout import Scout
from obverse.ports.event_log import Stream
from obverse.ports.runtime import Runtime, Work

TURNS = "appenders"
"""The topic's name, in the place of a stream's."""

_PAUSE = 0.15
_NEAR = 64
_GOODBYE = 1.0


class Word(msgspec.Struct, frozen=True):
    """What an appender says of itself."""

    who: str
    says: Literal["here", "gone"]
    stream: str
    partitions: tuple[int, ...]


class Turn:
    """The turn of one appender, for as long as it wants it."""

    def __init__(self, topic: str, sender: Sender, scout: Scout, runtime: Runtime, lease_ms: int) -> None:
        self._topic = topic
        self._sender = sender
        self._scout = scout
        self._runtime = runtime
        self._lease_ms = lease_ms
        self._who = secrets.token_hex(8)
        self._stream = ""
        self._partitions: tuple[int, ...] = ()
        self._keeping: Work | None = None
        self.waits = False
        """Whether somebody else was there when it was last asked for."""

    async def take(self, stream: Stream, partitions: Sequence[int], most: int | None = None) -> Sequence[int]:
        """
        Wait until nobody else is there for these partitions, and be there from then on; returns them.

        With `most`, for up to so many of those for which nobody is there, waiting only while there is none.

        Raises:
            one of FAILURES: it cannot be known.
        """
        self._stream = stream
        while True:
            self._partitions = tuple(partitions if most is None else (await self._free(partitions))[:most])
            others = await self._others(self._partitions) if self._partitions else partitions
            self.waits = bool(others)
            if not self.waits:
                break
            # Whoever was there first stays; not to be in the way of others, we go until we ask again.
            await self._say("gone")
            await self._runtime.sleep(_PAUSE)
        if self._keeping is None:
            self._keeping = self._runtime.spawn(f"be there for {stream}", self._keep())
        return self._partitions

    async def give(self) -> None:
        """Let the next one in."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await keeping.stop()
        with contextlib.suppress(*FAILURES):
            # Who ends does not wait for brokers that are away: the lease runs out by itself.
            async with asyncio.timeout(_GOODBYE):
                await self._say("gone")

    async def _keep(self) -> None:
        while True:
            await self._runtime.sleep(self._lease_ms / 3000)
            # Who cannot be heard is overtaken; the claims see to it that nothing is lost by that.
            with contextlib.suppress(*FAILURES):
                await self._say("here")

    async def _say(self, says: Literal["here", "gone"]) -> int:
        word = Word(self._who, says, self._stream, self._partitions)
        return await self._sender.send(self._topic, 0, msgspec.json.encode(word), 0)

    async def _free(self, partitions: Sequence[int]) -> list[int]:
        """Those for which nobody is there. To learn what time it is for the broker, we say something of none."""
        self._partitions = ()
        others = await self._others(partitions)
        return [one for one in partitions if one not in others]

    async def _others(self, partitions: Sequence[int]) -> set[int]:
        """Say that we are here for ours; returns those of these for which somebody else was there first."""
        words = await self._latest(await self._say("here"))
        return {one for one in partitions if _first(words, self._stream, one) not in {None, self._who}}

    async def _latest(self, said: int) -> list[Word]:
        """What was said within the lease before ours, at this Kafka offset, and ours."""
        width = _NEAR
        while True:
            low, high = await self._scout.bounds(self._topic, 0)
            end = said + 1 if said >= 0 else high
            start = max(low, end - width)
            try:
                messages = await self._scout.read(self._topic, 0, start, end)
            except Misplaced:
                continue  # it was let go of meanwhile
            since = messages[-1].timestamp()[1] - self._lease_ms if messages else 0
            if start == low or (messages and messages[0].timestamp()[1] < since):
                return _words(messages, since)
            width *= 4


def _first(words: Sequence[Word], stream: str, partition: int) -> str | None:
    """Who was there first for a partition, of those that said so within the lease and have not gone since."""
    holders: dict[str, None] = {}
    for word in words:
        if word.stream == stream and partition in word.partitions:
            if word.says == "here":
                holders.setdefault(word.who)
            else:
                holders.pop(word.who, None)
    return next(iter(holders), None)


def _words(messages: Sequence[Message], since: int) -> list[Word]:
    """What is said in these records that are not older; others may have written there too."""
    words: list[Word] = []
    for message in messages:
        if message.timestamp()[1] >= since:
            with contextlib.suppress(msgspec.MsgspecError):
                words.append(msgspec.json.decode(message.value() or b"", type=Word))
    return words

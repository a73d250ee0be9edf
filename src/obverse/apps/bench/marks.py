"""Marked events: each sent at its moment, and looked for until its profile shows it."""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Final

from obverse.apps.bench.doors import OK, Doors

A_SECOND: Final = 20
PATIENCE: Final = 60.0
"""Seconds after the last one within which all must be seen."""
_LEAST: Final = 0.008
"""Seconds between two looks, at least …"""
_SHARE: Final = 0.1
"""… and of the event's age: what is late is late, and looking often for it would only make all else late too."""
_LAST: Final = 10
"""Latest ones that tell when the next may be visible."""


@dataclass(slots=True)
class Marks:
    """What came of the marked events. Each is of a person whom nobody knew."""

    visible: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from the moment an event was to be sent until the API showed it."""
    due: dict[str, float] = field(default_factory=dict)
    """By user id, when its event was to be sent, in seconds since 1970."""
    accepted: int = 0
    failed: int = 0

    def flaws(self) -> list[str]:
        """What would make figures of them mislead."""
        unseen, flaws = self.accepted - len(self.visible), []
        if self.failed:
            flaws.append(f"{self.failed} marked events were not answered 200")
        if unseen:
            flaws.append(f"{unseen} marked events were not visible within a minute")
        return flaws

    async def send(self, doors: Doors, seconds: int) -> None:
        """
        Send so many seconds of marked events, and look for them in their order.

        One is looked for after the one before it was seen: they become visible in this order, and looking for many at
        once would cost those who are measured. So none counts as earlier than it was, and some as a tenth later.
        """
        began, sent = perf_counter(), asyncio.Queue[tuple[float, str, asyncio.Future[int]]]()
        looking = asyncio.create_task(self._look(doors, sent))
        for number in range(seconds * A_SECOND):
            due, user = began + number / A_SECOND, f"marked-{number}"
            await asyncio.sleep(max(0.0, due - perf_counter()))
            self.due[user] = time() + due - perf_counter()
            answer = doors.send(_body(user))
            answer.add_done_callback(self._answered)
            sent.put_nowait((due, user, answer))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await sent.join()
        looking.cancel()

    def _answered(self, answer: asyncio.Future[int]) -> None:
        if answer.result() == OK:
            self.accepted += 1
        else:
            self.failed += 1

    async def _look(self, doors: Doors, sent: asyncio.Queue[tuple[float, str, asyncio.Future[int]]]) -> None:
        while True:
            due, user, answer = await sent.get()
            if await answer == OK:
                await self._see(doors, due, f"/v1/profiles/user_id:{user}")
            sent.task_done()

    async def _see(self, doors: Doors, due: float, path: str) -> None:
        # Half of what the quickest of the last ones took is too soon for all but a few.
        wait = min(self.visible[-_LAST:], default=0.0) / 2 - (perf_counter() - due)
        if wait > 0:
            await asyncio.sleep(wait)
        while True:
            status = await doors.api.get(path, doors.authorization)
            if status == OK:
                break
            await asyncio.sleep(max(_LEAST, _SHARE * (perf_counter() - due)))
        self.visible.append(perf_counter() - due)


def _body(user: str) -> bytes:
    event = f'{{"type":"track","event":"Marked","messageId":"{user}","userId":"{user}"}}'
    return f'{{"batch":[{event}]}}'.encode()

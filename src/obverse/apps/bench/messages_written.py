"""Messages that marked events have led to: how long after its event each was in the outbox."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from obverse.apps.bench.installed import Installed
from obverse.apps.bench.machine import percentile
from obverse.apps.bench.marks import Marks

_LOOKS: Final = 60
"""Looks at the outbox, a second apart."""
_WRITTEN: Final = """
select substr(known.identifier, 9), extract(epoch from message.created_at)::float8
from messages as message
join profile_identifiers as known on known.profile_id = message.profile_id and starts_with(known.identifier, 'user_id:')
where message.campaign = 'marked'
"""


@dataclass(slots=True)
class MessagesWritten:
    """What was found."""

    wanted: int
    after: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from the moment a marked event was to be sent until its message was written into the outbox."""
    doubled: int = 0

    def figures(self) -> dict[str, Any]:
        """As it is told."""
        return {
            "messages": len(self.after),
            "outbox_p50_ms": round(percentile(self.after, 0.5) * 1000, 2),
            "outbox_p99_ms": round(percentile(self.after, 0.99) * 1000, 2),
        }

    def flaws(self) -> list[str]:
        """That one is missing, or there twice."""
        lacking = self.wanted - len(self.after)
        return [
            *([f"{lacking} marked people have no message"] if lacking else []),
            *([f"{self.doubled} marked people have two messages"] if self.doubled else []),
        ]


async def messages_of(here: Installed, marks: Marks) -> MessagesWritten:
    """Look into the outbox until everybody is there, who is found in the store once a checkpoint is written."""
    connection = await asyncpg.connect(here.dsn)
    try:
        for _ in range(_LOOKS):
            found = _found(await connection.fetch(_WRITTEN), marks)
            if len(found.after) == found.wanted:
                break
            await asyncio.sleep(1)
        return found
    finally:
        await connection.close()


def _found(rows: Sequence[tuple[str, float]], marks: Marks) -> MessagesWritten:
    found, seen = MessagesWritten(marks.accepted), set[str]()
    for user, at in rows:
        if user in seen:
            found.doubled += 1
        elif user in marks.due:
            seen.add(user)
            found.after.append(at - marks.due[user])
    return found

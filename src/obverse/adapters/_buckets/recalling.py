"""What was routed and decided, read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from obverse.adapters._buckets import items
from obverse.adapters._buckets.items import Adopted, Anew, Became, Decided, Defined, Done, Item, Told, Turn, bucket_of
from obverse.adapters._buckets.routed_people import RoutedPeople
from obverse.adapters._buckets.routing import Place
from obverse.adapters._decisions import decided
from obverse.core import profiles
from obverse.core.identity import Decision
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import ProfileStore

_PEOPLE: Final = 500


async def turns_from(log: EventLog, at: int, end: int) -> AsyncIterator[tuple[int, Turn, Sequence[Item]]]:
    """
    Yield the turns from one offset of the stream up to another: the offset, the head and the items of each.

    Raises:
        Unreachable: the log cannot be read, or what it holds is damaged.
    """
    if at >= end:
        return
    reader = await log.open_reader(Stream.ROUTED, {0: at})
    try:
        while at < end:
            for batch in await reader.next():
                if batch.damage and batch.count:
                    raise Unreachable(
                        f"what was routed cannot be read ({batch.damage}); restore it from a backup, or stop the "
                        "engine and fold anew from the store (see docs/grow.md)"
                    )
                for before, turn, rest in items.turns_of(batch.body):
                    if at <= batch.first + before < end:
                        yield batch.first + before, turn, items.items_of(turn, rest)
                at = batch.end
    finally:
        await reader.close()


async def first_turn(log: EventLog, at: int) -> tuple[Turn, Sequence[Item]]:
    """
    The first turn from an offset of the stream on that has items, and these; waits for it if there is none.

    Raises:
        Unreachable: the log cannot be read.
    """
    reader = await log.open_reader(Stream.ROUTED, {0: at})
    try:
        while True:
            for batch in await reader.next():
                for before, turn, rest in items.turns_of(batch.body):
                    if batch.first + before >= at and turn.count:
                        return turn, items.items_of(turn, rest)
    finally:
        await reader.close()


async def last_turn(log: EventLog, end: int) -> tuple[int, Turn]:
    """
    The last turn before the offset at which the stream ends, and its own.

    Raises:
        Unreachable: the log cannot be read.
    """
    reader = await log.open_reader(Stream.ROUTED, {0: end - 1})
    try:
        while True:
            for batch in await reader.next():
                if batch.end >= end:
                    before, turn, _ = list(items.turns_of(batch.body))[-1]
                    return batch.first + before, turn
    finally:
        await reader.close()


async def anew(log: EventLog, number: int, buckets: int) -> Sequence[tuple[int, Item]]:
    """What has all buckets forget everybody; the first of these items gets that number."""
    _, changes = (await log.bounds(Stream.CHANGES))[0]
    return [(bucket, Anew(number + 1, changes)) for bucket in range(buckets)]


async def adopting(store: ProfileStore, buckets: int) -> AsyncIterator[Sequence[tuple[int, Item]]]:
    """Yield what has buckets know those whom another engine has folded, some at a time; definitions must be known."""
    after = None
    while page := await store.people(limit=_PEOPLE, after=after):
        after = page[-1]
        people = await store.load((), page)
        yield [(bucket_of(profiles.unpack_briefly(packed).id, buckets), Adopted(packed)) for packed in people]


async def decided_from(log: EventLog, at: int, end: int) -> AsyncIterator[tuple[int, Decision]]:
    """Yield the decisions from one offset up to another, each with its own."""
    async for first, some in decided(log, at, end):
        for offset, decision in enumerate(some, first):
            yield offset, decision


def take_again(turn: Turn, routed: Sequence[Item], at: int, people: RoutedPeople, place: Place) -> None:
    """Have people and the place be as they were after a turn that stands there in the stream of what was routed."""
    for item in sorted((one for one in routed if isinstance(one, Decided)), key=lambda one: one.offset):
        people.carry_out(item.decision)
        people.concern(item.decision, at)
    for one in routed:
        if isinstance(one, Told):
            profile = people.profiles.get(people.keeper(one.profile))
            if profile is not None:
                people.note(one.event, profile, (one.partition, one.offset))
                people.routed((profile.id,), at)
        elif isinstance(one, Defined):
            place.version = max(place.version, one.version)
    for done in routed:
        if isinstance(done, Done):
            people.part([decision for _, decision in done.decisions], done.nobodys)
    people.replace([one.packed for one in routed if isinstance(one, Became)], at)
    place.number = turn.end
    if turn.events_end >= 0:
        place.events[turn.partition] = turn.events_end

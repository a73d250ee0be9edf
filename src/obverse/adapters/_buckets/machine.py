"""
The people of one bucket: what any engine hosts, pure and repeatable.

A machine is given what was routed to its bucket, in order, and profiles that other buckets lend it, at any time. What
comes of it hangs on nothing else: so it does not matter how often a part is folded again after a crash, by whom, and
how it was cut. All that a machine must remember is on its shelf when `take` returns: what it was given, in a journal,
and now and then, in the place of that, all that has come of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import structs

from obverse.adapters._buckets import items
from obverse.adapters._buckets.defining import Defining, Reading
from obverse.adapters._buckets.items import (
    Adopted,
    Anew,
    Became,
    Decided,
    Defined,
    Done,
    Fill,
    Folded,
    Follow,
    Item,
    Lent,
    Moved,
    Refused,
    Slice,
    Tick,
    Told,
    bucket_of,
)
from obverse.adapters._buckets.residents import AWAKE, Residents
from obverse.adapters._buckets.shelves import (
    WAITING,
    Journal,
    Outcome,
    Shelf,
    keep_head,
    put_or_remove,
    read_head,
)
from obverse.adapters._buckets.waiting import Arrived, Entry, Waiting, concerned
from obverse.core import groups, profiles
from obverse.core.changes import Change
from obverse.core.definitions import Definitions
from obverse.core.events import unfoldable
from obverse.core.groups import Group
from obverse.core.identity import identifiers
from obverse.core.people import People

JOURNAL: Final = 4 * 1024 * 1024
"""Bytes of a journal, at most: what it takes to do again what they say is some seconds."""

BEHIND: Final = 5_000_000
"""Microseconds after its arrival from which on an event has waited for long."""


def wall_clock() -> int:
    """The time, in microseconds since 1970, for a machine whose host runs."""
    return time.time_ns() // 1000


class BucketMachine:
    """See the module."""

    def __init__(
        self,
        bucket: int,
        shelf: Shelf,
        *,
        workspace: str,
        read: Reading,
        now: Callable[[], int] = lambda: 0,
        awake: int = AWAKE,
        journal: int = JOURNAL,
    ) -> None:
        """
        `now`: the time in microseconds since 1970; `awake`: profiles at hand, at most; `journal`: bytes, at most.

        The time says no more than how soon profiles are shown.
        """
        self._bucket = bucket
        self._now = now
        self._behind = False
        """Whether the latest events have waited for long: nobody reads of a profile then what it is in between."""
        self._journal_bytes = journal
        self._shelf = shelf
        self._people = People(workspace, Definitions())
        self._head = read_head(shelf)
        self._defining = Defining(shelf, read, self._people, self._head.version)
        self._waiting = Waiting.read(shelf.get(WAITING))
        self._residents = Residents(shelf, self._people, awake)
        self._journal = Journal(shelf, self._head.journal)
        self._begin()
        for record in self._journal.replay():
            self._do_all(record)  # what came of it was told then; whoever moved is shown once more

    def _begin(self) -> None:
        self._out = Folded(bucket=self._bucket, done=[])
        self._moves: list[tuple[int, bytes]] = []
        self._puts = False
        """Whether everything is to be put on the shelf."""

    def take(self, record: bytes) -> Outcome:
        """
        Do what a record asks: a slice of what was routed to this bucket, or a move to it.

        Raises:
            core.codec.UnreadableRecord: it is neither.
        """
        folded, moves, puts = self._do_all(record)
        puts = puts or self._residents.crowded or self._journal.bytes + len(record) > self._journal_bytes
        if puts or not self._behind:
            folded.shown.extend(self._residents.shown())
        if puts:
            self._put()
        else:
            self._journal.add(record)
        told = folded.done or folded.parts or folded.rows or folded.shown
        return Outcome(items.write_folded(folded) if told else b"", moves)

    def _do_all(self, record: bytes) -> tuple[Folded, list[tuple[int, bytes]], bool]:
        read = items.read(record)
        if isinstance(read, Slice):
            self._take_slice(read)
        else:
            self._arrive(read)
            self._go_on()
        people = self._people
        people.absorbed.clear()
        people.lacking.clear()
        people.groups.clear()
        done = self._out, self._moves, self._puts
        self._begin()
        return done

    def _arrive(self, moved: Moved) -> None:
        if moved.begun == self._head.begun:
            self._waiting.arrive(moved, self._head.decided, self._head.lent)
        elif moved.begun > self._head.begun:
            self._waiting.arrive_early(moved)

    def _put(self) -> None:
        """Have the shelf hold all that is to be remembered; what was taken until now is needed no more."""
        shelf = self._shelf
        self._residents.put()
        self._defining.put()
        put_or_remove(shelf, WAITING, self._waiting.write())
        self._head.journal = self._journal.clear()
        keep_head(shelf, self._head)

    def _take_slice(self, read: Slice) -> None:
        self._head.buckets = read.buckets
        latest: int | None = None
        for number, item in zip(read.numbers, read.items, strict=True):
            if number < self._head.next:
                continue  # it comes again
            self._head.next = number + 1
            if self._waiting.holds(item):
                self._waiting.hold(number, item)
            else:
                self._take_item(number, item)
            if isinstance(item, Told):
                latest = item.event.received_at
        self._go_on()
        if latest is not None:
            self._behind = latest < self._now() - BEHIND

    def _take_item(self, number: int, item: Item) -> None:
        theirs = concerned(item)
        if isinstance(item, Lent):
            self._head.lent = item.decision
        lends = isinstance(item, Decided) and bool(item.lent)
        if lends or (theirs and self._waiting.blocks(theirs)):
            self._waiting.add(Entry(number, item, theirs))
            if isinstance(item, Decided) and item.lent:
                self._head.decided = item.offset
        elif isinstance(item, Tick):
            self._tick(number, item)
        else:
            self._do(number, item, {})

    def _go_on(self) -> None:
        """Do what has waited, as far as it waits for nothing more."""
        while True:
            while (ready := self._waiting.pop()) is not None:
                self._do_ready(ready)
            held = self._waiting.pop_held()
            if held is None:
                return
            self._take_item(*held)

    def _do_ready(self, ready: Entry) -> None:
        if isinstance(ready.item, Tick):
            if ready.item.keep:
                self._tell(ready.concerned[0])
            self._tick_for(ready.concerned[0], ready.number, ready.item)
            self._out.parts.append(ready.key)
            if not self._waiting.parts_of(ready.number):
                self._tick_done(ready.number, ready.item)
        elif ready.lent:
            self._take_back(ready.arrived)
        else:
            self._do(ready.number, ready.item, ready.arrived)

    def _do(self, number: int, item: Item, arrived: Arrived) -> None:
        if isinstance(item, Told):
            self._told(number, item)
        elif isinstance(item, Decided):
            self._carry_out(number, item, arrived)
        elif isinstance(item, Lent):
            self._lend(number, item)
        else:
            self._do_seldom(number, item)
        self._out.done.append(number)

    def _do_seldom(self, number: int, item: Item) -> None:
        if isinstance(item, Defined):
            self._head.version = item.version
            self._defining.define(item)
        elif isinstance(item, Refused):
            self._out.rejected.append((number, item.rejected))
        elif isinstance(item, Adopted):
            self._residents.come(item.packed)
        elif isinstance(item, Done):
            self._out.beside.append((number, item))
        elif isinstance(item, Became):
            self._become(number, item)
        elif isinstance(item, Follow):
            self._follow(number, item)
        elif isinstance(item, Fill):
            self._fill(number, item)
        elif isinstance(item, Anew):
            self._begin_anew(item)

    def _begin_anew(self, item: Anew) -> None:
        """Know nobody, and wait for nobody."""
        self._residents.clear()
        self._waiting = self._waiting.anew(item.begun)
        self._defining.begin_anew()
        self._head.begun, self._head.decided, self._head.lent, self._head.version = item.begun, -1, -1, 0
        self._puts = True

    def _become(self, number: int, item: Became) -> None:
        """Have a profile be another: all of it is told."""
        profile, people = profiles.unpack(item.packed, self._people.definitions), self._people
        if profile.id in people.profiles:
            people.release(people.profiles[profile.id])
        people.adopt(profile)
        profile.known_moved = profile.standing_moved = True
        profile.claims = tuple(profile.identifiers)
        self._residents.moved(profile.id, number)
        self._change(number, item.changes)

    def _follow(self, number: int, item: Follow) -> None:
        profile = self._residents.find(item.profile)
        if profile is not None:
            self._change(number, self._defining.follow(profile, item))
            self._residents.moved(item.profile, number)

    def _fill(self, number: int, item: Fill) -> None:
        profile = self._residents.find(item.profile)
        if profile is not None and self._defining.fill(profile, item):
            self._residents.moved(item.profile, number)

    def _told(self, number: int, item: Told) -> None:
        try:
            self._fold(number, item)
        except Exception as error:  # noqa: BLE001 - one event that cannot be folded must not stop all others
            self._out.rejected.append((number, unfoldable(item.event, error)))

    def _fold(self, number: int, item: Told) -> None:
        """Fold an event into its profile, as `People.fold` does once it knows whose it is."""
        profile, event, definitions = self._residents.find(item.profile), item.event, self._people.definitions
        if profile is None:
            raise LookupError(f"nobody lives here by the id {item.profile.hex()}")
        stamp = event.stamp
        shown = identifiers(event, definitions.identity)
        done = profiles.apply(profile, event, stamp, (item.partition, item.offset), definitions, shown)
        self._residents.moved(profile.id, number)
        if done is None:
            return
        if done:
            self._change(number, done)
        self._out.events.append((number, profile.id, item.partition, item.offset, event))
        group = None if event.group_id is None else groups.group_of(event, definitions.identity)
        if group is not None:
            told = Group(group)
            groups.tell(told, event, stamp)
            self._out.groups.append((number, groups.pack(told)))

    def _carry_out(self, number: int, item: Decided, arrived: Arrived) -> None:
        people, decision = self._people, item.decision
        concerned = dict.fromkeys((decision.profile, *decision.absorbed, *decision.beside))
        for one in concerned:
            if one in arrived:
                people.adopt(profiles.unpack(arrived[one].packed, people.definitions))
            elif one not in item.lent and (here := self._residents.find(one)) is not None:
                # Whoever is not concerned may be behind, if those who are lent were sent before a crash, and still have
                # an identifier that one of these has by now.
                people.adopt(here)
        self._change(number, people.carry_out(decision))
        self._out.decisions.append((number, item.offset, decision))
        for lost in decision.absorbed:
            self._residents.leave(lost)
            self._out.absorbed.append((number, lost, decision.profile))
        for one in concerned:
            if one in people.profiles:
                self._residents.moved(one, number)
        for one in item.lent:
            if one in people.profiles:
                self._send(one, Moved(item.offset, one, b"", back=True), bucket_of(one, self._head.buckets))

    def _lend(self, number: int, item: Lent) -> None:
        self._residents.find(item.profile)
        self._send(item.profile, Moved(item.decision, item.profile, b""), item.to)
        if item.returns:
            self._waiting.add(Entry(number, item, (item.profile,), lent=True), first=True)

    def _take_back(self, arrived: Arrived) -> None:
        """Take in somebody who was lent. They were told of where they have been."""
        for moved in arrived.values():
            self._residents.come(moved.packed)

    def _tick(self, number: int, item: Tick) -> None:
        """Have time go on for whoever is due by then; for those for whom something waits, after that."""
        waiting, residents = self._waiting, self._residents
        moved: list[bytes] = []
        blocked: list[bytes] = []
        if item.keep:
            # As they are before what time does now.
            self._out.shown.extend(residents.shown())
            for one in list(residents.unkept):
                if not waiting.blocks((one,)):
                    self._out.rows.extend(residents.row_of(one))
            self._puts = True
        if self._people.definitions.timed:
            for one in residents.due(item.now):
                if not waiting.blocks((one,)):
                    self._tick_for(one, number, item)
                    moved.append(one)
        if self._people.definitions.timed or item.keep:
            blocked = waiting.blocked()
            for one in blocked:
                waiting.add(Entry(number, item, (one,)))
        if blocked:
            self._out.parts.extend((number, one) for one in moved)
        else:
            self._tick_done(number, item)

    def _tick_done(self, number: int, item: Tick) -> None:
        self._out.ticks.append((number, item))
        self._out.done.append(number)

    def _tick_for(self, one: bytes, number: int, item: Tick) -> None:
        definitions = self._people.definitions
        profile = self._residents.find(one) if definitions.timed else None
        if profile is None:
            return
        if profile.due <= item.now:
            self._change(number, profiles.advance(profile, item.now, definitions))
            self._residents.moved(one, number)
        self._residents.look_at_again(profile)

    def _change(self, number: int, changes: Iterable[Change]) -> None:
        self._out.changes.extend((number, one) for one in changes)

    def _tell(self, one: bytes) -> None:
        """Show somebody who has moved, and tell the row."""
        self._out.shown.extend(self._residents.shown_of(one))
        self._out.rows.extend(self._residents.row_of(one))

    def _send(self, one: bytes, moved: Moved, to: int) -> None:
        """Send somebody away, told as they are now: whoever has them next begins anew."""
        people = self._people
        self._tell(one)
        profile = people.profiles[one]
        packed = profiles.pack(profile, people.definitions)
        people.release(profile)
        self._residents.leave(one)
        self._moves.append((to, items.write_move(structs.replace(moved, packed=packed, begun=self._head.begun))))

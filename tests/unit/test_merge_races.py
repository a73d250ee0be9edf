"""
Merges while events are on their way: seven races that PostHog has had, in every order in which they can happen.

Each race is what two or three senders do at once. All interleavings are folded, and each of them is also broken off
after every event and taken up again from what was kept and decided. The engine meets them in an order drawn from a
seed. `make identity` tries more seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from identity_steps import digest, digest_of, size
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.contracts.engine_steps import load
from obverse.core import profiles
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.identity import Decision, profile_id
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Records, Stream
from people_steps import DEFINITIONS as OPEN
from people_steps import bought, event

SCHEDULES = size("SCHEDULES", 3)
DEFINITIONS = define(traits=OPEN.traits, audiences=OPEN.audiences)
"""With the limits that hold if nobody says otherwise: none of these races comes near one."""


@dataclass(frozen=True)
class Race:
    """What happens at once, and what must come of it."""

    issue: str
    senders: tuple[tuple[Event, ...], ...]
    identifiers: frozenset[str]
    plan: bytes | None = None
    """The attribute `plan` in the end: that of the latest event, whatever the order."""
    orders: int | None = None
    """The trait `orders`."""

    def __str__(self) -> str:
        return self.issue

    @property
    def events(self) -> list[Event]:
        return [one for sender in self.senders for one in sender]


def identify(name: str, at: int, plan: str | None = None, **ids: Any) -> Event:
    return event(name, at=at, type_="identify", properties={} if plan is None else {"plan": plan}, **ids)


def ids(*names: str) -> frozenset[str]:
    return frozenset(names)


RACES = [
    Race(
        # One merge moves B's ids to A and removes B, while another event gives B one more: the removal fails.
        "3190: an id joins a profile that is being merged away",
        (
            (identify("know a", 0, user_id="a"), event("merge", at=4, type_="alias", user_id="a", previous_id="b")),
            (
                event("know b", at=1, anonymous_id="b"),
                event("more of b", at=3, type_="alias", anonymous_id="b2", previous_id="b"),
            ),
        ),
        ids("user_id:a", "anonymous_id:b", "anonymous_id:b2"),
    ),
    Race(
        # Two threads meet an unknown id, both insert it, and one fails with a duplicate key.
        "8343: two meet the same unknown id",
        (
            (bought("one", 5, at=0, anonymous_id="new"), bought("one more", 5, at=2, anonymous_id="new")),
            (bought("other", 5, at=1, anonymous_id="new"), bought("other more", 5, at=3, anonymous_id="new")),
        ),
        ids("anonymous_id:new"),
        orders=4,
    ),
    Race(
        # A has marked the id as seen and not made the person; B takes it for made, and its event is dropped.
        "9956: an event between the sight of an id and the making of its person",
        (
            (bought("first", 5, at=0, anonymous_id="new"),),
            (identify("update", 1, "pro", anonymous_id="new"),),
            (bought("third", 5, at=2, anonymous_id="new"),),
        ),
        ids("anonymous_id:new"),
        plan=b'"pro"',
        orders=2,
    ),
    Race(
        # One event merges and tells attributes: three writes of one row, and any of them may win.
        "10337: an identify merges and tells at once",
        (
            (identify("a", 0, "free", user_id="a"), identify("late", 3, "late", user_id="a")),
            (identify("b", 1, "basic", anonymous_id="b"),),
            (identify("merge", 2, "pro", user_id="a", anonymous_id="b"),),
        ),
        ids("user_id:a", "anonymous_id:b"),
        plan=b'"late"',
    ),
    Race(
        # A looks and finds nobody, B makes the person, and A's event ends up without one.
        "11148: somebody else makes the person after the look",
        (
            (bought("look", 5, at=0, anonymous_id="new"),),
            (identify("make", 1, "pro", user_id="u", anonymous_id="new"), bought("then", 5, at=2, user_id="u")),
        ),
        ids("user_id:u", "anonymous_id:new"),
        plan=b'"pro"',
        orders=2,
    ),
    Race(
        # B is told something while it is merged into A, and that into C: the update finds no row.
        "11217: an update of who is merged away, and further",
        (
            (event("a", at=0, user_id="a"), identify("a takes b", 3, user_id="a", anonymous_id="b")),
            (event("b", at=1, anonymous_id="b"), identify("update", 6, "pro", anonymous_id="b")),
            (event("c", at=2, anonymous_id="c"), event("c takes a", at=5, type_="alias", user_id="a", previous_id="c")),
        ),
        ids("user_id:a", "anonymous_id:b", "anonymous_id:c"),
        plan=b'"pro"',
    ),
    Race(
        # The anonymous event makes the person; the identify, which would make it too, does not do the rest then.
        "40639: an identify loses to who makes the person, and its news with it",
        (
            (bought("anonymous", 5, at=0, anonymous_id="new"), bought("again", 5, at=3, anonymous_id="new")),
            (identify("known", 1, "pro", user_id="u", anonymous_id="new"),),
            (identify("too", 2, user_id="u", anonymous_id="new2"),),
        ),
        ids("user_id:u", "anonymous_id:new", "anonymous_id:new2"),
        plan=b'"pro"',
        orders=2,
    ),
]
each_race = pytest.mark.parametrize("race", RACES, ids=str)


def interleavings(senders: Sequence[Sequence[Event]]) -> Iterator[list[Event]]:
    """Return every order in which these can arrive, each sender's own order kept."""
    if not any(senders):
        yield []
    for place, sender in enumerate(senders):
        if sender:
            rest = [*senders[:place], sender[1:], *senders[place + 1 :]]
            for order in interleavings(rest):
                yield [sender[0], *order]


def folded(order: Sequence[Event], people: People | None = None, first: int = 0) -> tuple[People, list[Decision]]:
    people = People("main", DEFINITIONS) if people is None else people
    decisions = []
    for offset, one in enumerate(order[first:], first):
        done = people.fold(one, (0, offset))
        assert done.profile is not None, "no event is dropped"
        if done.decision is not None:
            decisions.append(done.decision)
    return people, decisions


def broken_off(order: Sequence[Event], kept: int, decided: int) -> People:
    """
    Return the people of a run that ended, and of the next one.

    The checkpoint holds the first `kept` events; the log holds what was decided upon the first `decided`.
    """
    before, _ = folded(order[:kept])
    _, decisions = folded(order[:decided])
    people = People("main", DEFINITIONS)
    for profile in before.profiles.values():
        people.adopt(profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS))
    people.absorbed.update(before.absorbed)
    for decision in decisions:
        people.carry_out(decision)
    return folded(order, people, kept)[0]


def told(people: Sequence[Profile], race: Race) -> Profile:
    """Return the one person of a race, in whom all of it must be."""
    (profile,) = people
    assert profile.identifiers.keys() == race.identifiers
    assert profile.events == len(race.events)
    plan = profile.attributes.get("plan")
    assert (None if plan is None else plan[0].value) == race.plan
    assert profiles.computed_traits(profile, DEFINITIONS).get("orders") == race.orders
    assert profile.first == min(one.stamp for one in race.events)
    return profile


@each_race
def test_every_order_ends_alike_and_no_event_is_dropped(race: Race) -> None:
    orders, digests = list(interleavings(race.senders)), set()
    assert len(orders) > 1
    for order in orders:
        people, decisions = folded(order)
        profile = told(list(people.profiles.values()), race)
        assert profile.id == survivor(order)
        assert folded(order)[1] == decisions, "the same order decides the same"
        digests.add(digest(people))
    assert len(digests) == 1


def survivor(order: Sequence[Event]) -> bytes:
    """Return who should go on: of those who meet, whoever has the earlier first event; ties go to the smaller id."""
    owners, firsts = dict[str, bytes](), dict[bytes, Stamp]()
    for one in order:
        shown = People("main", DEFINITIONS).shown(one)
        met = {owners[name] for name in shown if name in owners}
        keeper = min(met, key=lambda who: (firsts[who].time, who)) if met else profile_id("main", shown[0])
        firsts[keeper] = min([one.stamp, *(firsts[who] for who in met)])
        owners |= {name: keeper for name, who in owners.items() if who in met} | dict.fromkeys(shown, keeper)
    (last,) = set(owners.values())
    return last


@each_race
def test_broken_off_anywhere_it_ends_alike(race: Race) -> None:
    for order in interleavings(race.senders):
        expected, _ = folded(order)
        (winner,) = expected.profiles.values()
        for kept in range(len(order) + 1):
            for decided in range(kept, len(order) + 1):
                people = broken_off(order, kept, decided)
                profile = told(list(people.profiles.values()), race)
                assert (profile.id, profile.merges) == (winner.id, winner.merges)
                assert digest(people) == digest(expected)
                assert set(people.owners.values()) == {winner.id}


@each_race
@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_through_an_engine_that_is_stopped_and_started_meanwhile(race: Race, seed: int) -> None:
    first, again = (
        simulate(seed, lambda runtime: run(runtime, race)),
        simulate(seed, lambda runtime: run(runtime, race)),
    )
    assert first == again
    assert first[0] == digest(folded(race.events)[0])


async def run(runtime: SimulatedRuntime, race: Race) -> str:
    """Have each sender append in a partition of its own, in its own time, to a log that engine after engine folds."""
    parts = EngineParts(
        workspace="main",
        log=await open_event_log(MemoryLogSettings(partitions=3), runtime),
        store=await open_profile_store(MemoryStoreSettings(), runtime),
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=lambda: DEFINITIONS,
        runtime=runtime,
    )
    appender = await parts.log.open_appender(Stream.EVENTS)

    async def send(partition: int, events: Sequence[Event]) -> None:
        for one in events:
            await runtime.sleep(runtime.random.random())
            await appender.append(partition, *Records.of([one]))

    senders = [runtime.spawn(f"sender {one}", send(one, events)) for one, events in enumerate(race.senders)]
    settings = EmbeddedSettings(
        slice_events=1, turn_events=1, checkpoint_seconds=0.3, idle_seconds=0.1, profiles_awake=0
    )
    for _ in range(runtime.random.randrange(4)):
        work = runtime.spawn("engine", (await open_engine(settings, parts)).run())
        await runtime.sleep(runtime.random.random())
        await work.stop()
    for sender in senders:
        await sender.wait()
    engine = await open_engine(settings, parts)
    work = runtime.spawn("engine", engine.run())
    await engine.drain()
    await work.stop()
    assert (await parts.store.rejected(limit=9)) == []
    assert (await parts.store.overview()).events == len(race.events)
    people = await load(parts, [(0, 0, one) for one in race.events])
    told(people, race)
    return digest_of(people, DEFINITIONS)

"""What a bucket's machine tells of profiles, and when; and that another one over the same shelf goes on as it would."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest
from msgspec.structs import replace

from buckets import MemoryShelf
from obverse.adapters._buckets import items, shelves
from obverse.adapters._buckets.items import Anew, Decided, Defined, Folded, Item, Lent, Moved, Tick, Told, bucket_of
from obverse.adapters._buckets.machine import BucketMachine
from obverse.adapters._buckets.shelves import Dues, Outcome
from obverse.contracts.engine import shown_on
from obverse.contracts.stories import DEFINITIONS, START, tell
from obverse.core import conditions, profiles, spans
from obverse.core.audiences import Audience
from obverse.core.changes import Change
from obverse.core.definitions import Definitions, Trait, define
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.profiles import CLOCK, Profile
from obverse.core.traits.numbers import Count
from obverse.core.traits.windows import Sliding

BUCKETS = 3
WINDOWED = define(
    traits=[
        *DEFINITIONS.traits,
        Trait(
            name="orders_1d",
            kind=Sliding(Count(), spans.DAY),
            key="w:orders_1d:1",
            type="track",
            event="Order Completed",
            property=None,
            field=None,
        ),
    ],
    audiences=[
        *DEFINITIONS.audiences,
        Audience("active", conditions.parse({"op": "gte", "trait": "orders_1d", "value": 1})),
    ],
)
"""With what time alone moves."""
RULES = define(traits=DEFINITIONS.traits, identity=IdentityRules(unique=frozenset({"user_id"}), shared=4))
"""By which identifiers are taken from each other, and set aside."""
LATE = 2**62
"""When all that the stories tell was long ago."""


class Bucket:
    """One of three, and what it has told so far."""

    def __init__(
        self,
        kept: dict[bytes, bytes],
        number: int = 0,
        *,
        awake: int = 1000,
        journal: int = 2**20,
        now: Callable[[], int] = lambda: 0,
        definitions: Definitions = DEFINITIONS,
    ) -> None:
        self.number = number
        self.machine = BucketMachine(
            number,
            MemoryShelf(kept),
            workspace="main",
            read=lambda *_: definitions,
            awake=awake,
            journal=journal,
            now=now,
        )

    def take(self, record: bytes) -> tuple[Folded, Outcome]:
        outcome = self.machine.take(record)
        return items.read_folded(outcome.folded) if outcome.folded else Folded(bucket=self.number, done=[]), outcome


class Routing:
    """Says what is to be done for some events, as a router would, in turns."""

    def __init__(self, seed: int, *, people: int, events: int, step: int = 0, tablets: int = 0) -> None:
        """
        `step`: microseconds that go on with each item; if none, ticks say that all time has passed.

        `tablets` are shared by several, so that people are lent and come back.
        """
        self.step = step
        self.events = tell(seed=seed, people=people, events=events)
        for tablet in range(tablets):
            self.events += shown_on(f"tablet-{tablet}", [one % people for one in range(2 * people)], name=f"{tablet}")
        if tablets:
            Random(seed).shuffle(self.events)
        self.people = People("main", define(identity=(RULES if tablets else DEFINITIONS).identity))
        self.number = 0
        self.decided = 0

    def turn(self, *work: tuple[int, Item]) -> list[tuple[int, bytes]]:
        _, body = items.write_turn(self.number, BUCKETS, work)
        self.number += len(work)
        return items.slices_of(body)

    def tick(self, *, keep: bool) -> list[tuple[int, bytes]]:
        until = self.number + BUCKETS if keep else 0
        now = START + self.number * self.step if self.step else 2**60
        tick = Tick(now, self.number, {0: self.number}, self.decided, 0, until)
        return self.turn(*((bucket, tick) for bucket in range(BUCKETS)))

    def route(self, place: int, event: Event) -> list[tuple[int, Item]]:
        names = self.people.shown(event)
        if not names:
            return []
        profile, folded = self.people.resolve(event, event.stamp, names)
        profiles.notice(profile, event, event.stamp, (0, place), names)
        work: list[tuple[int, Item]] = []
        if folded.decision is not None:
            decision, offset = folded.decision, self.decided
            self.decided += 1
            home = bucket_of(decision.profile, BUCKETS)
            others = dict.fromkeys((*decision.absorbed, *decision.beside))
            lent = tuple(one for one in others if bucket_of(one, BUCKETS) != home)
            work += [(bucket_of(one, BUCKETS), Lent(one, home, offset, one not in decision.absorbed)) for one in lent]
            work.append((home, Decided(offset, decision, lent)))
        return [*work, (bucket_of(profile.id, BUCKETS), Told(profile.id, 0, place, event))]

    def all(self) -> Iterator[Sequence[tuple[int, bytes]]]:
        defined = Defined(1, b"1")
        yield self.turn(*((bucket, defined) for bucket in range(BUCKETS)))
        for place, event in enumerate(self.events):
            yield self.turn(*self.route(place, event))
            if place % 10 == 9:
                yield self.tick(keep=place % 80 == 79)
        yield self.tick(keep=True)


def run(
    seed: int, *, crashes: bool, awake: int = 1000, step: int = 0, definitions: Definitions = DEFINITIONS
) -> dict[int, list[Folded]]:
    """What buckets told; with crashes, each is made anew over its shelf again and again, and at times is behind."""
    dice = Random(seed)

    def now() -> int:
        return LATE if crashes and dice.random() < 0.5 else 0

    kept: dict[int, dict[bytes, bytes]] = {number: {} for number in range(BUCKETS)}

    def made(number: int) -> Bucket:
        return Bucket(kept[number], number, awake=awake, now=now, definitions=definitions)

    buckets = {number: made(number) for number in range(BUCKETS)}
    told: dict[int, list[Folded]] = {number: [] for number in range(BUCKETS)}
    for cut in Routing(seed, people=30, events=400, step=step).all():
        work = list(cut)
        while work:
            number, record = work.pop(0)
            if crashes and dice.random() < 0.1:
                buckets[number] = made(number)
            folded, outcome = buckets[number].take(record)
            told[number].append(folded)
            work += outcome.moves
    return told


def rows_of(told: dict[int, list[Folded]]) -> dict[bytes, tuple[int, bytes, bytes]]:
    rows = (row for some in told.values() for folded in some for row in folded.rows)
    return {
        row.row.id: (row.number, row.row.state, row.row.computed_traits)
        for row in sorted(rows, key=lambda row: row.number)
    }


def shown_of(told: dict[int, list[Folded]]) -> dict[bytes, tuple[int, bytes]]:
    shown: dict[bytes, tuple[int, bytes]] = {}
    for one in (one for some in told.values() for folded in some for one in folded.shown):
        if one.number >= shown.get(one.id, (-1, b""))[0]:
            shown[one.id] = one.number, profiles.parts(one.packed)[1]
    return shown


def test_profiles_are_shown_at_once_and_kept_when_a_tick_says_so() -> None:
    routing, kept = Routing(1, people=1, events=3), dict[bytes, bytes]()
    bucket = Bucket(kept)
    told = [Folded(bucket=0, done=[])]
    for place, event in enumerate(routing.events):
        for _, record in routing.turn(*((0, item) for _, item in routing.route(place, event))):
            told.append(bucket.take(record)[0])
    assert sum(len(folded.shown) for folded in told) >= 3
    assert not any(folded.rows for folded in told)
    (_, quick), *_ = routing.tick(keep=False)
    assert bucket.take(quick)[0].rows == []
    (_, record), *_ = routing.tick(keep=True)
    rows = {row.row.id: row.row for row in bucket.take(record)[0].rows}
    shown = {one.id: one for folded in told for one in folded.shown}
    assert rows
    for one, row in rows.items():
        assert row.known is not None
        assert set(row.identifiers) == set(shown[one].identifiers), "all that it has come to since"
    (_, record), *_ = routing.tick(keep=True)
    assert bucket.take(record)[0].rows == [], "it has not moved since"


def test_while_events_have_waited_for_long_people_are_shown_with_the_ticks_that_keep() -> None:
    routing, bucket = Routing(1, people=1, events=30), Bucket({}, now=lambda: LATE)
    told = [
        bucket.take(record)[0]
        for place, event in enumerate(routing.events)
        for _, record in routing.turn(*((0, item) for _, item in routing.route(place, event)))
    ]
    assert sum(len(folded.events) for folded in told) > 5
    assert not any(folded.shown for folded in told if folded.events)
    (_, record), *_ = routing.tick(keep=True)
    kept = bucket.take(record)[0]
    assert kept.rows
    assert {one.id for one in kept.shown} >= {row.row.id for row in kept.rows}


def test_what_was_taken_is_in_the_journal_until_everybody_is_put_on_the_shelf() -> None:
    routing, kept = Routing(2, people=4, events=20), dict[bytes, bytes]()
    bucket = Bucket(kept)
    for place, event in enumerate(routing.events):
        for _, record in routing.turn(*((0, item) for _, item in routing.route(place, event))):
            bucket.take(record)
    assert {key[:1] for key in kept} == {b"j"}
    (_, record), *_ = routing.tick(keep=True)
    bucket.take(record)
    assert {key[:1] for key in kept} >= {b"h", shelves.PROFILE}
    assert not any(key[:1] == b"j" for key in kept), "it would grow for ever"


def test_a_long_journal_is_given_up() -> None:
    routing, kept = Routing(3, people=4, events=60), dict[bytes, bytes]()
    bucket = Bucket(kept, journal=2000)
    for place, event in enumerate(routing.events):
        for _, record in routing.turn(*((0, item) for _, item in routing.route(place, event))):
            bucket.take(record)
            assert sum(len(value) for key, value in kept.items() if key[:1] == b"j") <= 2000
    assert any(key[:1] == shelves.PROFILE for key in kept)
    assert len(rows_of({0: [bucket.take(routing.tick(keep=True)[0][1])[0]]})) > 0, "rows are told all the same"


@pytest.mark.parametrize("awake", [2, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_a_machine_made_anew_over_the_shelf_goes_on_as_the_one_before(seed: int, awake: int) -> None:
    whole, broken = run(seed, crashes=False), run(seed, crashes=True, awake=awake)
    for number in range(BUCKETS):
        assert [replace(one, shown=[]) for one in whole[number]] == [replace(one, shown=[]) for one in broken[number]]
    assert shown_of(whole) == shown_of(broken), "whoever was to be shown, and was not, is shown later"
    assert rows_of(whole)


@pytest.mark.parametrize("awake", [2, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_what_time_does_comes_with_the_same_tick_whenever_a_machine_is_made_anew(seed: int, awake: int) -> None:
    whole = run(seed, crashes=False, step=5 * spans.MINUTE, definitions=WINDOWED)
    broken = run(seed, crashes=True, awake=awake, step=5 * spans.MINUTE, definitions=WINDOWED)
    for number in range(BUCKETS):
        for one, other in zip(whole[number], broken[number], strict=True):
            assert (one.done, one.rows, sorted_changes(one)) == (other.done, other.rows, sorted_changes(other))
    assert shown_of(whole) == shown_of(broken)
    changes = [change for some in whole.values() for folded in some for _, change in folded.changes]
    assert any(one.name == "orders_1d" and one.event.startswith(CLOCK) for one in changes)


def sorted_changes(folded: Folded) -> list[tuple[int, Change]]:
    """Those of several profiles come in any order."""
    return sorted(folded.changes, key=lambda one: (one[0], one[1].profile))


@pytest.mark.parametrize("seed", range(3))
def test_at_each_tick_that_keeps_rows_are_what_was_shown_before_it(seed: int) -> None:
    told = run(seed, crashes=False)
    shown = shown_of(told)
    absorbed = {lost for some in told.values() for folded in some for _, lost, _ in folded.absorbed}
    rows = {one: row[:2] for one, row in rows_of(told).items() if one not in absorbed}
    assert rows == {one: last for one, last in shown.items() if one not in absorbed}


@pytest.mark.parametrize("behind", range(BUCKETS))
def test_who_is_lent_to_a_bucket_that_has_not_begun_anew_is_not_forgotten(behind: int) -> None:
    """A bucket is given nothing at first but those whom the others lend it."""
    routing = Routing(11, people=12, events=200)
    kept: list[dict[bytes, bytes]] = [{} for _ in range(BUCKETS)]
    done, lagging, lent = set[int](), list[bytes](), Counter[int]()

    def give(bucket: int, record: bytes) -> None:
        folded, outcome = Bucket(kept[bucket], bucket).take(record)
        done.update(folded.done)
        for to, moved in outcome.moves:
            lent[to] += 1
            give(to, moved)

    anew = routing.turn(*((bucket, Anew(1, 0)) for bucket in range(BUCKETS)))
    for slices in (anew, *routing.all()):
        for bucket, record in slices:
            if bucket == behind:
                lagging.append(record)
            else:
                give(bucket, record)
    assert lent[behind] > 0
    for record in lagging:
        give(behind, record)
    assert done == set(range(routing.number))


def mixed(cuts: Sequence[tuple[int, bytes]], sent: list[tuple[int, bytes]], dice: Random) -> dict[int, list[Folded]]:
    """What buckets told that are given slices in their order, and whom others have sent them at any time."""
    buckets = {number: Bucket({}, number, definitions=RULES) for number in range(BUCKETS)}
    told: dict[int, list[Folded]] = {number: [] for number in range(BUCKETS)}
    slices = {number: deque(record for bucket, record in cuts if bucket == number) for number in range(BUCKETS)}
    moves = list(sent)
    while any(slices.values()) or moves:
        if moves and dice.random() < 0.5:
            number, record = moves.pop(dice.randrange(len(moves)))
        else:
            given = [one for one, waiting in slices.items() if waiting]
            if not given:
                continue
            # Some are behind the others for long.
            number = given[min(dice.randrange(len(given)), dice.randrange(len(given)))]
            record = slices[number].popleft()
        folded, outcome = buckets[number].take(record)
        told[number].append(folded)
        moves += outcome.moves
        sent += outcome.moves
    return told


@pytest.mark.parametrize("seed", range(50))
def test_who_comes_back_before_they_are_lent_is_not_forgotten(seed: int) -> None:
    """Kafka keeps what was sent after the checkpoint with which all begin again."""
    cuts = [one for cut in Routing(seed, people=12, events=200, tablets=4).all() for one in cut]
    sent, dice = list[tuple[int, bytes]](), Random(seed)
    told = [mixed(cuts, sent, dice) for _ in range(2)]
    assert any(one.back for _, record in sent if isinstance(one := items.read(record), Moved))
    done = [{number for some in one.values() for folded in some for number in folded.done} for one in told]
    assert done[0] == done[1]
    assert rows_of(told[0]) == rows_of(told[1])


def test_who_moves_often_is_looked_for_once() -> None:
    dues, profile = Dues(MemoryShelf({})), Profile(bytes(16), due=5)
    assert list(dues.by(0, (), ())) == []
    for _ in range(100):
        dues.note(profile)
    assert list(dues.by(4, [profile], ())) == []
    assert list(dues.by(5, [profile], ())) == [profile.id]
    assert list(dues.by(6, (), ())) == []

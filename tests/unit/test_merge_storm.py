"""
A storm of identifies that merge everybody with everybody of their own, in circles too: as a plain union-find says.

`make identity` runs this with a million over 100,000 people, and prints how many a second of CPU, and where it goes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import pytest

from engine_parts import memory_parts
from identity_steps import Groups, clusters, size, tell
from obverse.adapters.embedded import EmbeddedSettings, open_engine
from obverse.adapters.local import LocalCacheSettings, open_profile_cache
from obverse.core import codec, profiles
from obverse.core.definitions import define
from obverse.core.durations import BOUNDS, Durations
from obverse.core.events import Event
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.ports.engine import WRITER
from obverse.ports.event_log import Appender, Records, Stream

IDENTIFIES, THROUGH_ENGINE = size("STORM", 6_000), size("STORM_THROUGH_ENGINE", 3_000)
SENDERS, BATCH, EACH = 16, 200, 10
"""Senders at once; events of a batch; identifies of a person."""
WITHOUT_LIMITS = define(identity=IdentityRules(limits={}, merges=10**9, identifiers=10**9))
BEGAN = 1_767_225_600_000_000


@pytest.fixture(autouse=True)
def as_in_a_worker() -> Iterator[None]:
    """Have the garbage collector look as seldom as a worker does (`processes.run`)."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, 250, 1000)
    yield
    gc.set_threshold(*before)


def storm(identifies: int, seed: int = 17) -> Iterator[Event]:
    """
    Return identifies in a random order; each person has ten, by three accounts, three devices and an address.

    At first each account and device goes by itself, so that they are people of their own; then they are shown in pairs:
    A with B, B with C, and C with A again.
    """
    dice, people = Random(seed), max(1, identifies // EACH)
    places = [(person, place) for person in range(people) for place in range(EACH)]
    dice.shuffle(places)
    for number, (person, place) in enumerate(places):
        account, device, traits = f"u{person}-{place % 3}", f"d{person}-{place * 7 % 3}", b"{}"
        ids: dict[str, Any]
        if place < 3:
            ids = {"user_id": account} if dice.random() < 0.5 else {"anonymous_id": device}
        elif place < 9:
            ids = {"user_id": account, "anonymous_id": f"d{person}-{(place + place // 3) % 3}"}
        else:
            ids, traits = {"user_id": account}, b'{"email":"%d@example.com","plan":"pro"}' % person
        if dice.random() < 0.001:
            ids["anonymous_id"] = f"d{dice.randrange(people)}-0"  # a device that was lent: whole people merge
        at = BEGAN + number * 1000
        yield Event(
            type="identify",
            message_id=f"storm-{number}",
            source="web",
            received_at=at,
            timestamp=at - dice.randrange(10_000_000),
            properties=traits,
            **ids,
        )


def oracle(identifies: int) -> set[frozenset[str]]:
    groups, people = Groups(), People("main", WITHOUT_LIMITS)
    for event in storm(identifies):
        groups.tie(people.shown(event))
    return groups.groups()


@dataclass
class Spent:
    """Seconds of CPU by step: others may share the machine."""

    steps: dict[str, float] = field(default_factory=dict)

    def on(self, step: str, since: float) -> float:
        now = process_time()
        self.steps[step] = self.steps.get(step, 0.0) + now - since
        return now

    def micros(self, events: int) -> Mapping[str, float]:
        return {f"us_{step}": round(seconds / events * 1_000_000, 1) for step, seconds in self.steps.items()}


def test_it_equals_a_union_find() -> None:
    people, spent, story = People("main", WITHOUT_LIMITS), Spent(), storm(IDENTIFIES)
    decoder, offset, decisions = codec.Decoder(Event), 0, 0
    while batch := list(islice(story, 500)):
        body = codec.encode(batch)
        at = process_time()
        events = decoder.decode(len(batch), body)
        at = spent.on("decoding", at)
        shown = [people.shown(event) for event in events]
        at = spent.on("showing", at)
        # As `People.fold` does both; apart, to tell what each takes.
        for event, identifiers in zip(events, shown, strict=True):
            stamp = event.stamp
            profile, folded = people.resolve(event, stamp, identifiers)
            at = spent.on("resolving", at)
            assert profiles.apply(profile, event, stamp, (0, offset), people.definitions, identifiers) is not None
            at = spent.on("applying", at)
            offset += 1
            decisions += folded.decision is not None
    seconds = sum(spent.steps.values())
    assert clusters(people) == oracle(IDENTIFIES)
    assert sum(profile.events for profile in people.profiles.values()) == offset
    assert people.owners == {one: profile.id for profile in people.profiles.values() for one in profile.identifiers}
    assert all(keeper in people.profiles or keeper in people.absorbed for keeper in people.absorbed.values())
    merges = sum(profile.merges for profile in people.profiles.values())
    assert merges == len(people.absorbed) > offset // 20
    tell(
        identifies=offset,
        people=len(people.profiles),
        merges=merges,
        decisions=decisions,
        identifies_a_second_of_cpu=round(offset / seconds),
        **spent.micros(offset),
    )


async def test_so_it_does_through_an_engine_with_sixteen_senders_at_once(tmp_path: Path) -> None:
    parts = await memory_parts(4, WITHOUT_LIMITS)
    # The cache of an installation: the one for tests looks at everybody whenever somebody moves.
    cache = await open_profile_cache(LocalCacheSettings(socket=str(tmp_path / "s")), parts.runtime)
    parts = replace(parts, cache=cache)
    settings = EmbeddedSettings(checkpoint_events=20_000, profiles_awake=1000, profiles_in_memory=10_000)
    engine = await open_engine(settings, parts)
    work = parts.runtime.spawn("engine", engine.run())
    appender = await parts.log.open_appender(Stream.EVENTS)
    story, began = storm(THROUGH_ENGINE), process_time()
    senders = [parts.runtime.spawn(f"sender {one}", send(appender, story, one % 4)) for one in range(SENDERS)]
    for sender in senders:
        await sender.wait()
    await engine.drain()
    seconds = process_time() - began
    await work.stop()
    await cache.close()
    assert (await parts.store.overview()).events == THROUGH_ENGINE - THROUGH_ENGINE % EACH
    owners: dict[bytes, set[str]] = {}
    for identifier, profile in (await parts.store.owners(WRITER)).profiles.items():
        owners.setdefault(profile, set()).add(identifier)
    assert set(map(frozenset, owners.values())) == oracle(THROUGH_ENGINE)
    tell(
        through_engine=THROUGH_ENGINE,
        identifies_a_second_of_cpu=round(THROUGH_ENGINE / seconds),
        decisions=engine.progress.decisions,
        turns=engine.progress.folding.counts[-1],
        seconds_of_99_in_100_turns_at_most=within(engine.progress.folding, 0.99),
    )


def within(durations: Durations, share: float) -> float:
    """Return the bound that this share of them does not exceed."""
    counts = durations.counts
    return next((bound for bound, count in zip(BOUNDS, counts, strict=False) if count >= share * counts[-1]), inf)


async def send(appender: Appender, story: Iterator[Event], partition: int) -> None:
    """Send batches as fast as they are taken, the next one that nobody has sent."""
    while batch := list(islice(story, BATCH)):
        for records in Records.of(batch):
            await appender.append(partition, records)

"""`obverse bench fold`: what an event costs the worker's own code, and a profile its memory, without a database."""

from __future__ import annotations

import gc
import os
import resource
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from time import perf_counter, process_time
from typing import Any, Final

from obverse.adapters.definition_files import read_folder
from obverse.apps.bench.bodies import CONTEXT, anonymous_id_of, happenings, traits_of
from obverse.apps.bench.definitions_apart import costs as apart
from obverse.apps.bench.definitions_apart import with_windowed
from obverse.apps.bench.definitions_made import with_made
from obverse.apps.bench.machine import machine, memory_bytes, percentile
from obverse.apps.bench.trial import DEFINITIONS
from obverse.core import codec
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.wiring import trait_kinds

BATCH: Final = 500
"""Events of one read from the log."""
_SAMPLE: Final = 1000
"""Profiles that are looked at one by one."""
_CHECKPOINT: Final = 100_000
"""Events between two checkpoints."""
_BEGAN: Final = 1_767_225_600_000_000
"""When the first event arrived, in microseconds since 1970; each of the others `_APART` later."""
_APART: Final = 20
_POOL: Final = 4096
"""Different events, apart from whose they are and when."""
_ORDER: Final = "Order Completed"
_CONTEXT: Final = CONTEXT % (1, 1)
_EACH: Final = {"identifiers": 3, "attributes": 8, "traits": 8, "audiences": 3}
"""What every profile has."""


_FEW: Final = 500
"""People whom each definition by itself is folded for: so few that memory does not tell."""
_SHORT: Final = 20_000
"""Events that each definition by itself is folded with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What is folded with: traits and audiences in all, and so many traits over windows beside."""

    traits: int = _EACH["traits"]
    audiences: int = _EACH["audiences"]
    windowed: int = 0

    def definitions(self) -> Definitions:
        """Those of the bench's own file, and what is made beside them."""
        own = read_folder(DEFINITIONS, trait_kinds())
        return with_windowed(with_made(own, traits=self.traits, audiences=self.audiences), self.windowed)

    @property
    def made(self) -> bool:
        """Whether a profile may have fewer than all: a made trait's condition may hold for no event of somebody."""
        return self.traits > _EACH["traits"] or self.audiences > _EACH["audiences"]


async def bench_fold(*, profiles: int, events: int, folded: Folded | None = None, each: int = 0) -> dict[str, Any]:
    """
    Make so many profiles, visit them at random with so many events, and tell what both cost.

    With `each`, what each definition costs is told too, the least of so many runs.
    """
    folded = folded or Folded()
    people = People("bench", folded.definitions())
    before = _settled_memory()
    making = _fold(people, _introductions(profiles))
    _rest(people, people.profiles.values())
    grown = _settled_memory() - before
    sample = list(islice(people.profiles.values(), 0, None, max(1, profiles // _SAMPLE)))
    window = sum(len(one.seen.packed()) for one in sample) / len(sample)
    shape = _shape(sample)
    visits = _fold(people, _visits(profiles, events))
    short = min(events, _SHORT)
    costs = {
        **visits.figures(),
        "bytes_per_profile": round(grown / profiles - window),
        "window_bytes_per_profile": round(window),
        "profiles_made_in_s": round(making.folding + making.decoding, 1),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return {
        "profiles": len(people.profiles),
        "events": visits.events,
        "traits": len(people.definitions.traits),
        "audiences": len(people.definitions.audiences),
        "windowed": folded.windowed,
        "batch": BATCH,
        "pid": os.getpid(),
        "machine": machine(),
        "garbage_collector": {
            "enabled": gc.isenabled(),
            "threshold": gc.get_threshold(),
            "frozen_objects": gc.get_freeze_count(),
        },
        "each_profile": shape,
        "traits_per_event": _traits_per_event(people),
        **costs,
        "flaws": [*_flaws(shape, folded), *_unused(people)],
        **(apart(people.definitions, lambda: _visits(_FEW, short), short, runs=each) if each else {}),
    }


@dataclass(slots=True)
class _Costs:
    """What some events took, in seconds."""

    events: int = 0
    changes: int = 0
    decoding: float = 0.0
    folding: float = 0.0
    """Waking those who rested, too."""
    resting: float = 0.0
    """Having those rest again that were not met for a while."""
    cpu: float = 0.0
    """Seconds of both that were not spent waiting for a core."""
    by_batch: array[float] = field(default_factory=lambda: array("d"))
    """Of `folding`, an event's part in each batch."""
    collected: int = 0
    """How often the garbage collector looked at everything."""

    def figures(self) -> dict[str, Any]:
        """A cost each, and how it varies: the garbage collector comes rarely and then takes long."""
        each = 1_000_000 / self.events
        resting, decoding = self.resting * each, self.decoding * each
        folding = self.folding * each + resting
        return {
            "events_per_second": round(1_000_000 / folding),
            "us_per_event": round(folding, 3),
            "us_resting_per_event": round(resting, 3),
            "cpu_us_per_event": round(self.cpu * each, 3),
            "us_per_event_with_decoding": round(folding + decoding, 3),
            "us_decoding_per_event": round(decoding, 3),
            "us_per_event_by_batch": {
                name: round(percentile(self.by_batch, share) * 1_000_000, 3)
                for name, share in (("least", 0.0), ("p50", 0.5), ("p99", 0.99), ("most", 1.0))
            },
            "changes_per_event": round(self.changes / self.events, 2),
            "full_collections": self.collected,
        }


def _fold(people: People, events: Iterable[Event]) -> _Costs:
    """Have them read from the log's records and folded, as the worker does both; only this is timed."""
    costs, decoder, source = _Costs(), codec.Decoder(Event), iter(events)
    collected = gc.get_stats()[-1]["collections"]
    met: dict[bytes, Profile] = {}
    met_before = met
    while some := list(islice(source, BATCH)):
        body = codec.encode(some)
        began = perf_counter()
        read = decoder.decode(len(some), body)
        decoded = perf_counter()
        begun = process_time()
        shown = [people.shown(event) for event in read]
        for place, event in enumerate(read):
            folded = people.fold(event, (0, costs.events + place), shown[place])
            costs.changes += len(folded.changes)
            if folded.profile is not None:
                met[folded.profile.id] = folded.profile
        took = perf_counter() - decoded
        if costs.events % _CHECKPOINT == 0:
            resting = perf_counter()
            _rest(people, (one for one in met_before.values() if one.id not in met))
            met, met_before = {}, met
            costs.resting += perf_counter() - resting
        costs.cpu += process_time() - begun
        costs.decoding += decoded - began
        costs.folding += took
        costs.by_batch.append(took / len(some))
        costs.events += len(some)
    costs.collected = gc.get_stats()[-1]["collections"] - collected
    return costs


def introduced(profiles: int) -> People:
    """So many people, each with three identifiers, eight attributes, eight traits and three audiences."""
    people = People("bench", read_folder(DEFINITIONS, trait_kinds()))
    _fold(people, _introductions(profiles))
    return people


def _rest(people: People, profiles: Iterable[Profile]) -> None:
    """Have them rest, as the engine does after a checkpoint in which they were not."""
    for profile in profiles:
        profile.kept(profile.packed_known() if profile.known_moved else None)
        profile.rest(people.definitions)


def _introductions(profiles: int) -> Iterator[Event]:
    """Everybody's identify, then a product and an order each; three rounds, so that a profile lies about in memory."""
    happened = {name.decode(): properties for name, properties, _ in happenings(5)}
    # Enough for every audience.
    happened[_ORDER] = happened[_ORDER].replace(b'"revenue":', b'"revenue":9')
    for person in range(profiles):
        yield _event(person, person, traits_of(person), anonymous_id=anonymous_id_of(person).decode())
    for turn, (name, properties) in enumerate(happened.items(), 1):
        for person in range(profiles):
            yield _event(turn * profiles + person, person, properties, name=name)


def _visits(profiles: int, events: int) -> Iterator[Event]:
    pool = [(name.decode(), properties) for name, properties, _ in happenings(_POOL)]
    random = Random(1).random  # noqa: S311 - a load that can be repeated
    for number in range(events):
        name, properties = pool[int(random() * _POOL)]
        yield _event(3 * profiles + number, int(random() * profiles), properties, name=name)


def _event(
    number: int, person: int, properties: bytes, *, name: str | None = None, anonymous_id: str | None = None
) -> Event:
    at = _BEGAN + number * _APART
    return Event(
        type="track" if name else "identify",
        message_id=f"fold-{number}",
        source="bench",
        received_at=at,
        timestamp=at - 1000,
        user_id=f"person-{person}",
        anonymous_id=anonymous_id,
        name=name,
        properties=properties,
        context=_CONTEXT,
        original_timestamp=at - 1000,
        sent_at=at,
    )


def _settled_memory() -> int:
    gc.collect()
    return memory_bytes([os.getpid()])


def _shape(sample: list[Profile]) -> dict[str, float]:
    """How much a profile has, on average."""
    parts = {
        "identifiers": [len(one.identifiers) for one in sample],
        "attributes": [len(one.attributes) for one in sample],
        "traits": [len(one.traits) for one in sample],
        "audiences": [sum(standing.member for standing in one.audiences.values()) for one in sample],
    }
    return {name: sum(counts) / len(counts) for name, counts in parts.items()}


def _flaws(shape: dict[str, float], folded: Folded) -> Iterator[str]:
    """What a profile has too little or too much of."""
    expected = {**_EACH, "traits": folded.traits + folded.windowed, "audiences": folded.audiences}
    for part, count in expected.items():
        if shape[part] != count and not (folded.made and part in ("traits", "audiences")):
            yield f"a profile has {shape[part]} {part}, not {count}"


def _unused(people: People) -> Iterator[str]:
    """Each trait that nobody has a value of, and each audience that nobody is in: they would cost too little."""
    definitions = people.definitions
    valued: set[str] = set()
    entered: set[str] = set()
    for profile in islice(people.profiles.values(), _SAMPLE):
        valued.update(profile.traits)
        entered.update(name for name, standing in profile.audiences.items() if standing.member)
    yield from (f"nobody has the trait {one.name}" for one in definitions.traits if one.key not in valued)
    yield from (f"nobody is in the audience {one.name}" for one in definitions.audiences if one.name not in entered)


def _traits_per_event(people: People) -> float:
    """How many traits an event moves, or tries to."""
    names = [name.decode() for name, _, _ in happenings(_POOL)]
    plans = (people.definitions.plan(_event(0, 0, b"{}", name=name)) for name in names)
    return sum(len(plan.moves) + len(plan.guarded) for plan in plans) / len(names)

"""All flows over the memory adapters, in virtual time, from a seed: the same seed gives the same run."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from obverse.adapters.embedded import EmbeddedSettings
from obverse.adapters.embedded import open_engine as open_embedded
from obverse.adapters.memory.engine import MemoryEngineSettings
from obverse.adapters.memory.engine import open_engine as open_memory
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.contracts.stories import DEFINITIONS, tell
from obverse.core.definitions import Source, define
from obverse.core.events import to_json
from obverse.flows.collect import Collect, Request
from obverse.flows.keep_rejected import KeepRejected
from obverse.flows.retain import LOOK, Retain
from obverse.flows.serve import Serve
from obverse.flows.unify import Unify
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream

KEY = sha256(b"key").hexdigest()
SENDERS, EACH = 4, 40


async def everything(runtime: SimulatedRuntime, engine_name: str) -> dict[str, Any]:
    """Senders send, in their own time, to a collector; a worker folds; the result is what an api would read."""
    definitions = define(
        traits=DEFINITIONS.traits,
        audiences=DEFINITIONS.audiences,
        sources=[Source("web", key_hashes=frozenset({KEY}))],
    )
    log = await open_event_log(MemoryLogSettings(partitions=2), runtime)
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    cache = await open_profile_cache(MemoryCacheSettings(), runtime)
    parts = EngineParts(
        workspace="main", log=log, store=store, cache=cache, definitions=lambda: definitions, runtime=runtime
    )
    engine = await (
        open_memory(MemoryEngineSettings(), parts)
        if engine_name == "memory"
        else open_embedded(
            EmbeddedSettings(slice_events=3, checkpoint_seconds=0.5, profiles_awake=0, rest_after=1), parts
        )
    )
    collect = Collect(
        log=log, definitions=lambda: definitions, runtime=runtime, hash_key=lambda key: sha256(key.encode()).hexdigest()
    )
    await collect.open()
    works = [
        runtime.spawn("unify", Unify(engine, runtime).run()),
        runtime.spawn("keep rejected", KeepRejected(log, store, runtime).run()),
        runtime.spawn("retain", Retain(log, engine, store, runtime, days=1, routed_hours=24).run()),
    ]
    senders = [runtime.spawn(f"sender {one}", send(runtime, collect, one)) for one in range(SENDERS)]
    for sender in senders:
        await sender.wait()
    await engine.drain()
    while (await store.overview()).rejected < SENDERS:
        await runtime.sleep(0.1)
    serve = Serve(store=store, cache=cache, definitions=lambda: definitions)
    people = {f"user_id:user-{sender}-{one}" for sender in range(SENDERS) for one in range(5)}
    read = {identifier: await serve.profile(identifier) for identifier in sorted(people)}
    overview = await store.overview()
    runtime.skew = 2 * 86_400  # of which everybody's looks, four a second, would all be run
    await runtime.sleep(2 * LOOK)
    for work in works:
        await work.stop()
    return {
        "people": msgspec.json.encode(read),
        "events": overview.events,
        "at": runtime.now(),
        "log": await log.bounds(Stream.EVENTS),
    }


async def send(runtime: SimulatedRuntime, collect: Collect, sender: int) -> None:
    """Send a story in batches, some of them twice, with a bad event at the end."""
    story = tell(seed=sender, people=5, events=EACH)
    at = 0
    while at < len(story):
        size = runtime.random.randint(1, 6)
        body = b'{"batch":[' + b",".join(to_json(event) for event in story[at : at + size]) + b"]}"
        for _ in range(runtime.random.choice([1, 1, 2])):
            await runtime.sleep(runtime.random.random())
            answer = await collect.take(Request(call=None, body=body, key_hashes=[KEY]))
            runtime.note(f"sender {sender} was answered {answer.status} for {size}")
        at += size
    await collect.take(Request(call="track", body=b'{"userId":"x"}', key_hashes=[KEY]))


@pytest.mark.parametrize("engine", ["memory", "embedded"])
def test_two_runs_of_one_seed_are_the_same_run(engine: str) -> None:
    runs = [simulate(11, lambda runtime: everything(runtime, engine)) for _ in range(2)]

    assert runs[0] == runs[1]
    assert len(runs[0][1]) > SENDERS * 5


def test_another_seed_is_another_run() -> None:
    traces = [simulate(seed, lambda runtime: everything(runtime, "embedded"))[1] for seed in (1, 2)]

    assert traces[0] != traces[1]


@pytest.mark.parametrize("seed", range(8))
def test_every_seed_keeps_every_event_once(seed: int) -> None:
    result, _ = simulate(seed, lambda runtime: everything(runtime, "embedded"))

    assert result["events"] == SENDERS * EACH
    assert all(first == end > 0 for first, end in result["log"].values()), "two days later the log was not let go of"


def test_what_is_done_in_a_thread_elsewhere_costs_no_virtual_time() -> None:
    def slow(failing: bool) -> int:  # noqa: FBT001 - as a thread is given it
        if failing:
            raise ValueError("it cannot")
        return sum(range(1_000_000))

    async def story(runtime: SimulatedRuntime) -> float:
        timer = asyncio.ensure_future(runtime.sleep(1))
        began = runtime.elapsed()
        assert await asyncio.to_thread(slow, failing=False) > 0
        with pytest.raises(ValueError, match="it cannot"):
            await asyncio.to_thread(slow, failing=True)
        took = runtime.elapsed() - began
        await timer
        return took

    assert simulate(1, story)[0] == 0.0

"""Roles follow the definitions in the store; what cannot be read changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import pytest

from definition_steps import CHECKS
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.contracts.definition_store import ADA, a_trait
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents.written import Document, Key, document
from obverse.flows.current_definitions import LOOK, CurrentDefinitions
from obverse.ports.definition_store import DefinitionSet
from obverse.ports.outcomes import AccessRefused, Unreachable


class FaultyStore(MemoryDefinitionStore):
    """Fails as long as it is told to; counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self.reads = 0

    async def version(self) -> int:
        """See `DefinitionStore.version`."""
        if self.fault is not None:
            raise self.fault
        return await super().version()

    async def read(self, version: int | None = None) -> DefinitionSet:
        """See `DefinitionStore.read`."""
        self.reads += 1
        return await super().read(version)

    async def put(self, *documents: Document, gone: Collection[Key] = ()) -> None:
        """Write upon whatever version there is."""
        await self.write(self._version, documents, gone, author=ADA)


Step = Callable[[], Awaitable[Any]]


def followed(store: FaultyStore, *steps: Step) -> list[Sequence[str] | str]:
    """Take each step, and return the traits that are defined after it; or why nothing is known."""

    async def run(runtime: SimulatedRuntime) -> list[Sequence[str] | str]:
        definitions = CurrentDefinitions(store, CHECKS.kinds, runtime)
        seen: list[Sequence[str] | str] = [named(definitions)]
        await definitions.open()
        seen.append(named(definitions))
        work = runtime.spawn("watch", definitions.watch())
        for step in steps:
            await step()
            await runtime.sleep(2 * LOOK)
            seen.append(named(definitions))
        await work.stop()
        return seen

    seen: list[Sequence[str] | str] = simulate(0, run)[0]
    return seen


def named(definitions: CurrentDefinitions) -> Sequence[str] | str:
    try:
        return [one.name for one in definitions.current().traits]
    except Unreachable as error:
        return str(error)


UNKNOWN = "the definitions have not been read yet (they are being read)"


async def nothing() -> None:
    """Change nothing."""


def test_changes_are_followed_and_nothing_is_read_while_it_stands() -> None:
    store = FaultyStore()
    assert followed(
        store,
        nothing,
        lambda: store.put(a_trait("a")),
        nothing,
        lambda: store.put(a_trait("b"), gone=[Key("trait", "a")]),
        nothing,
    ) == [UNKNOWN, [], [], ["a"], ["a"], ["b"], ["b"]]
    assert store.reads == 3


@pytest.mark.parametrize("fault", [Unreachable("away"), AccessRefused("no")])
def test_while_the_store_is_away_what_is_known_holds(fault: Exception) -> None:
    store = FaultyStore()

    async def away() -> None:
        store.fault = fault

    async def back() -> None:
        store.fault = None
        await store.put(a_trait("a"))

    assert followed(store, away, back, away) == [UNKNOWN, [], [], ["a"], ["a"]]


def test_before_anything_was_read_it_is_said_why() -> None:
    store = FaultyStore()
    store.fault = Unreachable("PostgreSQL is away")

    async def back() -> None:
        store.fault = None

    why = "the definitions have not been read yet (PostgreSQL is away)"
    assert followed(store, nothing, back) == [UNKNOWN, why, why, []]


def test_whoever_folds_follows_a_changed_trait_after_all_others() -> None:
    """It lets go of what the trait was: who still reads by the definitions of a moment ago would find nothing."""
    store = FaultyStore()

    def counts(event: str) -> Document:
        spec = {"aggregate": "count", "event": event}
        return document({"version": "obverse/v1", "kind": "trait", "metadata": {"name": "a"}, "spec": spec})

    async def run(runtime: SimulatedRuntime) -> list[tuple[str | None, str | None]]:
        await store.put(counts("A"))
        await store.go_live(1)
        await store.put(counts("B"))
        folds, reads = (CurrentDefinitions(store, CHECKS.kinds, runtime) for _ in range(2))
        await folds.open()
        await runtime.sleep(0.3)
        await reads.open()
        watching = [runtime.spawn("watch", one.watch()) for one in (folds, reads)]
        seen: list[tuple[str | None, str | None]] = []

        async def look() -> None:
            while True:
                events = [one.current().trait_of_name["a"].event for one in (folds, reads)]
                if not seen or seen[-1] != (events[0], events[1]):
                    seen.append((events[0], events[1]))
                await runtime.sleep(0.05)

        looking = runtime.spawn("look", look())
        await runtime.sleep(0.55)
        await folds.announce(2)
        await folds.go_live(2)
        await runtime.sleep(2 * LOOK)
        for one in (*watching, looking):
            await one.stop()
        return seen

    assert simulate(0, run)[0] == [("A", "A"), ("A", "B"), ("B", "B")]


def test_what_nobody_can_miss_is_followed_by_all_alike() -> None:
    store = FaultyStore()

    async def run(runtime: SimulatedRuntime) -> float:
        await store.put(a_trait("a"))
        await store.go_live(1)
        await store.put(a_trait("b"), gone=[Key("trait", "a")])
        folds = CurrentDefinitions(store, CHECKS.kinds, runtime)
        await folds.open()
        began = runtime.elapsed()
        await folds.announce(2)
        await folds.go_live(2)
        assert named(folds) == ["b"]
        return runtime.elapsed() - began

    assert simulate(0, run)[0] == 0


def a_bad(name: str) -> Document:
    """As a later release may write it."""
    return document(
        {"version": "obverse/v1", "kind": "trait", "metadata": {"name": name}, "spec": {"aggregate": "new"}}
    )


def test_a_set_that_cannot_be_used_changes_nothing_and_is_read_once() -> None:
    store = FaultyStore()
    assert followed(
        store,
        lambda: store.put(a_trait("a")),
        lambda: store.put(a_bad("b")),
        nothing,
        lambda: store.put(a_trait("c"), gone=[Key("trait", "b")]),
    ) == [UNKNOWN, [], ["a"], ["a"], ["a"], ["a", "c"]]
    assert store.reads == 4


def test_a_set_that_cannot_be_used_at_the_start_is_refused() -> None:
    store = FaultyStore()

    async def run(runtime: SimulatedRuntime) -> None:
        await store.put(a_bad("b"))
        definitions = CurrentDefinitions(store, CHECKS.kinds, runtime)
        with pytest.raises(BadDefinition, match=r"the store \(trait b\): spec.aggregate: 'new' is not known"):
            await definitions.open()
        with pytest.raises(BadDefinition):
            await CurrentDefinitions(store, CHECKS.kinds, runtime).watch()

    simulate(0, run)


def test_identity_rules_add_up_whatever_they_are_called() -> None:
    store = FaultyStore()

    def rules(name: str, spec: dict[str, Any]) -> Document:
        return document({"version": "obverse/v1", "kind": "identity", "metadata": {"name": name}, "spec": spec})

    async def run(runtime: SimulatedRuntime) -> Definitions:
        await store.put(rules("a", {"limits": {"email": {"values": 2}}}), rules("z", {"preset": "unique_user_id"}))
        definitions = CurrentDefinitions(store, CHECKS.kinds, runtime)
        await definitions.open()
        return definitions.current()

    identity = simulate(0, run)[0].identity
    assert (sorted(identity.unique), identity.limits["email"].values) == (["user_id"], 2)

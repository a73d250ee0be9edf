"""Changed definitions: who sees what until an engine has computed them, and what an engine is given."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import pytest

from definition_steps import CHECKS
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.definition_store import ADA
from obverse.core.definitions import BadDefinition
from obverse.core.documents.written import Document, Key, document
from obverse.flows.arrivals import Arrivals
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.ports.backfills import Backfill, Phase
from obverse.ports.outcomes import Unreachable


def written(kind: str, name: str, **spec: Any) -> Document:
    return document({"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def orders(event: str) -> Document:
    return written("trait", "orders", aggregate="count", event=event)


VIP = written("audience", "vip", where={"op": "gte", "trait": "orders", "value": 5})


class Workspace:
    """What a worker has: the store, what it follows, and what is on its way to its engine."""

    def __init__(self) -> None:
        self.store = MemoryDefinitionStore()
        self.definitions = CurrentDefinitions(self.store, CHECKS.kinds, open_runtime())
        self.backfills: Any = None

    async def open(self) -> Arrivals:
        """Start, or start again, an engine's view."""
        if self.backfills is None:
            self.backfills = await open_profile_store(MemoryStoreSettings(), open_runtime())
        self.definitions = CurrentDefinitions(self.store, CHECKS.kinds, open_runtime())
        await self.definitions.open()
        arrivals = Arrivals(self.definitions, self.store, self.backfills)
        await arrivals.open()
        return arrivals

    async def apply(self, *documents: Document, gone: Collection[Key] = ()) -> None:
        await self.store.write(await self.store.version(), documents, gone, author=ADA)
        with suppress(BadDefinition):
            await self.definitions.open()

    def seen(self) -> dict[str, str | None]:
        """The event of each trait that everybody sees."""
        return {one.name: one.event for one in self.definitions.current().traits}


async def test_what_was_there_when_the_first_engine_came_is_live() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"))
    arrivals = await workspace.open()
    assert arrivals.arriving() is None
    assert (workspace.seen(), await workspace.store.live()) == ({"orders": "A"}, 1)


async def test_a_change_is_on_its_way_until_it_has_arrived() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"))
    arrivals = await workspace.open()
    await workspace.apply(orders("B"), VIP)

    coming = arrivals.arriving()
    assert coming is not None
    assert (coming.version, coming.definitions.trait_of_name["orders"].event) == (2, "B")
    assert workspace.seen() == {"orders": "A"}
    assert [one.name for one in workspace.definitions.current().audiences] == ["vip"], "others may name it"

    await arrivals.arrived(2)
    assert arrivals.arriving() is None
    assert arrivals.definitions().trait_of_name["orders"].event == "B"


async def test_what_needs_no_computing_is_seen_at_once() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"))
    arrivals = await workspace.open()
    await workspace.apply(written("source", "web"))
    assert arrivals.arriving() is None
    assert [one.name for one in workspace.definitions.current().sources] == ["web"]


async def test_what_an_engine_has_begun_comes_first() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"))
    arrivals = await workspace.open()
    await workspace.apply(orders("B"))
    begun = arrivals.arriving()
    assert begun is not None
    await workspace.apply(orders("C"))
    assert arrivals.arriving() is begun

    await workspace.backfills.note_backfill(Backfill(begun.version, {}, Phase.FILLING))
    arrivals = await workspace.open()
    again = arrivals.arriving()
    assert again is not None
    assert (again.version, again.definitions.trait_of_name["orders"].event) == (2, "B"), "after a restart too"
    assert workspace.seen() == {"orders": "A"}

    await arrivals.arrived(2)
    assert workspace.seen() == {"orders": "B"}
    following = arrivals.arriving()
    assert following is not None
    assert following.version == 3


async def test_one_that_is_done_is_not_begun_again() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"))
    arrivals = await workspace.open()
    await workspace.apply(orders("B"))
    assert arrivals.arriving() is not None
    await workspace.backfills.note_backfill(Backfill(2, {}, Phase.TURNING))
    await arrivals.arrived(2)
    assert (await workspace.open()).arriving() is None


async def test_what_is_taken_back_before_it_arrived_never_comes() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"))
    arrivals = await workspace.open()
    await workspace.apply(orders("B"))
    await workspace.apply(orders("A"))
    assert arrivals.arriving() is None
    assert workspace.seen() == {"orders": "A"}


async def test_a_trait_that_is_removed_is_there_until_everybody_has_lost_it() -> None:
    workspace = Workspace()
    await workspace.apply(orders("A"), VIP)
    arrivals = await workspace.open()
    await workspace.apply(gone=[orders("A").key, VIP.key])
    assert workspace.seen() == {"orders": "A"}
    coming = arrivals.arriving()
    assert coming is not None
    await arrivals.arrived(coming.version)
    assert workspace.seen() == {}


async def test_what_was_live_and_cannot_be_used_any_more_holds_nothing_up() -> None:
    workspace = Workspace()
    await workspace.apply(written("trait", "orders", aggregate="of_a_package_that_is_gone", event="A"))
    await workspace.store.go_live(1)
    await workspace.store.write(1, [orders("B")], [], author=ADA)
    arrivals = await workspace.open()
    assert (workspace.seen(), arrivals.arriving()) == ({"orders": "B"}, None)


async def test_before_it_is_known_what_is_computed_no_engine_runs() -> None:
    workspace = Workspace()
    arrivals = Arrivals(
        workspace.definitions, workspace.store, await open_profile_store(MemoryStoreSettings(), open_runtime())
    )
    with pytest.raises(Unreachable):
        await arrivals.open()
    with pytest.raises(Unreachable):
        arrivals.arriving()

"""What profiles must be after any fault: what a plain reduce makes of the events that are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg

from obverse.adapters.definition_files import read_folder
from obverse.adapters.postgres.profile_rows import unpack_event
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.engine_steps import Placed, reduced
from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.wiring import trait_kinds

TOGETHER = """version: obverse/v1
kind: trait
metadata: {name: sent}
spec: {aggregate: count, event: Sent}
---
version: obverse/v1
kind: trait
metadata: {name: total}
spec: {aggregate: sum, event: Sent, property: number}
---
version: obverse/v1
kind: trait
metadata: {name: favourite}
spec: {aggregate: most_frequent, event: Sent, property: sku}
---
version: obverse/v1
kind: trait
metadata: {name: latest}
spec: {aggregate: last, event: Sent, property: sku}
---
version: obverse/v1
kind: audience
metadata: {name: busy}
spec: {where: {op: gte, trait: sent, value: 50}}
---
version: obverse/v1
kind: audience
metadata: {name: in_turns}
spec: {where: {op: eq, attribute: colour, value: red}}
"""
"""Traits and audiences of what a `Journal` sends: some that go on and on, one that people enter and leave."""


def define(data: Path) -> None:
    """Have them in a data folder, before its installation is started."""
    folder = data / "definitions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "together.yml").write_text(TOGETHER, encoding="utf-8")


async def profiles_are_a_fold(data: Path, dsn: str) -> int:
    """
    See that every profile is, in all its parts, what a reduce over the rows of `event_stream` gives; return how many.

    In the order of the log. What came again after a crash was passed over, and is no row.
    """
    definitions = read_folder(data / "definitions", trait_kinds())
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select * from event_stream order by log_partition, log_offset")
    finally:
        await connection.close()
    placed: list[Placed] = [(row["log_partition"], row["log_offset"], unpack_event(row)) for row in rows]
    people = reduced(placed, definitions)
    store = await open_profile_store(PostgresStoreSettings(dsn=dsn), open_runtime())
    try:
        packed = await store.load({identifier for one in people.profiles.values() for identifier in one.identifiers})
    finally:
        await store.close()
    kept = [profiles.unpack(one, definitions) for one in packed]
    assert _states(kept, definitions) == _states(people.profiles.values(), definitions)
    return len(kept)


def _states(some: Any, definitions: Definitions) -> dict[frozenset[str], dict[str, Any]]:
    return {frozenset(one.identifiers): profiles.state_of(one, definitions) for one in some}

"""In a whole installation: a trait that is changed is computed from history, while events come and roles die."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, installation, kill, until

FIRST = """\
version: obverse/v1
kind: trait
metadata: {name: orders}
spec: {aggregate: count, event: Order Completed}
---
version: obverse/v1
kind: audience
metadata: {name: buyers}
spec: {where: {op: gte, trait: orders, value: 3}}
"""
SECOND = """\
version: obverse/v1
kind: trait
metadata: {name: orders}
spec: {aggregate: count, event: Order Completed, where: {op: gte, property: revenue, value: 50}}
---
version: obverse/v1
kind: trait
metadata: {name: spent}
spec: {aggregate: sum, event: Order Completed, property: revenue}
---
version: obverse/v1
kind: audience
metadata: {name: buyers}
spec: {where: {op: gte, trait: orders, value: 3}}
---
version: obverse/v1
kind: audience
metadata: {name: viewers}
spec: {where: {op: did, event: Product Viewed, times: 2}}
"""
PEOPLE = 40
Said = dict[str, list[int]]
"""The revenue of each order, by person."""


async def order(here: Installation, said: Said, first: int, count: int) -> None:
    """Send orders of everybody in turn, and a view of everybody with an even number."""
    batch: list[dict[str, Any]] = []
    for number in range(first, first + count):
        person, revenue = f"u{number % PEOPLE}", number * 7 % 100
        said.setdefault(person, []).append(revenue)
        batch.append(
            {
                "type": "track",
                "event": "Order Completed",
                "userId": person,
                "messageId": f"o{number}",
                "properties": {"revenue": revenue},
            }
        )
        if number % PEOPLE % 2 == 0:
            batch.append({"type": "track", "event": "Product Viewed", "userId": person, "messageId": f"v{number}"})
    for at in range(0, len(batch), 100):
        status, _ = await here.post("/v1/batch", {"writeKey": here.key, "batch": batch[at : at + 100]})
        assert status == 200


def dear(said: Said) -> dict[str, int]:
    return {person: sum(one >= 50 for one in orders) for person, orders in said.items()}


async def told(here: Installation) -> dict[str, dict[str, Any]]:
    """Everybody's traits, as the API has them."""
    names = [f"user_id:u{number}" for number in range(PEOPLE)]
    status, found = await here.ask("/v1/profiles/read", {"identifiers": names, "include": ["traits"]})
    assert status == 200, found
    return {
        name.removeprefix("user_id:"): one["profile"]["traits"]
        for name, one in zip(names, found["profiles"], strict=True)
    }


async def members(here: Installation, audience: str) -> int:
    return int((await here.get("/v1/overview"))[1]["audiences"].get(audience, 0))


async def in_the_store(here: Installation, said: Said) -> dict[str, int]:
    """The orders of everybody in the store's table, once all see the second definitions and follow them."""

    async def is_live() -> bool:
        if not await here.drained():
            return False
        traits = await told(here)
        wanted = dear(said)
        same = all(
            traits[person].get("orders", 0) == wanted[person] and Decimal(traits[person].get("spent", 0)) == sum(orders)
            for person, orders in said.items()
        )
        counts = [await members(here, name) for name in ("buyers", "viewers")]
        return same and counts == [sum(count >= 3 for count in wanted.values()), PEOPLE // 2]

    await until(is_live)
    async with here.sql() as sql:
        rows = await sql.fetch(
            "select identifier, (computed_traits ->> 'orders')::integer as orders from customer_profiles "
            "join profile_identifiers on profile_id = id where identifier like 'user_id:%'"
        )

        async def is_done() -> bool:
            return bool(await sql.fetchval("select phase from backfills") == "done")

        await until(is_done)
        return {row["identifier"].removeprefix("user_id:"): row["orders"] or 0 for row in rows}


async def prepared(here: Installation) -> Said:
    said: Said = {}
    await order(here, said, 0, 800)

    async def counted() -> bool:
        return await here.drained() and await members(here, "buyers") == PEOPLE

    await until(counted)
    assert {person: traits["orders"] for person, traits in (await told(here)).items()} == dict.fromkeys(said, 20)
    return said


async def test_a_changed_trait_is_computed_from_history_while_events_come(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "definitions"
    folder.mkdir(parents=True)
    (folder / "shop.yml").write_text(FIRST)
    async with installation(tmp_path / "data") as here:
        said = await prepared(here)
        (folder / "shop.yml").write_text(SECOND)
        # The old value until all have the new one: what is counted from the middle on would be less.
        least = dear(said)
        for first in range(800, 1200, 40):
            await order(here, said, first, 40)
            seen = {person: traits["orders"] for person, traits in (await told(here)).items()}
            assert {person: count for person, count in seen.items() if count < least[person]} == {}
        assert await in_the_store(here, said) == dear(said)


@pytest.mark.parametrize("phase", ["filling", "turning"])
async def test_a_worker_that_is_killed_meanwhile_goes_on(tmp_path: Path, phase: str) -> None:
    folder = tmp_path / "data" / "definitions"
    folder.mkdir(parents=True)
    (folder / "shop.yml").write_text(FIRST)
    async with installation(tmp_path / "data") as here, here.sql() as sql:
        said = await prepared(here)

        async def reached() -> bool:
            """Or passed: where in it the worker dies does not matter."""
            return await sql.fetchval("select phase from backfills") in {phase, "turning", "done"}

        (folder / "shop.yml").write_text(SECOND)
        await order(here, said, 800, 240)
        await until(reached)
        kill(here.note["pids"]["worker"])
        await order(here, said, 1040, 160)
        assert await in_the_store(here, said) == dear(said)

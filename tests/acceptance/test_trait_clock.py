"""In a whole installation: what leaves a window, and who leaves an audience for it, though nobody sends anything."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from installation import Installation, installation, until
from obverse.core import times

MINUTE, HOUR = 60_000_000, 3_600_000_000
DEFINITIONS = """\
version: obverse/v1
kind: trait
metadata: {name: orders_1h}
spec: {aggregate: count, event: Order Completed, window: {last: 1 hour}}
---
version: obverse/v1
kind: trait
metadata: {name: dear_orders}
spec: {aggregate: count, event: Order Completed, where: {op: gte, property: revenue, value: 100}}
---
version: obverse/v1
kind: trait
metadata: {name: median_order}
spec: {aggregate: percentile, event: Order Completed, property: revenue}
---
version: obverse/v1
kind: audience
metadata: {name: shopping}
spec:
  where: {op: gte, trait: orders_1h, value: 1}
"""
WITHIN = 10.0
"""Seconds after its instant; on an idle machine two are promised, and this one may be busy."""


def now() -> int:
    return time.time_ns() // 1000


async def send(here: Installation, number: int, happened: int, revenue: int) -> None:
    event: dict[str, Any] = {
        "writeKey": here.key,
        "event": "Order Completed",
        "userId": "ada",
        "messageId": f"order-{number}",
        "timestamp": times.to_text(happened),
        "properties": {"revenue": revenue},
    }
    status, _ = await here.post("/v1/track", event)
    assert status == 200


async def test_time_alone_moves_a_trait_and_an_audience_in_a_whole_installation(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "definitions"
    folder.mkdir(parents=True)
    (folder / "windows.yml").write_text(DEFINITIONS)
    async with installation(tmp_path / "data") as here:
        # It leaves when a full minute has come; not too soon for it to be seen before.
        gone = (now() + 15_000_000) // MINUTE * MINUTE + MINUTE
        for number, revenue in enumerate((20, 150)):
            await send(here, number, gone - HOUR - MINUTE + number, revenue)

        async def profile() -> dict[str, Any]:
            status, found = await here.get("/v1/profiles/user_id:ada")
            return found if status == 200 and found["traits"].get("dear_orders") else {}

        seen = await until(profile)
        assert now() < gone
        assert (seen["traits"]["orders_1h"], seen["traits"]["dear_orders"]) == (2, 1)
        assert (seen["approximate"], [one["name"] for one in seen["audiences"]]) == (["median_order"], ["shopping"])
        await until(here.drained)
        async with here.sql() as sql:
            assert await sql.fetchval("select due_at from customer_profiles") == times.to_datetime(gone)

        async def left() -> bool:
            found = await profile()
            return found["traits"]["orders_1h"] == 0 and not found["audiences"]

        await until(left, seconds=(gone - now()) / 1_000_000 + WITHIN)
        assert now() >= gone

        async with here.sql() as sql:

            async def kept() -> bool:
                row = await sql.fetchrow(
                    "select due_at, computed_traits ->> 'orders_1h' as orders from customer_profiles"
                )
                return (row["due_at"], row["orders"]) == (None, "0")

            await until(kept)
            assert await sql.fetchval("select count(*) from audience_members") == 0

"""A role without one of its works would look well and do nothing: it ends, and is started anew."""

from __future__ import annotations

import asyncio

from obverse.apps.roles import or_stop


async def test_a_work_that_fails_ends_the_role() -> None:
    stop = asyncio.Event()

    async def fail() -> None:
        raise ValueError("a fault of ours")

    await or_stop("fold", fail(), stop)

    assert stop.is_set()


async def test_a_work_that_is_done_leaves_the_role_running() -> None:
    stop = asyncio.Event()

    async def finish() -> None:
        await asyncio.sleep(0)

    await or_stop("open log", finish(), stop)

    assert not stop.is_set()

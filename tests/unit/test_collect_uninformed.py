"""A collector that does not know the definitions yet takes nothing and turns nobody away for good."""

from __future__ import annotations

import pytest

from door_steps import KEY, Door, Reply, basic, hash_key, shut_door
from obverse.core.definitions import Definitions, Source, define
from obverse.ports.outcomes import Unreachable

EVENT = b'{"type": "track", "userId": "ada", "event": "Asked"}'


class Learning:
    """Definitions that are not known until they are."""

    def __init__(self) -> None:
        self.known: Definitions | None = None

    def __call__(self) -> Definitions:
        if self.known is None:
            raise Unreachable("not read yet")
        return self.known


async def sent(door: Door, what: str) -> Reply:
    match what:
        case "settings":
            return await door.get(f"/v1/projects/{KEY}/settings")
        case "callback":
            return await door.post(b"{}", "/webhooks/crm/hubspot")
        case "unpackable":
            return await door.post(b"no gzip", "/v1/track", authorization=basic(f"{KEY}:"), content_encoding="gzip")
        case _:
            return await door.post(EVENT, what, authorization=basic(f"{KEY}:"))


@pytest.mark.parametrize("what", ["/v1/track", "/v1/batch", "/v1/t", "settings", "callback", "unpackable"])
async def test_what_comes_before_is_asked_for_later(what: str) -> None:
    learning = Learning()
    async with shut_door(learning) as (collect, door):
        await collect.open()
        assert ((await door.get("/ready")).status, (await door.get("/health")).status) == (503, 200)

        reply = await sent(door, what)

        assert reply.status == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert await door.kept() == ([], [])
        learning.known = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])
        assert (await door.get("/ready")).status == 200
        assert (await sent(door, "/v1/track")).status == 200
        learning.known = define()
        assert (await sent(door, "/v1/track")).status == 401

"""Whatever comes to the collector's door is answered, never with a fault of ours, and its neighbours arrive."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from anything import BODIES
from door_steps import KEY, basic, hash_key, open_door
from obverse.apps.collector.endpoints import PIXELS, SENDING, SOURCE_CONFIG, WEBHOOK
from obverse.contracts.lattice import LAWS
from obverse.core.definitions import Source, define
from wire_steps import GOOD, batch

DEFINITIONS = define(
    sources=[
        Source("web", key_hashes=frozenset({hash_key(KEY)}), origins=frozenset({"https://shop"}), drops_bots=True),
        Source("old", enabled=False, key_hashes=frozenset({hash_key("wk_old")})),
    ]
)
PATHS = st.sampled_from(
    [*SENDING, *PIXELS, WEBHOOK, *SOURCE_CONFIG, f"/v1/projects/{KEY}/settings", "/v1/projects//settings", "/", "/v1/x"]
)
METHODS = st.sampled_from(["POST", "POST", "POST", "GET", "OPTIONS", "HEAD", "PUT"])
TEXTS = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "authorization": st.just(basic(f"{KEY}:"))
        | st.just(basic("wk_old"))
        | TEXTS
        | TEXTS.map(lambda one: f"Basic {one}"),
        "content_encoding": st.sampled_from(["gzip", "deflate", "br", "identity", " GZIP "]) | TEXTS,
        "content_type": st.sampled_from(["application/x-www-form-urlencoded", "text/plain"]) | TEXTS,
        "origin": st.sampled_from(["https://shop", "null"]) | TEXTS,
        "user_agent": TEXTS,
        "host": TEXTS,
        "x_forwarded_for": TEXTS,
        "x_obverse_report": st.just("rejected"),
    },
)
QUERIES = (
    st.just("")
    | TEXTS
    | TEXTS.map(lambda one: f"writeKey={KEY}&data={one}")
    | TEXTS.map(lambda one: f"{one}=a.b&{one}.c=d")
)
PACKED = BODIES | BODIES.map(gzip.compress) | BODIES.map(zlib.compress)


@LAWS
@given(PATHS, METHODS, HEADERS, QUERIES, PACKED)
def test_any_request_is_answered(path: str, method: str, headers: dict[str, str], query: str, body: bytes) -> None:
    async def ask() -> None:
        async with open_door(DEFINITIONS, behind_proxy=True) as door:
            reply = await door.ask(method, f"{path}?{query}".replace("??", "?"), [body], **headers)
            assert reply is not None
            assert reply.status < 500
            if reply.status >= 400 and reply.headers["content-type"] == "application/json":
                told = reply.json
                assert told["success"] is False
                assert told["code"]
                assert told["message"]
            events, rejected = await door.kept()
            # What was refused for good, with a good key, is kept; and what was taken is in the log.
            if reply.status in {400, 403} and headers.get("authorization") == basic(f"{KEY}:"):
                assert events == []
                assert rejected or reply.status == 403
            after = await door.post(batch(GOOD), authorization=basic(f"{KEY}:"))
            assert after.status == 200
            assert len((await door.kept())[0]) == len(events) + 1

    asyncio.run(ask())


@LAWS
@given(st.lists(BODIES, max_size=3))
def test_what_is_good_in_a_batch_arrives_whatever_stands_beside_it(bodies: list[bytes]) -> None:
    items: list[Any] = []
    for body in bodies:
        try:
            items.append(bytes(msgspec.json.decode(body, type=msgspec.Raw)))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue

    async def ask() -> None:
        async with open_door(DEFINITIONS) as door:
            first, last = {**GOOD, "messageId": "first"}, {**GOOD, "messageId": "last"}
            reply = await door.post(batch(first, *items, last), authorization=basic(f"{KEY}:"))
            assert reply.status == 200
            events, rejected = await door.kept()
            assert len(events) + len(rejected) == len(items) + 2
            assert (events[0].message_id, events[-1].message_id) == ("first", "last")

    asyncio.run(ask())

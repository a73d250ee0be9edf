"""Thousands of hostile payloads: each is answered as the contract says, its neighbours arrive, all parsers agree."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from door_steps import KEY, basic, hash_key, open_door
from obverse.core import json_values, profiles
from obverse.core.definitions import Source, define
from obverse.core.events import Event
from obverse.ports.profile_store import ProfileRow
from people_steps import new
from wire_steps import GOOD, batch

DEFINITIONS = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])
EACH = 900
"""Payloads of each kind; a tenth of the dear ones."""

Make = Callable[[Random], bytes]


def item(properties: bytes, **fields: Any) -> bytes:
    """An event with these properties, as JSON text."""
    head = json.dumps({**GOOD, "messageId": None, **fields})
    return head[:-1].encode() + b',"properties":' + properties + b"}"


def spaced(dice: Random, text: bytes) -> bytes:
    """The same with blanks where blanks may stand."""
    return text.replace(b":", dice.choice([b":", b" :", b":\t", b" :\n "]))


def deep(dice: Random) -> bytes:
    levels, (opening, closing) = dice.randint(401, 10_000), dice.choice([(b"[", b"]"), (b'{"a":', b"}")])
    levels = min(levels, 30_000 // (len(opening) + 1))
    return item(b'{"deep":' + opening * levels + b"1" + closing * levels + b"}")


def wide(dice: Random) -> bytes:
    return item(b"{" + b",".join(b'"k%d":%d' % (place, place) for place in range(dice.randint(2000, 2200))) + b"}")


def too_wide(dice: Random) -> bytes:
    return item(b"{" + b",".join(b'"k%d":%d' % (place, place) for place in range(dice.randint(4000, 10_000))) + b"}")


def no_number(dice: Random) -> bytes:
    return spaced(
        dice, item(b'{"a":' + dice.choice([b"NaN", b"Infinity", b"-Infinity", b"nan", b"01", b"1.", b".5"]) + b"}")
    )


def lone(dice: Random) -> bytes:
    half = dice.choice([b"\\ud800", b"\\uDFFF", b"\\udbff\\u0041", b"\\ude00\\ud83d", b"\\uD83D"])
    return item(b'{"' + half + b'":"' + half + b" %d" % dice.randrange(99) + b'","email":"' + half + b'@x.example"}')


def nul(dice: Random) -> bytes:
    return spaced(dice, item(b'{"a\\u0000":"\\u0000%d","b":["\\u0000"]}' % dice.randrange(999)))


def nul_id(dice: Random) -> bytes:
    name = dice.choice(["userId", "anonymousId", "messageId"])
    return item(b"{}", **{name: f"a\0{dice.randrange(99)}"})


def twice(dice: Random) -> bytes:
    one, two = dice.randrange(99), dice.randrange(99)
    return item(b'{"price":%d,"email":"%d@x.example","price":%d,"email":"%d@x.example"}' % (one, one, two, two))


def huge_number(dice: Random) -> bytes:
    number = dice.choice([2**63, -(2**63) - 1, 2**64, 10**400, -(10**40)])
    text = dice.choice(
        [str(number), f"1e{dice.randint(300, 99_999)}", f"-0.{'0' * dice.randint(1, 400)}1", "1E-999999999"]
    )
    return item(b'{"price":' + text.encode() + b',"a":[' + text.encode() + b"]}")


def too_large(dice: Random) -> bytes:
    return item(b'{"a":"' + b"x" * dice.randint(33 * 1024, 60 * 1024) + b'"}')


def bad_utf8(dice: Random) -> bytes:
    return item(
        b'{"a":"' + dice.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80"]) + b'"}'
    )


async def send(make: Make, times: int, seed: int) -> tuple[list[int], list[Event], list[Any], list[bytes]]:
    """Send them, each between two good ones; what was answered, accepted and rejected, and what was sent."""
    dice = Random(seed)
    sent = [make(dice) for _ in range(times)]
    async with open_door(DEFINITIONS) as door:
        statuses = []
        for place, one in enumerate(sent):
            body = batch({**GOOD, "messageId": f"a{place}"}, one, {**GOOD, "messageId": f"b{place}"})
            statuses.append((await door.post(body, authorization=basic(KEY))).status)
        events, rejected = await door.kept()
    return statuses, events, rejected, sent


@pytest.mark.parametrize("make", [wide, lone, nul, twice, huge_number])
def test_what_is_odd_but_an_event_is_taken_and_every_parser_reads_the_same(make: Make) -> None:
    times = EACH // 10 if make is wide else EACH
    statuses, events, rejected, sent = asyncio.run(send(make, times, 1))
    assert set(statuses) == {200}
    assert rejected == []
    odd = [event for event in events if event.message_id[0] not in "ab"]
    assert (len(events), len(odd)) == (3 * times, times)
    people = new()
    for place, (event, text) in enumerate(zip(odd, sent, strict=True)):
        stored = json.loads(event.properties, parse_float=str)
        ours = json_values.lenient(event.properties)
        if make is not lone:  # which is mended before it is read
            assert stored == json.loads(text, parse_float=str)["properties"]
        if ours is not None and make is not huge_number:
            assert ours == json.loads(event.properties)
        folded = people.fold(event, (0, place))
        assert folded.profile is not None
        row = ProfileRow.of(folded.profile, people.definitions)
        packed = profiles.pack(folded.profile, people.definitions)
        assert profiles.unpack(packed, people.definitions).id == folded.profile.id
        known = () if row.known is None else (row.known.identity_graph, row.known.attributes)
        for written in (row.computed_traits, *known):
            assert b"\\u0000" not in written
            json.loads(written)


@pytest.mark.parametrize(
    ("make", "code"),
    [(deep, "too_deep"), (too_wide, "event_too_large"), (nul_id, "invalid_id"), (too_large, "event_too_large")],
)
def test_what_is_no_event_is_kept_with_the_reason_and_its_neighbours_arrive(make: Make, code: str) -> None:
    times = EACH // 10 if make in {deep, too_wide, too_large} else EACH
    statuses, events, rejected, _ = asyncio.run(send(make, times, 2))
    assert set(statuses) == {200}
    assert [event.message_id for event in events] == [f"{side}{place}" for place in range(times) for side in "ab"]
    assert [one.code for one in rejected] == [code] * times
    assert {one.field.partition("]")[0] for one in rejected} == {"$.batch[1"}


@pytest.mark.parametrize("make", [no_number, bad_utf8])
def test_what_is_no_json_is_refused_whole_and_its_beginning_kept(make: Make) -> None:
    statuses, events, rejected, _ = asyncio.run(send(make, EACH, 3))
    assert set(statuses) == {400}
    assert events == []
    assert [one.code for one in rejected] == ["invalid_json"] * EACH
    assert all(len(one.body) <= 1024 for one in rejected)


def test_what_is_too_much_is_refused_and_unpacked_no_further() -> None:
    async def run() -> None:
        async with open_door(DEFINITIONS) as door:
            for size in (501 * 1024, 600 * 1024, 100 << 20):
                body = b'{"batch":[' + b" " * size + b"]}"
                packed = gzip.compress(body, 9)
                assert size < 100 << 20 or len(body) > 900 * len(packed)  # a bomb
                reply = await door.post(packed, authorization=basic(KEY), content_encoding="gzip")
                assert (reply.status, reply.json["code"]) == (400, "batch_too_large")
                if size < 1 << 20:
                    reply = await door.post(body, authorization=basic(KEY))
                    assert (reply.status, reply.json["code"]) == (400, "batch_too_large")
            events, rejected = await door.kept()
            assert events == []
            assert {len(one.body) for one in rejected} == {1024}

    asyncio.run(run())

"""The examples of Segment's documentation, sent as they were published."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from door_steps import KEY, Door, hash_key, open_door
from obverse.core.definitions import Source, define
from segment_steps import EXAMPLES, NO_ID, assert_field_for_field, send_example

DEFINITIONS = define(sources=[Source("web", key_hashes=frozenset({hash_key(KEY)}))])


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door(DEFINITIONS) as door:
        yield door


@pytest.mark.parametrize("example", [one for one in EXAMPLES if "json" not in one], ids=lambda one: one["page"])
async def test_an_example_that_is_no_json_is_refused_and_its_beginning_kept(
    door: Door, example: dict[str, Any]
) -> None:
    assert await send_example(door, example) == 400
    _, (rejected,) = await door.kept()
    assert rejected.code == "invalid_json"
    assert rejected.body == example["raw"].encode()[:1024]


async def test_every_other_example_is_stored_field_for_field_or_kept_with_the_reason(door: Door) -> None:
    whole = [one for one in EXAMPLES if "json" in one]
    assert (len(EXAMPLES), len(whole)) == (89, 83)
    refused = 0
    for example in whole:
        events_before, rejected_before = await door.kept()
        assert await send_example(door, example) == 200
        events, rejected = await door.kept()
        events, rejected = events[len(events_before) :], rejected[len(rejected_before) :]
        if rejected:
            assert events == []
            assert {one.code for one in rejected} == {"missing_id"}
            assert all("userId or an anonymousId" in one.reason for one in rejected)
            refused += 1
            continue
        items = example["json"].get("batch", [example["json"]])
        for event, sent in zip(events, items, strict=True):
            assert_field_for_field(event, sent)
    assert refused == NO_ID

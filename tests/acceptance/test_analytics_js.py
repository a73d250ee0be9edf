"""The calls that Segment's documentation makes, made by analytics.js in Chromium, arrive field for field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analytics_js import shop_page
from installation import Installation, until

pytestmark = pytest.mark.service

TOLD = json.loads((Path(__file__).parents[1] / "data/segment_spec/segment_spec_js_calls.json").read_bytes())
CALLS = [call for told in TOLD for call in told.get("calls", ())]

CALL = """async ({method, args}) => {
  const { event } = await analytics[method](...args);
  return JSON.parse(JSON.stringify(event));
}"""


async def test_each_published_call_arrives(here: Installation) -> None:
    assert len(CALLS) == 55
    async with shop_page(here.note["collector"], here.key) as (page, wrong):
        sent: dict[str, dict[str, Any]] = {}
        for call in CALLS:
            event = await page.evaluate(CALL, call)
            sent[event["messageId"]] = event
        assert len(sent) == len(CALLS)

        async def look() -> Any:
            async with here.sql() as connection:
                found = await connection.fetch("select * from person_events where message_id = any($1)", list(sent))
            return found if len(found) >= len(sent) else None

        rows = {row["message_id"]: row for row in await until(look)}
        assert wrong == []
    for call, (message_id, event) in zip(CALLS, sent.items(), strict=True):
        row = rows[message_id]
        main = "traits" if call["method"] in {"identify", "group"} else "properties"
        assert row["type"] == event["type"] == call["method"]
        assert json.loads(row["properties"]) == event.get(main, {})
        assert row["event_type"] == (event["event"] if call["method"] == "track" else call["method"])
        assert (row["user_id"], row["anonymous_id"]) == (event.get("userId"), event["anonymousId"])
        # An alias without a previous id is sent with the visitor's own.
        previous = event["anonymousId"] if call["method"] == "alias" else None
        assert (row["group_id"], row["previous_id"]) == (event.get("groupId"), previous)
        context = json.loads(row["context"])
        assert context.pop("ip") == "127.0.0.1"
        assert context == event["context"]
        assert json.loads(row["integrations"]) == event["integrations"]

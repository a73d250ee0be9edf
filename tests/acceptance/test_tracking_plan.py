"""A tracking plan blocks a bad event: it stands in rejected events, is corrected, sent again, and is in the profile."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, start, until
from obverse.apps.sources import add_source, new_key

pytestmark = pytest.mark.service

ORDER = {"required": ["order_id", "total"], "properties": {"total": {"type": "number"}}}


def planned(version: str, schema: dict[str, Any]) -> str:
    spec = {"version": version, "calls": [{"event": "Order Completed", "schema": schema}]}
    return json.dumps({"version": "obverse/v1", "kind": "tracking_plan", "metadata": {"name": "strict"}, "spec": spec})


async def replay(here: Installation, *arguments: str) -> tuple[int | None, dict[str, int]]:
    """The command's exit code, and what it says."""
    process = await start(here.data, "replay", "--rejected", "--json", *arguments)
    said, errors = await process.communicate()
    assert said, errors.decode()
    return process.returncode, json.loads(said.splitlines()[-1])


@pytest.fixture
async def strict(here: Installation) -> str:
    """A source that is held to a plan; its key, once it is good."""
    key, definitions = new_key(), here.data / "definitions"
    path = definitions / "sources" / "strict.yml"
    path.unlink(missing_ok=True)
    add_source(definitions, "strict", key)
    path.write_text(path.read_text() + "  tracking_plan: {name: strict, mode: block}\n")
    (definitions / "strict.json.yml").write_text(planned("1.0", ORDER))

    async def good() -> bool:
        return (await here.post("/v1/batch", {"batch": [], "writeKey": key}))[0] == 200

    await until(good)
    return key


def order(key: str, user: str, **properties: Any) -> dict[str, Any]:
    return {
        "writeKey": key,
        "userId": user,
        "event": "Order Completed",
        "messageId": secrets.token_hex(8),
        "properties": {"order_id": "o1", **properties},
    }


async def kept(here: Installation, message_id: str) -> dict[str, Any]:
    """The rejected event, once it is in the table."""

    async def look() -> Any:
        found = (await here.get("/v1/rejected-events?source=strict&limit=100"))[1]["rejected"]
        return next((one for one in found if one["message_id"] == message_id), None)

    found: dict[str, Any] = await until(look)
    return found


async def totals(here: Installation, user: str) -> list[Any]:
    """What the person's orders came to, as the profile's events say."""

    async def look() -> Any:
        status, told = await here.get(f"/v1/profiles/user_id:{user}/events")
        return told["events"] if status == 200 else None

    return [event["properties"]["total"] for event in await until(look)]


async def test_a_bad_event_is_corrected_and_sent_again(here: Installation, strict: str, tmp_path: Path) -> None:
    user = f"u-{secrets.token_hex(4)}"
    event = order(strict, user, total="12")
    assert await here.post("/v1/track", event) == (200, {"success": True})

    rejected = await kept(here, event["messageId"])
    assert (rejected["code"], rejected["field"]) == ("violates_tracking_plan", "$.properties.total")
    assert '"12" is not of type "number"' in rejected["reason"]
    assert strict not in rejected["body"]
    assert (await here.get(f"/v1/profiles/user_id:{user}"))[0] == 404

    chosen = ("--id", rejected["id"])
    assert await replay(here, *chosen) == (1, {"asked": 1, "replayed": 0, "rejected_again": 1, "waiting": 0})
    corrected = json.loads(rejected["body"])
    corrected["properties"]["total"] = 12.50
    (tmp_path / "event.json").write_text(json.dumps(corrected))
    done = await replay(here, *chosen, "--body", str(tmp_path / "event.json"))
    assert done == (0, {"asked": 1, "replayed": 1, "rejected_again": 0, "waiting": 0})

    assert await totals(here, user) == [12.5]
    assert (await kept(here, event["messageId"]))["state"] == "replayed"
    # Once for all: it is not sent a second time.
    assert await replay(here, *chosen) == (0, {"asked": 0, "replayed": 0, "rejected_again": 0, "waiting": 0})


async def test_a_plan_is_mended_and_all_of_a_source_is_sent_again(here: Installation, strict: str) -> None:
    users = [f"u-{secrets.token_hex(4)}" for _ in range(3)]
    events = [order(strict, user, total="7") for user in users]
    for event in events:
        assert (await here.post("/v1/track", event))[0] == 200
        await kept(here, event["messageId"])

    newer = planned("2.0", {"required": ["order_id", "total"]})
    (here.data / "definitions" / "newer.yml").write_text(newer)

    async def mended() -> bool:
        _, told = await replay(here, "--source", "strict", "--code", "violates_tracking_plan")
        return told["rejected_again"] == 0

    await until(mended)
    for user in users:
        assert await totals(here, user) == ["7"]
    (here.data / "definitions" / "newer.yml").unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what is sent again: --rejected"),
        (("--rejected", "--id", "x"), "'x' names no rejected event"),
        (("--rejected", "--body", "event.json"), "name it with --id"),
        (("--rejected", "--id", "1", "--body", "nowhere.json"), "nowhere.json cannot be read"),
    ],
)
async def test_what_cannot_be_sent_again_is_told(here: Installation, arguments: tuple[str, ...], words: str) -> None:
    process = await start(here.data, "replay", *arguments)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert words in errors.decode()
    assert "Traceback" not in errors.decode()

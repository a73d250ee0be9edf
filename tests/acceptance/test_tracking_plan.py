"""A tracking plan blocks a bad event: it stands in rejected events, is corrected, sent again, and is in the profile."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from installation import Installation, start, until
from obverse.apps.sources import add_source, new_key

pytestmark = pytest.mark.service

ORDER = {"required": ["order_id", "total"], "properties": {"total": {"type": "number"}}}


def planned(name: str, version: str, schema: dict[str, Any]) -> str:
    spec = {"version": version, "calls": [{"event": "Order Completed", "schema": schema}]}
    return json.dumps({"version": "obverse/v1", "kind": "tracking_plan", "metadata": {"name": name}, "spec": spec})


async def replay(here: Installation, *arguments: str) -> tuple[int | None, dict[str, int]]:
    """The command's exit code, and what it says."""
    process = await start(here.data, "replay", "--rejected", "--json", *arguments)
    said, errors = await process.communicate()
    assert said, errors.decode()
    return process.returncode, json.loads(said.splitlines()[-1])


@dataclass(frozen=True)
class Held:
    """A source that is held to a plan of the same name."""

    name: str
    key: str

    def order(self, user: str, **properties: Any) -> dict[str, Any]:
        return {
            "writeKey": self.key,
            "userId": user,
            "event": "Order Completed",
            "messageId": secrets.token_hex(8),
            "properties": {"order_id": "o1", **properties},
        }


@pytest.fixture
async def strict(here: Installation) -> AsyncIterator[Held]:
    held, definitions = Held(f"strict-{secrets.token_hex(4)}", new_key()), here.data / "definitions"
    path = add_source(definitions, held.name, held.key)
    path.write_text(path.read_text() + f"  tracking_plan: {{name: {held.name}, mode: block}}\n")
    plan = definitions / f"{held.name}.yml"
    plan.write_text(planned(held.name, "1.0", ORDER))

    async def in_force() -> bool:
        """Each role reads definitions once a second, for itself."""
        await here.post("/v1/track", held.order("somebody"))
        return bool((await here.get(f"/v1/rejected-events?source={held.name}"))[1]["rejected"])

    await until(in_force)
    yield held
    path.unlink()
    plan.unlink()


async def kept(here: Installation, strict: Held, message_id: str) -> dict[str, Any]:
    """The rejected event, once it is in the table."""

    async def look() -> Any:
        found = (await here.get(f"/v1/rejected-events?source={strict.name}&limit=1000"))[1]["rejected"]
        return next((one for one in found if one["message_id"] == message_id), None)

    found: dict[str, Any] = await until(look)
    return found


async def totals(here: Installation, user: str) -> list[Any]:
    """What the person's orders came to, as the profile's events say."""

    async def look() -> Any:
        status, told = await here.get(f"/v1/profiles/user_id:{user}/events")
        return told["events"] if status == 200 else None

    return [event["properties"]["total"] for event in await until(look)]


async def same_columns(here: Installation, message_id: str) -> None:
    """The rejected event says in its columns what the stored one says, but for what was corrected."""
    shared = (
        "event_type, ingested_at, type, source, user_id, anonymous_id, name, context, integrations, extra, timestamp,"
        " original_timestamp, sent_at, group_id, previous_id"
    )
    async with here.sql() as sql:
        rows = [
            tuple(await sql.fetchrow(f"select {shared} from {table} where message_id = $1", message_id))
            for table in ("rejected_events", "event_stream")
        ]
        totals = await sql.fetchval(
            "select array[one.properties ->> 'total', other.properties ->> 'total']"
            " from rejected_events as one join event_stream as other using (user_id, message_id) where message_id = $1",
            message_id,
        )
    assert rows[0] == rows[1]
    assert totals == ["12", "12.5"]


async def test_a_bad_event_is_corrected_and_sent_again(here: Installation, strict: Held, tmp_path: Path) -> None:
    user = f"u-{secrets.token_hex(4)}"
    event = strict.order(user, total="12")
    assert await here.post("/v1/track", event) == (200, {"success": True})

    rejected = await kept(here, strict, event["messageId"])
    assert (rejected["code"], rejected["field"]) == ("violates_tracking_plan", "$.properties.total")
    assert '"12" is not of type "number"' in rejected["reason"]
    assert strict.key not in rejected["body"]
    assert (await here.get(f"/v1/profiles/user_id:{user}"))[0] == 404

    chosen = ("--id", rejected["id"])
    assert await replay(here, *chosen) == (1, {"asked": 1, "replayed": 0, "rejected_again": 1, "waiting": 0})
    corrected = json.loads(rejected["body"])
    corrected["properties"]["total"] = 12.50
    (tmp_path / "event.json").write_text(json.dumps(corrected))
    done = await replay(here, *chosen, "--body", str(tmp_path / "event.json"))
    assert done == (0, {"asked": 1, "replayed": 1, "rejected_again": 0, "waiting": 0})

    assert await totals(here, user) == [12.5]
    await same_columns(here, event["messageId"])
    assert (await kept(here, strict, event["messageId"]))["state"] == "replayed"
    # Once for all: it is not sent a second time.
    assert await replay(here, *chosen) == (0, {"asked": 0, "replayed": 0, "rejected_again": 0, "waiting": 0})


async def test_a_plan_is_mended_and_all_of_a_source_is_sent_again(here: Installation, strict: Held) -> None:
    users = [f"u-{secrets.token_hex(4)}" for _ in range(3)]
    events = [strict.order(user, total="7") for user in users]
    for event in events:
        assert (await here.post("/v1/track", event))[0] == 200
        await kept(here, strict, event["messageId"])

    newer = here.data / "definitions" / f"{strict.name}-2.yml"
    newer.write_text(planned(strict.name, "2.0", {"required": ["order_id"]}))

    async def mended() -> bool:
        """Collector and worker each read the new plan once a second: what one still refuses is sent again."""
        await replay(here, "--source", strict.name, "--code", "violates_tracking_plan")
        found = [(await here.get(f"/v1/profiles/user_id:{user}"))[0] for user in users]
        return found == [200] * len(users)

    await until(mended)
    for user in users:
        assert await totals(here, user) == ["7"]
    newer.unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to do: --to unify, activate, deliver or all; --rejected"),
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

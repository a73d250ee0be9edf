"""The Big List of Naughty Strings as identifiers: each is stored and found as it is, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from yarl import URL

from installation import Installation, until

pytestmark = pytest.mark.service

STRINGS: list[str] = sorted(
    set(msgspec.json.decode((Path(__file__).parents[1] / "data/blns/blns.json").read_bytes(), type=list[str]))
)
NOBODYS = {
    *("", " ", '""', "''", "-", "--", "-0", "-1", "0"),
    *("FALSE", "False", "NaN", "None", "TRUE", "True", "false", "null", "true", "undefined"),
}
"""Those that identify nobody (`docs/ingest.md`)."""
AT_ONCE = 100


def call(kind: str, place: int, text: str) -> dict[str, Any]:
    sent: dict[str, Any] = {"type": "track", "event": "Naughty", "messageId": f"blns-{kind}-{place}"}
    if kind == "email":  # an address alone makes no event
        return {**sent, "userId": f"blns-holder-{place}", "properties": {"email": text}}
    return {**sent, "userId" if kind == "user_id" else "anonymousId": text}


async def found(here: Installation, identifier: str) -> tuple[int, Any]:
    """Ask for whoever has this identifier; no client of ours may touch the address."""
    url = URL(f"{here.note['api']}/v1/profiles/{quote(identifier, safe='')}", encoded=True)
    async with here.http.get(url) as answer:
        return answer.status, msgspec.json.decode(await answer.read())


async def rejected(here: Installation, kind: str) -> dict[str, tuple[str, str]]:
    async with here.sql() as connection:
        rows = await connection.fetch(
            "select message_id, code, reason from rejected_events where message_id like $1", f"blns-{kind}-%"
        )
    return {row["message_id"]: (row["code"], row["reason"]) for row in rows}


@pytest.mark.parametrize("kind", ["user_id", "anonymous_id", "email"])
async def test_each_is_stored_and_found_as_it_is_or_refused_with_a_reason(here: Installation, kind: str) -> None:
    assert len(STRINGS) > 490
    calls = [call(kind, place, text) for place, text in enumerate(STRINGS)]
    for at in range(0, len(calls), AT_ONCE):
        status, _ = await here.post("/v1/batch", {"batch": calls[at : at + AT_ONCE], "writeKey": here.key})
        assert status == 200
    await until(here.drained)

    async def all_told() -> bool:
        async with here.sql() as connection:
            stored = await connection.fetchval(
                "select count(*) from event_stream where message_id like $1", f"blns-{kind}-%"
            )
        return bool(stored + len(await rejected(here, kind)) == len(calls))

    await until(all_told)
    refused = await rejected(here, kind)
    nobodys = NOBODYS | {"NULL"} if kind == "email" else NOBODYS  # an address is looked at in lower case
    for place, text in enumerate(STRINGS):
        sought = text.strip().lower() if kind == "email" else text
        status, profile = await found(here, f"{kind}:{sought}")
        code, reason = refused.get(f"blns-{kind}-{place}", (None, ""))
        if text in nobodys:
            assert status == (404 if sought else 400), text
            # An event whose address is nobody's is its holder's all the same.
            assert code == (None if kind == "email" else "no_usable_identifier" if text else "missing_id"), text
            assert kind == "email" or "send the person's own id" in reason or "needs a userId" in reason
            continue
        assert (status, code) == (200, None), text
        shown = [one for one in profile["identifiers"] if (one["kind"], one["value"]) == (kind, sought)]
        assert len(shown) == 1, text
        assert (shown[0]["event"] == f"blns-{kind}-{place}") or kind == "email", text

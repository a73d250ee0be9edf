"""The Big List of Naughty Strings as identifiers: each is stored and found as it is, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from yarl import URL

from installation import Installation, installation, until
from obverse.core.identity import IdentityRules, Kind, is_blocked

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


async def group_found(here: Installation, group: str) -> tuple[int, Any]:
    url = URL(f"{here.note['api']}/v1/groups/{quote(group, safe='')}", encoded=True)
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


RULES = IdentityRules(
    added=(
        Kind("braze_id"),
        Kind("coupon", "lower_case"),
        Kind("cross_domain_id"),
        Kind("loyalty_card"),
        Kind("member_email", "email"),
        Kind("phone", "phone", "GB"),
    )
)
KINDS = """
version: obverse/v1
kind: identity
metadata: {name: kinds}
spec:
  kinds:
    braze_id: {}
    coupon: {spelling: lower_case}
    cross_domain_id: {}
    loyalty_card: {}
    member_email: {spelling: email}
    phone: {region: GB}
"""


def carrying(kind: str, place: int, text: str) -> dict[str, Any]:
    """A call of somebody, who is named, that shows the text as an identifier of this kind."""
    sent = {"type": "track", "event": "Naughty", "messageId": f"blns-{kind}-{place}", "userId": f"blns-{kind}-{place}"}
    system, _, name = kind.partition(".")
    field = {"id": "id", "idfa": "advertisingId", "push_token": "token"}.get(name)
    if field is not None:
        device = {"type": system, "adTrackingEnabled": True, field: text}
        return {**sent, "context": {"device": device}}
    if kind == "ga_client_id":
        return {**sent, "context": {"integrations": {"Google Analytics": {"clientId": text}}}}
    if kind == "braze_id":
        return {**sent, "context": {"integrations": {"Braze": {"braze_id": text}}}}
    if kind in {"loyalty_card", "cross_domain_id"}:
        external = {"id": text, "type": kind, "collection": "users", "encoding": "none"}
        return {**sent, "context": {"externalIds": [external]}}
    return {**sent, "properties": {kind: text}}


async def test_of_every_other_kind_too(tmp_path: Path) -> None:
    """Each call is its holder's; what it shows is found under its one spelling, or said to be none."""
    (tmp_path / "data" / "definitions").mkdir(parents=True)
    (tmp_path / "data" / "definitions" / "kinds.yml").write_text(KINDS)
    kinds = [kind for kind in RULES.kinds if kind not in {"user_id", "email", "anonymous_id"}]
    assert len(kinds) == 13
    async with installation(tmp_path / "data") as here:
        calls = [carrying(kind, place, text) for kind in kinds for place, text in enumerate(STRINGS)]
        for at in range(0, len(calls), AT_ONCE):
            status, _ = await here.post("/v1/batch", {"batch": calls[at : at + AT_ONCE], "writeKey": here.key})
            assert status == 200
        await until(here.drained)
        for kind in kinds:
            for text in STRINGS:
                spelt = RULES.spelt(kind, text)
                status, told = await found(here, f"{kind}:{text}")
                if spelt is None:
                    assert (status, told["type"].rsplit(":", 1)[-1]) == (400, "invalid-identifier"), (kind, text)
                elif is_blocked(spelt, RULES) or is_blocked(text, RULES):
                    assert status == 404, (kind, text)
                    # In lower case `NaN` would be somebody's, had anybody sent that.
                    assert "identifies nobody" in told["detail"] or not is_blocked(spelt, RULES), (kind, text)
                else:
                    assert status == 200, (kind, text)
                    assert [one for one in told["identifiers"] if (one["kind"], one["value"]) == (kind, spelt)], text


async def test_each_is_a_group_of_that_id_or_names_none(here: Installation) -> None:
    """An id is trimmed, and keeps its capitals; the call of one that names no group is its holder's all the same."""
    calls = [
        {"type": "group", "messageId": f"blns-group-{n}", "userId": f"blns-member-{n}", "groupId": text}
        for n, text in enumerate(STRINGS)
    ]
    for at in range(0, len(calls), AT_ONCE):
        status, _ = await here.post("/v1/batch", {"batch": calls[at : at + AT_ONCE], "writeKey": here.key})
        assert status == 200
    await until(here.drained)

    async def all_told() -> bool:
        async with here.sql() as connection:
            stored = await connection.fetchval("select count(*) from event_stream where message_id like 'blns-group-%'")
        return bool(stored + len(await rejected(here, "group")) == len(calls))

    await until(all_told)
    refused = await rejected(here, "group")
    for place, text in enumerate(STRINGS):
        kept, message = text.strip(), f"blns-group-{place}"
        if not text:
            code, reason = refused[message]
            assert (code, reason.endswith("a group call needs a groupId")) == ("missing_id", True)
            continue
        assert message not in refused, text
        _, member = await found(here, f"user_id:blns-member-{place}")
        mine = [one["id"] for one in member["groups"]]
        status, told = await group_found(here, kept)
        if text in NOBODYS:
            problem = told["type"].rsplit(":", 1)[-1]
            assert (mine, status, problem) == ([], *((404, "group-not-found") if kept else (400, "invalid-group"))), (
                text
            )
            continue
        assert mine == [kept], text
        assert (status, told["id"]) == (200, kept), text

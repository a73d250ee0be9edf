"""Consent as it comes in: kept as it was sent, and asked for where an event tells nothing else."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import pytest

from collect_steps import WEB, Installation, collecting
from obverse.core.consents import consents_of
from wire_steps import GOOD, batch, event_of, read

UPDATED: dict[str, Any] = {**GOOD, "event": "Segment Consent Preference Updated"}
CONSENT = {"categoryPreferences": {"advertising": True, "analytics": False, "odd": "perhaps"}, "more": [1]}


@pytest.mark.parametrize("sent", [GOOD, {**GOOD, "type": "identify", "event": None}, UPDATED])
def test_consent_is_kept_as_it_was_sent(sent: dict[str, Any]) -> None:
    event = event_of(**{**sent, "context": {"consent": CONSENT, "ip": "::1"}})
    assert msgspec.json.decode(event.context) == {"consent": CONSENT, "ip": "::1"}
    assert consents_of(event) == (("advertising", True), ("analytics", False))


def test_a_batch_tells_the_consent_of_its_items_unless_they_do() -> None:
    own: dict[str, Any] = {"consent": {"categoryPreferences": {}}}
    reading = read(batch(UPDATED, {**UPDATED, "context": own}, context={"consent": CONSENT}))
    assert reading.rejected == []
    assert [msgspec.json.decode(one.context) for one in reading.events] == [{"consent": CONSENT}, own]


NONE: list[dict[str, Any]] = [
    *({}, {"context": None}, {"context": {}}, {"context": {"consent": None}}),
    *({"context": {"consent": []}}, {"context": {"consent": {}}}),
    *({"context": {"consent": {"categoryPreferences": None}}}, {"context": {"consent": {"categoryPreferences": []}}}),
    {"context": {"consent": {"categoryPreferences": True}}},
]


@pytest.mark.parametrize("without", NONE)
def test_an_update_without_consent_is_answered_400_and_kept(without: dict[str, Any]) -> None:
    async def test(here: Installation) -> None:
        answer = await here.take({**UPDATED, **without}, WEB, call="track")
        assert (answer.status, answer.code, answer.source) == (HTTPStatus.BAD_REQUEST, "missing_consent", "web")
        (rejected,) = await here.rejected()
        assert (rejected.code, rejected.field, rejected.message_id) == ("missing_consent", "$.context.consent", "m1")
        assert rejected.reason == answer.message
        assert "categoryPreferences" in rejected.reason
        assert list(answer.rejected) == [rejected]
        assert await here.events() == []

    collecting(test)


def test_in_a_batch_it_is_kept_as_rejected_and_its_neighbours_are_accepted() -> None:
    async def test(here: Installation) -> None:
        body = {"batch": [GOOD, UPDATED, {**UPDATED, "messageId": "m3", "context": {"consent": CONSENT}}]}
        assert (await here.take(body, WEB)).status == HTTPStatus.OK
        (rejected,) = await here.rejected()
        assert (rejected.code, rejected.field) == ("missing_consent", "$.batch[1].context.consent")
        assert [one.message_id for one in await here.events()] == ["m1", "m3"]

    collecting(test)


def test_no_other_event_and_no_other_call_needs_it() -> None:
    assert event_of(event="Segment Consent Preference Updated ").name == "Segment Consent Preference Updated "
    assert event_of(type="page", event=None, name=UPDATED["event"]).name == UPDATED["event"]

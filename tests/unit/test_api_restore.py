"""The API that restores: values of then are written anew by an event, once; and every way to ask wrongly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from api_steps import build_api, is_problem
from asgi import App, ask
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import define
from obverse.core.events import Event
from obverse.core.identity import KNOWN, IdentityRules, Part, id_name, identifiers, profile_id
from obverse.core.people import People
from obverse.core.unmerging import rerun, tell_anew, undo
from obverse.flows.restoring import restoration
from obverse.ports.profile_history import KeptDecision
from past_steps import ADA, MINUTE, at, minute, open_past_shop, restore
from reading import NOON, Shop, identify


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_past_shop() as opened:
        yield opened


@pytest.fixture
def api(shop: Shop) -> App:
    return build_api(shop)


async def waiting(shop: Shop) -> list[Event]:
    return [*await shop.store.waiting_events(limit=9)]


async def bring(shop: Shop) -> None:
    """What the collector and the worker do."""
    for event in await waiting(shop):
        await shop.fold(structs.replace(event, received_at=event.timestamp + 1))
        await shop.store.settle_event(event.message_id, at=1)


async def test_values_of_then_are_written_anew_by_one_event(api: App, shop: Shop) -> None:
    answer = (await restore(api, {"as_of": minute(2)})).json

    assert answer["as_of"] == minute(2)
    assert [(one["name"], one["value"], one["replaces"]["value"]) for one in answer["attributes"]] == [
        ("city", "Oslo", None),
        ("email", None, "ada@example.com"),
        ("plan", "pro", "trial"),
    ]
    assert (answer["left_out"], answer["asked"]) == ([], True)
    (event,) = await waiting(shop)
    assert (event.type, event.source, event.user_id, event.message_id) == (
        "identify",
        "obverse",
        "ada",
        answer["event"],
    )
    assert json.loads(event.properties) == {"city": "Oslo", "email": None, "plan": "pro"}
    assert json.loads(event.context)["restored"] == {"as_of": minute(2), "profile": answer["profile"]}

    await bring(shop)
    now = (await ask(api, f"/v1/profiles/{ADA}")).json
    assert {name: one["value"] for name, one in now["attributes"].items()} == {
        "city": "Oslo",
        "email": None,
        "plan": "pro",
        "score": Decimal("1.50"),
    }
    assert now["attributes"]["plan"]["source"] == "obverse"
    assert [one["value"] for one in now["attributes"]["plan"]["previous"]] == ["trial", "pro", "free"]


async def test_asked_for_again_nothing_is_written(api: App, shop: Shop) -> None:
    first = (await restore(api, {"as_of": minute(2)})).json
    again = (await restore(api, {"as_of": minute(2)})).json
    assert again == first
    assert len(await waiting(shop)) == 1

    await bring(shop)
    await shop.checkpoint()
    done = (await restore(api, {"as_of": minute(2)})).json
    assert (done["attributes"], done["event"], done["asked"]) == ([], None, False)
    assert await waiting(shop) == []


async def test_what_was_overwritten_since_is_restored_anew(api: App, shop: Shop) -> None:
    first = (await restore(api, {"as_of": minute(2), "attributes": ["plan"]})).json
    await bring(shop)
    later = 40_000_000  # by a clock that is decades ahead
    await shop.fold(at(identify(7, '{"plan": "trial"}', user_id="ada"), later, later))
    await shop.checkpoint()
    second = (await restore(api, {"as_of": minute(2), "attributes": ["plan"]})).json

    assert second["event"] not in {None, first["event"]}
    (event,) = await waiting(shop)
    assert event.timestamp > NOON + later * MINUTE


async def test_only_those_that_are_named(api: App, shop: Shop) -> None:
    answer = (await restore(api, {"as_of": minute(2), "attributes": ["plan", "score", "plan"]})).json

    assert [one["name"] for one in answer["attributes"]] == ["plan"]
    (event,) = await waiting(shop)
    assert json.loads(event.properties) == {"plan": "pro"}


async def test_a_preview_writes_nothing(api: App, shop: Shop) -> None:
    preview = (await restore(api, {"as_of": minute(2), "preview": True})).json
    assert preview["asked"] is False
    assert await waiting(shop) == []

    done = (await restore(api, {"as_of": minute(2)})).json
    assert done == {**preview, "asked": True}


async def test_to_the_present_there_is_nothing_to_restore(api: App, shop: Shop) -> None:
    answer = (await restore(api, {"as_of": minute(7)})).json

    assert (answer["attributes"], answer["event"]) == ([], None)
    assert await waiting(shop) == []


async def test_an_attribute_that_nobody_ever_told_is_named(api: App, shop: Shop) -> None:
    answer = await restore(api, {"as_of": minute(2), "attributes": ["plan", "shoe_size"]})

    assert is_problem(answer, 400, "unknown-attribute")
    assert answer.json["detail"] == (
        "no attribute 'shoe_size' is told of this profile, now or then; there are: city, email, plan, score"
    )
    assert await waiting(shop) == []


WRONG = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    {},
    {"as_of": 3},
    {"as_of": minute(2), "attributes": "plan"},
    {"as_of": minute(2), "attributes": []},
    {"as_of": minute(2), "extra": 1},
    {"as_of": minute(2), "preview": "yes"},
]


@pytest.mark.parametrize("body", WRONG, ids=range(len(WRONG)))
async def test_a_body_that_is_none_is_refused(api: App, shop: Shop, body: Any) -> None:
    answer = await restore(api, body)
    assert is_problem(answer, 400, "invalid-body")
    assert "as_of" in answer.json["remedy"]
    assert await waiting(shop) == []


async def test_who_was_not_there_yet_has_nothing_to_restore(api: App) -> None:
    assert is_problem(await restore(api, {"as_of": minute(0.5)}), 404, "not-there-yet")


async def test_what_was_told_of_two_who_were_parted_since_is_given_to_neither(api: App, shop: Shop) -> None:
    people, both = shop.people, shop.people.owners["user_id:ada"]
    stamp = Stamp(NOON + 10 * MINUTE, "console", "request")
    kept = await shop.store.past_events([*people.absorbed, both], until=stamp.time, limit=100)
    decisions = [one.decision for one in await shop.store.decisions_of(both)]
    # The browser stays who it was, and with it who was shown with it in minute 3.
    without = rerun(people, ("user_id:ada", "anonymous_id:a-1"), kept)
    parted = undo(people, ("user_id:ada", "anonymous_id:a-1"), stamp, decisions, without)
    parted = structs.replace(parted, parts=parted.parts or (Part(profile_id("main", ADA), (ADA,)),))
    people.carry_out(parted)
    tell_anew(people, parted, without)
    shop.decided.append(KeptDecision(shop.decisions, parted))
    await shop.fold()
    await shop.checkpoint()
    # Nothing has come since, and yet both are otherwise than they were.
    then = [(await ask(api, f"/v1/profiles/{name}?as_of={minute(4)}")).json for name in (ADA, "anonymous_id:a-1")]
    assert then[0]["identifiers"] == then[1]["identifiers"]
    assert {"ada", "a-1"} <= {one["value"] for one in then[0]["identifiers"]}
    await shop.fold(identify(11, '{"plan": "own"}', user_id="ada"), identify(12, '{"plan": "x"}', anonymous_id="a-1"))
    await shop.checkpoint()

    for name in (ADA, "anonymous_id:a-1"):
        answer = await restore(api, {"as_of": minute(4)}, name)
        assert is_problem(answer, 409, "not-restorable")
        assert "parted since" in answer.json["detail"]
        assert answer.json["remedy"].startswith("send an identify")
    assert (await restore(api, {"as_of": minute(11)})).json["attributes"] == []


async def test_an_address_that_is_not_its_own_is_left_out(api: App, shop: Shop) -> None:
    """It was told where it is no identifier, or belongs to somebody else: told again, it would tie the two."""
    shared = '{"email": "shared@example.com", "plan": "x"}'
    limits = [
        identify(20, shared, user_id="one"),
        identify(21, '{"email": "dora@example.com"}', user_id="dora"),
    ]
    await shop.fold(*limits)
    profile = shop.people.profiles[shop.people.owners["user_id:dora"]]
    other = shop.people.profiles[shop.people.owners["user_id:one"]]
    profile.attributes["email"] = (other.attributes["email"][0]._replace(stamp=profile.attributes["email"][0].stamp),)
    await shop.fold(identify(22, '{"email": "new@example.com", "plan": "y"}', user_id="dora"))
    await shop.checkpoint()
    kept = shop.store._tables.events[profile.id]  # type: ignore[attr-defined]  # as if a limit had refused it
    kept[0] = structs.replace(kept[0], event=structs.replace(kept[0].event, properties=shared.encode()))

    answer = (await restore(api, {"as_of": minute(21)}, "user_id:dora")).json

    assert [(one["name"], one["value"]) for one in answer["attributes"]] == [("plan", "x")]
    assert [one["name"] for one in answer["left_out"]] == ["email"]
    assert "no identifier of this profile" in answer["left_out"][0]["reason"]
    (event,) = await waiting(shop)
    assert json.loads(event.properties) == {"plan": "x"}


def test_what_has_become_an_identifier_since_is_left_out() -> None:
    first = identify(1, '{"email": "ada@example.com", "phone": "+44 20 7946 0958", "plan": "x"}', user_id="ada")
    second = identify(2, '{"email": null, "phone": null, "plan": "y"}', user_id="ada")
    then, current = (people_of(*events).profiles[profile_id("main", ADA)] for events in ([first], [first, second]))
    rules = IdentityRules(added=(KNOWN["phone"],))

    planned = restoration(then, current, NOON, None, now=NOON, definitions=define(identity=rules))

    assert [one.name for one in planned.attributes] == ["email", "plan"]
    assert [one.name for one in planned.left_out] == ["phone"]
    assert planned.event is not None
    assert {*identifiers(planned.event, rules)} == {ADA, "email:ada@example.com"}


def people_of(*events: Event) -> People:
    people = People("main", define())
    for offset, event in enumerate(events):
        people.fold(event, (0, offset))
    return people


MAIL = b'{"traits": {"email": "eve@example.com"}}'


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ({"user_id": "eve", "anonymous_id": "e-1"}, ("eve", None)),
        ({"anonymous_id": "e-1"}, (None, "e-1")),
        ({"user_id": "null", "context": MAIL}, (None, None)),
    ],
)
async def test_the_event_names_the_profile_by_its_strongest(
    api: App, shop: Shop, ids: dict[str, Any], named: tuple[str | None, str | None]
) -> None:
    await shop.fold(identify(20, '{"plan": "x"}', **ids), identify(21, '{"plan": "y"}', **ids))
    await shop.checkpoint()
    profile = shop.people.profiles[list(shop.people.profiles)[-1]]

    await restore(api, {"as_of": minute(20)}, id_name(profile.id))

    (event,) = await waiting(shop)
    assert (event.user_id, event.anonymous_id) == named
    before = profile.identifiers.keys() | ()
    await bring(shop)
    assert profile.told("plan") == b'"x"'
    assert profile.identifiers.keys() == before
    assert profile.attributes.keys() == {"plan"}


async def test_a_profile_that_no_event_can_name(api: App, shop: Shop) -> None:
    await shop.fold(identify(20, '{"plan": "x"}', user_id="till"), identify(21, '{"plan": "y"}', user_id="till"))
    profile = shop.people.profiles[shop.people.owners["user_id:till"]]
    shop.people.release(profile)
    # A rule has blocked its one identifier since.
    profile.identifiers["user_id:shared-till"] = profile.identifiers.pop("user_id:till")
    profile.sightings["user_id:shared-till"] = profile.sightings.pop("user_id:till")
    profile.claims, profile.known_moved = ("user_id:shared-till",), True
    shop.people.adopt(profile)
    await shop.forget()
    await shop.fold()
    await shop.checkpoint()

    answer = await restore(api, {"as_of": minute(20)}, "id:" + id_name(profile.id)[3:])

    assert is_problem(answer, 409, "not-restorable")
    assert "identifies anybody" in answer.json["detail"]
    assert answer.json["remedy"].startswith("unblock one")

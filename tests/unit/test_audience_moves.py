"""People enter and leave audiences with the event that makes them, whatever the condition looks at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from obverse.core.changes import CONSENT, ENTERED, GROUP, LEFT
from obverse.core.definitions import BadDefinition, Definitions, define
from obverse.core.identity import IdentityRules
from obverse.core.people import People
from obverse.core.traits.numbers import Count
from people_steps import audience, event, trait

USER: Any = {"user_id": "1"}


def moves(where: dict[str, Any], *events: Any, more: Definitions | None = None) -> list[str]:
    """What happened to whom is in the audience, event by event: `+`, `-` or nothing."""
    others = () if more is None else more.audiences
    definitions = define(
        traits=[trait("orders", Count())],
        audiences=[audience("a", **where), *others],
        identity=IdentityRules(limits={}),
    )
    people = People("main", definitions)
    signs = {ENTERED: "+", LEFT: "-"}
    return [
        "".join(
            signs[change.kind]
            for change in people.fold(one, (0, place)).changes
            if change.name == "a" and change.kind in signs
        )
        for place, one in enumerate(events)
    ]


def identify(number: int, **fields: Any) -> Any:
    return event(f"m{number}", at=number, type_="identify", **fields)


def context(**preferences: bool) -> bytes:
    return json.dumps({"consent": {"categoryPreferences": preferences}}).encode()


def test_of_identifiers() -> None:
    of = {"op": "ends_with", "identifier": "email", "value": "@acme.com"}
    ada: Any = {"user_id": "1"}
    at_work = {"email": "ada@acme.com"}
    assert moves(of, event("m0", **ada), identify(1, **ada, properties=at_work), event("m2", **ada)) == ["", "+", ""]
    assert moves(of, identify(0, **ada, properties=at_work)) == ["+"]
    missing = {"op": "not", "of": {"op": "exists", "identifier": "email"}}
    assert moves(missing, event("m0", **ada), identify(1, **ada, properties=at_work)) == ["+", "-"]


def test_of_consents() -> None:
    of, ada = {"op": "eq", "consent": "mail", "value": True}, USER
    told = [
        event("m0", **ada),
        event("m1", at=1, **ada, context=context(mail=True)),
        event("m2", at=2, **ada, context=context(ads=False)),
        event("m3", at=3, **ada, context=context(mail=False)),
        event("m4", at=1, **ada, context=context(mail=True)),
    ]
    assert moves(of, *told) == ["", "+", "", "-", ""]


def test_of_groups() -> None:
    of, ada = {"op": "member", "group": "acme"}, USER
    joins = [event(f"m{place}", type_="group", group_id=one, **ada) for place, one in enumerate(("x", "acme", "acme"))]
    assert moves(of, *joins) == ["", "+", ""]


def test_of_another_audience() -> None:
    buyers = define(
        traits=[trait("orders", Count())], audiences=[audience("buyers", op="gte", trait="orders", value=2)]
    )
    of = {"op": "not", "of": {"op": "member", "audience": "buyers"}}
    bought = [event(f"m{place}", type_="track", name="Bought", user_id="1") for place in range(3)]
    assert moves(of, *bought, more=buyers) == ["+", "-", ""]


def test_of_what_was_done() -> None:
    of = {"op": "did", "event": "Bought", "times": {"at_least": 2, "at_most": 3}}
    bought = [event(f"m{place}", type_="track", name="Bought", user_id="1") for place in range(4)]
    assert moves(of, *bought, event("n", type_="track", name="Viewed", user_id="1")) == ["", "+", "", "-", ""]
    assert moves(of, bought[0], bought[0], bought[0]) == ["", "", ""], "what comes again counts once"


def test_of_steps_that_come_late() -> None:
    of = {"op": "sequence", "steps": [{"event": "Viewed"}, {"event": "Bought", "within": "10 seconds"}]}
    bought = event("m0", at=20, type_="track", name="Bought", user_id="1")
    too_early = event("m1", at=9, type_="track", name="Viewed", user_id="1")
    viewed = event("m2", at=15, type_="track", name="Viewed", user_id="1")
    assert moves(of, bought, too_early, viewed) == ["", "", "+"], "as if it had come in time"


def test_two_people_who_become_one_are_judged_as_one() -> None:
    of = {"op": "did", "event": "Bought", "times": 2}
    bought = [event(f"m{one}", type_="track", name="Bought", anonymous_id=one) for one in ("a", "b")]
    both = [identify(place, user_id="1", anonymous_id=one) for place, one in enumerate(("a", "b"), 5)]
    assert moves(of, *bought, *both) == ["", "", "", "+"]


def test_what_moved_is_told_by_its_name() -> None:
    people = People("main", define(identity=IdentityRules(limits={})))
    said = people.fold(event("m0", user_id="1", context=context(mail=True)), (0, 0)).changes
    joined = people.fold(event("m1", type_="group", group_id="acme", user_id="1"), (0, 1)).changes
    assert [(one.kind, one.name) for one in said if one.kind == CONSENT] == [(CONSENT, "mail")]
    assert [(one.kind, one.name) for one in joined] == [(GROUP, "acme")]


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        ({"consent": {"categoryPreferences": {"a": True, "b": False}}}, {"a": True, "b": False}),
        ({"consentManagement": {"allowedConsentIds": ["a"], "deniedConsentIds": ["b"]}}, {"a": True, "b": False}),
        ({"consent": {"categoryPreferences": {"a": "yes", "b": 1, "c": None, "": True, "d": True}}}, {"d": True}),
        ({"consent": {"categoryPreferences": {"x" * 256: True, "y" * 255: True}}}, {"y" * 255: True}),
        ({"consent": [], "consentManagement": {"allowedConsentIds": "a", "deniedConsentIds": [1, None]}}, {}),
        ({"consent": "categoryPreferences"}, {}),
        ({"page": {"consent": {"categoryPreferences": {"a": True}}}}, {}),
    ],
)
def test_consents_are_read_as_sdks_send_them(preferences: Any, expected: dict[str, bool]) -> None:
    people = People("main", define(identity=IdentityRules(limits={})))
    profile = people.fold(event("m0", user_id="1", context=json.dumps(preferences).encode()), (0, 0)).profile
    assert profile is not None
    assert {purpose: profile.consented(purpose) for purpose in profile.consents} == expected


def test_an_event_names_a_hundred_purposes_at_most() -> None:
    people = People("main", define(identity=IdentityRules(limits={})))
    many = context(**{f"p{number}": True for number in range(1000)})
    profile = people.fold(event("m0", user_id="1", context=many), (0, 0)).profile
    assert profile is not None
    assert len(profile.consents) == 100


def within(levels: int, inner: dict[str, Any]) -> dict[str, Any]:
    """A condition that so many levels of another stand around."""
    for _ in range(levels):
        inner = {"op": "not", "of": inner}
    return inner


@pytest.mark.parametrize(
    ("audiences", "advice"),
    [
        ([audience("a", op="member", audience="a")], "audience 'a' looks at itself: a -> a"),
        (
            [
                audience("a", op="member", audience="b"),
                audience("b", op="not", of={"op": "member", "audience": "c"}),
                audience("c", op="member", audience="a"),
            ],
            "a -> b -> c -> a; take one of these conditions out",
        ),
        (
            [audience("buyers", op="exists", trait="orders"), audience("a", op="member", audience="buyrs")],
            "audience 'buyrs', which is not defined (did you mean buyers?)",
        ),
        (
            [audience(f"a{n}", op="member", audience=f"a{n + 1}") for n in range(2000)],
            "looks through more than 50 others",
        ),
        (
            [audience("a0", op="exists", attribute="x")]
            + [audience(f"a{n}", op="member", audience=f"a{n - 1}") for n in range(1, 2000)],
            "audience 'a51' looks through more than 50 others",
        ),
        (
            [audience(f"a{n}", **within(48, {"op": "member", "audience": f"a{n + 1}"})) for n in range(40)]
            + [audience("a40", op="exists", attribute="x")],
            "audience 'a0' looks deeper than 200 levels, with what it looks at; use fewer",
        ),
        (
            [audience("a0", **within(48, {"op": "exists", "attribute": "x"}))]
            + [audience(f"a{n}", **within(48, {"op": "member", "audience": f"a{n - 1}"})) for n in range(1, 40)],
            "audience 'a4' looks deeper than 200 levels, with what it looks at; use fewer",
        ),
        (
            [audience("a0", op="exists", attribute="x")]
            + [audience(f"a{n}", op="or", of=[{"op": "member", "audience": f"a{n - 1}"}] * 2) for n in range(1, 40)],
            "audience 'a12' looks at more than 10000 parts, with those of the audiences it looks at; use fewer",
        ),
        (
            [audience("a", op="exists", identifier="emial")],
            "identifier 'emial', which is not defined (did you mean email?)",
        ),
        ([audience("a", op="exists", trait="ordrs")], "trait 'ordrs', which is not defined (did you mean orders?)"),
    ],
)
def test_what_is_not_defined_cannot_be_looked_at(audiences: Any, advice: str) -> None:
    with pytest.raises(BadDefinition) as caught:
        define(traits=[trait("orders", Count())], audiences=audiences)
    assert advice in str(caught.value)

"""A profile in a CRM's words, and a CRM's edit in ours."""

from __future__ import annotations

from typing import Any

import pytest

from obverse.core import json_values, mapping
from obverse.core.documents import read
from obverse.core.events import Event
from obverse.core.people import People
from obverse.core.profiles import Profile
from obverse.core.records import Edit
from obverse.wiring import trait_kinds


def document(kind: str, name: str, spec: Any) -> tuple[str, Any]:
    return f"{name}.yml", {"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


FIELDS = {
    "firstname": "attribute.first_name",
    "tags": "attribute.tags",
    "value": "trait.lifetime_value",
    "big": "audience.big_spenders",
    "owner": {"from": "attribute.owner", "direction": "in"},
    "plan": {"from": "attribute.plan", "direction": "out"},
}
DEFINITIONS = read(
    [
        document("trait", "lifetime_value", {"aggregate": "sum", "event": "Order Completed", "property": "revenue"}),
        document("audience", "big_spenders", {"where": {"op": "gte", "trait": "lifetime_value", "value": 1000}}),
        document("connection", "crm", {"crm": "memory", "fields": FIELDS}),
    ],
    trait_kinds(),
)
(CRM,) = DEFINITIONS.connections


def person(*events: tuple[str, str, bytes]) -> Profile:
    """The person of these events: source, type, properties, a second apart."""
    people = People("main", DEFINITIONS)
    for at, (source, kind, properties) in enumerate(events):
        event = Event(
            type=kind,
            message_id=f"m{at}",
            source=source,
            received_at=at * 1_000_000,
            timestamp=at * 1_000_000,
            user_id="42",
            name="Order Completed" if kind == "track" else None,
            properties=properties,
        )
        people.fold(event, (0, at))
    (one,) = people.profiles.values()
    return one


def test_a_profile_is_said_in_the_words_of_the_crm() -> None:
    one = person(
        ("web", "identify", b'{"first_name":"Ada","tags":["a",1],"owner":"Eve","plan":null}'),
        ("web", "track", b'{"revenue":1200.50}'),
    )

    assert mapping.said(one, CRM, DEFINITIONS) == {
        "firstname": "Ada",
        "tags": '["a",1]',
        "value": "1200.50",
        "big": "true",
        "plan": "",
    }


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1E+99999999999999", "1E+99999999999999"),
        ("-1E-99999999999999", "-1E-99999999999999"),
        ("0E-99999999999999", "0"),
    ],
)
def test_a_number_whose_digits_no_memory_holds_is_said_as_it_was_sent(number: str, said: str) -> None:
    one = person(("web", "identify", b'{"first_name":%b}' % number.encode()))

    assert mapping.said(one, CRM, DEFINITIONS)["firstname"] == said


def test_only_what_is_new_is_written() -> None:
    known = {"firstname": "Ada", "value": "10"}

    assert mapping.news({"firstname": "Ada", "value": "12", "plan": ""}, known) == {"value": "12"}
    assert mapping.news({"firstname": "", "value": "10"}, known) == {"firstname": ""}


def test_what_the_crm_told_itself_is_known_to_be_there() -> None:
    one = person(
        ("web", "identify", b'{"first_name":"Ada","tags":"x","plan":"pro"}'),
        ("crm", "identify", b'{"first_name":"Augusta","plan":"free"}'),
    )

    assert {name: state.value for name, state in mapping.told_by(one, CRM, None).items()} == {"firstname": "Augusta"}


def test_mail_goes_to_the_address_told_last() -> None:
    told = [b'{"email":"Ada@Example.com"}', b'{"email":"countess@example.com"}']

    assert mapping.address(person(*(("web", "identify", one) for one in told))) == "countess@example.com"
    assert mapping.address(person(("web", "track", b'{"email":"ada@example.com"}'))) == "ada@example.com"
    assert mapping.address(person(("web", "identify", told[0]), ("web", "identify", b'{"email":"null"}'))) == (
        "ada@example.com"
    )
    assert mapping.address(person(("web", "identify", b'{"email":7}'))) is None


def test_an_edit_changes_the_attribute_that_its_field_holds() -> None:
    def edit(field: str) -> Edit:
        return Edit(id="1", record_id="7", field=field, value="x", at=1)

    assert mapping.attribute_of(edit("firstname"), CRM) == "first_name"
    assert mapping.attribute_of(edit("owner"), CRM) == "owner"
    assert [mapping.attribute_of(edit(field), CRM) for field in ("plan", "value", "big", "nope")] == [None] * 4


@pytest.mark.parametrize(
    ("sent", "text"),
    [(b"1e3000000", "1E+3000000"), (b"-1e-99999999999", "-1E-99999999999"), (b"1.5e3", "1500"), (b"1e-7", "0.0000001")],
)
def test_a_number_beyond_reach_is_written_as_it_was_sent(sent: bytes, text: str) -> None:
    assert mapping.as_text(json_values.decode(sent)) == text

"""What people are compared by, when a pair is beyond doubt, why it is proposed, and what a decision remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from obverse.core.definitions import BadDefinition
from obverse.core.documents import read
from obverse.core.matching import (
    Agreement,
    Field,
    Kind,
    MatchingRules,
    State,
    Tier,
    Tiers,
    basis,
    beyond_doubt,
    normal,
    reasons,
    record_of,
    reopens,
    tier_of,
)

FIELDS = MatchingRules().fields
PLACES = {one.name: place for place, one in enumerate(FIELDS)}


@dataclass
class Person:
    """Somebody of whom systems told this."""

    attributes: Mapping[str, Any]
    identifiers: tuple[str, ...] = ()
    id: bytes = field(default=bytes(16))

    def told(self, attribute: str) -> bytes | None:
        value = self.attributes.get(attribute)
        return None if value is None else msgspec.json.encode(value)


def record(*identifiers: str, **attributes: Any) -> dict[str, str]:
    """What is known of somebody, by field."""
    values = record_of(Person(attributes, identifiers), FIELDS).values
    return {one.name: value for one, value in zip(FIELDS, values, strict=True) if value is not None}


# What is compared.


def test_attributes_are_found_by_the_names_that_systems_use() -> None:
    assert record(
        firstName="Ada",
        last_name="O'Lovelace",
        birthday="1815-12-10",
        email="Ada@Example.com",
        mobilephone="+44 (0)20 7000 0001",
        address={"street": "12 Saint James's Square", "postalCode": "SW1Y 4JH", "city": "London"},
    ) == {
        "given_name": "ada",
        "family_name": "o lovelace",
        "birth_date": "18151210",
        "email": "ada@example.com",
        "phone": "442070000001",
        "street": "12 saint james s sq",
        "postcode": "sw1y4jh",
        "city": "london",
    }


def test_an_identifier_stands_for_an_attribute_that_is_not_told() -> None:
    assert record("user_id:1", "email:b@x.org", "email:a@x.org") == {"email": "a@x.org"}
    assert record("email:a@x.org", email="c@x.org") == {"email": "c@x.org"}


def test_a_full_name_is_taken_apart_while_no_part_is_told() -> None:
    assert record(name="Ada King Lovelace") == {"given_name": "ada", "family_name": "lovelace"}
    assert record(name="Ada King", first_name="Eda") == {"given_name": "eda"}
    assert record(name="Ada") == {}


@pytest.mark.parametrize(
    "attributes",
    [
        {"first_name": None},
        {"first_name": "  "},
        {"first_name": "N/A"},
        {"first_name": ["ada"]},
        {"first_name": True},
        {"birthday": "03/04/1980"},
        {"birthday": "soon"},
        {"phone": "12"},
        {"email": "ada"},
        {"address": "12 High Street"},
        {"address": {"city": {"name": "London"}}},
        {"postcode": "null"},
    ],
)
def test_what_says_nothing_is_unknown(attributes: dict[str, Any]) -> None:
    assert record(**attributes) == {}


@given(kind=st.sampled_from(list(Kind)), value=st.text())
def test_normalising_twice_is_normalising_once(kind: Kind, value: str) -> None:
    once = normal(kind, value)
    if once is not None:
        assert once
        assert normal(kind, once) == once


VALUES = st.tuples(*(st.none() | st.text(alphabet="ab", max_size=3) for _ in range(3)))


@given(one=VALUES, other=VALUES, third=VALUES)
def test_a_basis_is_of_both_and_of_nothing_else(
    one: tuple[str | None, ...], other: tuple[str | None, ...], third: tuple[str | None, ...]
) -> None:
    assert basis(one, other) == basis(other, one)
    assert (basis(one, other) == basis(one, third)) == (other == third)


# How sure it is.


def agreeing(**told: Agreement) -> tuple[Agreement, ...]:
    """As told; what is not told is unknown."""
    return tuple(told.get(one.name, Agreement.UNKNOWN) for one in FIELDS)


SURE = {"given_name": Agreement.SAME, "family_name": Agreement.SAME, "email": Agreement.SAME}


def test_tiers_go_by_probability() -> None:
    told = agreeing(**SURE)
    expected = {0.9995: Tier.EXACT, 0.9: Tier.STRICT, 0.75: Tier.STRICT, 0.5: Tier.LOOSE, 0.3: Tier.LOOSE, 0.29: None}
    assert {one: tier_of(one, FIELDS, told, Tiers()) for one in expected} == expected


@pytest.mark.parametrize(
    "against",
    [
        {"given_name": Agreement.ONE_LETTER},  # twins: Jan and Jana
        {"given_name": Agreement.UNKNOWN},
        {"family_name": Agreement.DIFFERENT},
        {"birth_date": Agreement.DIFFERENT},
        {"birth_date": Agreement.ONE_LETTER},
        {"birth_date": Agreement.SWAPPED},
        {"email": Agreement.DIFFERENT},  # all that is left are names
    ],
)
def test_what_speaks_against_a_pair_keeps_it_from_being_exact(against: dict[str, Agreement]) -> None:
    assert beyond_doubt(FIELDS, agreeing(**SURE))
    assert not beyond_doubt(FIELDS, agreeing(**SURE | against))
    assert tier_of(0.999999, FIELDS, agreeing(**SURE | against), Tiers()) is Tier.STRICT


def test_swapped_names_and_another_house_are_no_doubt() -> None:
    swapped = {"given_name": Agreement.SWAPPED, "family_name": Agreement.SWAPPED}
    assert beyond_doubt(FIELDS, agreeing(**SURE | swapped, birth_date=Agreement.SAME, street=Agreement.DIFFERENT))


def test_a_code_is_for_life() -> None:
    fields = (*FIELDS, Field("card", Kind.CODE, ("card",)))
    told = (*agreeing(given_name=Agreement.SAME, family_name=Agreement.SAME), Agreement.SAME)
    assert beyond_doubt(fields, told)
    assert not beyond_doubt(fields, (*agreeing(**SURE), Agreement.DIFFERENT))


def test_an_organisation_has_a_street() -> None:
    fields = tuple(Field(kind.value, kind) for kind in (Kind.ORGANISATION, Kind.STREET, Kind.PHONE))
    same = Agreement.SAME
    assert beyond_doubt(fields, (same, same, same))
    assert not beyond_doubt(fields, (same, Agreement.DIFFERENT, same))
    assert not beyond_doubt(fields, (same, same, Agreement.UNKNOWN))


# Why.


def test_reasons_are_read_by_people() -> None:
    told = agreeing(
        given_name=Agreement.SHORTER,
        family_name=Agreement.ONE_LETTER,
        birth_date=Agreement.DIFFERENT,
        email=Agreement.SAME,
        street=Agreement.PART,
    )
    one = ("rob", "allen", "19710624", "r@x.org", None, "12 high st", None, "leeds")
    other = ("robert", "allan", "19710524", "r@x.org", "4420", "14 high st", None, None)

    assert reasons(FIELDS, told, one, other) == (
        "same e-mail",
        "surname differs by one letter (allen, allan)",
        "first name is short for the other (rob, robert)",
        "street is the same but for the number (12 high st, 14 high st)",
        "birth date is different (1971-06-24, 1971-05-24)",
    )


def test_swapped_names_are_said_once() -> None:
    told = agreeing(given_name=Agreement.SWAPPED, family_name=Agreement.SWAPPED, birth_date=Agreement.SWAPPED)
    values = ("a", "b", "19710506", *[None] * 5)
    assert reasons(FIELDS, told, values, values) == (
        "first name and surname swapped",
        "birth date with day and month swapped",
    )


@given(told=st.tuples(*(st.sampled_from(list(Agreement)) for _ in FIELDS)))
def test_every_agreement_has_words(told: tuple[Agreement, ...]) -> None:
    values = ("x",) * len(FIELDS)
    found = reasons(FIELDS, told, values, values)
    assert bool(found) == any(one is not Agreement.UNKNOWN for one in told)
    assert all(found)


# What is remembered.


@pytest.mark.parametrize(
    ("state", "same", "changed"),
    [
        (State.OPEN, True, True),
        (State.CLOSED, True, True),
        (State.REJECTED, False, True),
        (State.ACCEPTED, False, False),
        (State.MERGED, False, False),
    ],
)
def test_what_was_decided_stays_until_its_basis_is_another(state: State, *, same: bool, changed: bool) -> None:
    assert (reopens(state, b"a", b"a"), reopens(state, b"a", b"b")) == (same, changed)


# Rules of one's own.


def rules(**spec: Any) -> MatchingRules:
    return read([("rules.yml", document(spec))], {}).matching


def document(spec: dict[str, Any], name: str = "shop") -> dict[str, Any]:
    return {"version": "obverse/v1", "kind": "matching", "metadata": {"name": name}, "spec": spec}


def test_without_a_definition_nothing_is_merged_by_itself() -> None:
    assert read([], {}).matching == MatchingRules()
    assert not MatchingRules().merge_exact


def test_a_definition_changes_what_it_names() -> None:
    found = rules(
        merge_exact=True,
        tiers={"strict": 0.9},
        fields={
            "card": {"kind": "code", "attributes": ["card"]},
            "city": "none",
            "email": {"kind": "email", "attributes": ["mail"]},
        },
    )

    assert found.merge_exact
    assert found.tiers == Tiers(strict=0.9)
    assert [one.name for one in found.fields] == [*(one.name for one in FIELDS if one.name != "city"), "card"]
    assert found.fields[PLACES["email"]] == Field("email", Kind.EMAIL, ("mail",), "email")


def test_several_definitions_add_up() -> None:
    found = read(
        [
            ("a.yml", document({"merge_exact": True}, "a")),
            ("b.yml", document({"tiers": {"loose": 0.5}}, "b")),
        ],
        {},
    ).matching
    assert (found.merge_exact, found.tiers.loose) == (True, 0.5)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"merge": True}, "unknown field `merge`"),
        ({"tiers": {"exact": 1.0}}, "spec.tiers.exact"),
        ({"tiers": {"strict": 0.2}}, "loose is 0.3, strict 0.2"),
        ({"fields": {"card": {"kind": "card", "attributes": ["card"]}}}, "Invalid enum value 'card'"),
        ({"fields": {"card": {"kind": "code", "attributes": []}}}, "spec.fields[...].attributes"),
        ({"fields": {"card": {"kind": "code"}}}, "attributes"),
        ({"fields": {one.name: "none" for one in FIELDS}}, "none is left"),
        ({"fields": {"surname": {"kind": "family_name", "attributes": ["s"]}}}, "family_name and surname are both"),
    ],
)
def test_a_definition_that_cannot_be_used_is_told(spec: dict[str, Any], told: str) -> None:
    with pytest.raises(BadDefinition) as refused:
        rules(**spec)
    assert str(refused.value).startswith("rules.yml: ")
    assert told in str(refused.value)


def test_the_rules_that_the_page_shows_are_rules() -> None:
    page = (Path(__file__).parents[2] / "docs/matching.md").read_text(encoding="utf-8")
    shown = page.partition("```yaml\n")[2].partition("```")[0]

    found = read([("page.yml", yaml.safe_load(shown))], {}).matching

    assert found.merge_exact
    assert found.tiers.loose == 0.5
    assert [one.name for one in found.fields][-2:] == ["postcode", "loyalty_card"]

"""Connections, templates and campaigns as they are written, and what is told of mistakes in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from obverse.adapters.definition_files import read_folder
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents import read
from obverse.core.outgoing import MappedField
from obverse.wiring import trait_kinds

TRAIT = ("t.yml", {"aggregate": "count", "event": "Order Completed"})
AUDIENCE = {"where": {"op": "gte", "trait": "orders", "value": 1}}
WELCOME = {"subject": "Welcome", "from": "The Shop <shop@example.com>", "text": "Hello"}


def document(kind: str, name: str, spec: Any) -> tuple[str, Any]:
    return f"{name}.yml", {"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def defined(*documents: tuple[str, Any]) -> Definitions:
    shop = (document("trait", "orders", TRAIT[1]), document("audience", "buyers", AUDIENCE))
    return read([*shop, document("template", "welcome", WELCOME), *documents], trait_kinds())


def told(*documents: tuple[str, Any]) -> str:
    with pytest.raises(BadDefinition) as caught:
        defined(*documents)
    return str(caught.value)


def test_a_connection_says_what_each_field_holds_and_which_way_it_goes() -> None:
    (one,) = defined(
        document(
            "connection",
            "crm",
            {
                "crm": "hubspot",
                "settings": {"token": "${env:TOKEN}"},
                "fields": {
                    "firstname": "attribute.first_name",
                    "city": {"from": "attribute.address.city", "direction": "in"},
                    "orders": "trait.orders",
                    "buyer": "audience.buyers",
                },
            },
        )
    ).connections

    assert (one.name, one.crm, one.settings) == ("crm", "hubspot", {"token": "${env:TOKEN}"})
    assert one.fields == (
        MappedField(field="firstname", subject="attribute", name="first_name", direction="both"),
        MappedField(field="city", subject="attribute", name="address.city", direction="in"),
        MappedField(field="orders", subject="trait", name="orders", direction="out"),
        MappedField(field="buyer", subject="audience", name="buyers", direction="out"),
    )
    assert "TOKEN" not in repr(one)


@pytest.mark.parametrize(
    ("fields", "place", "advice"),
    [
        ({"x": "trait.nope"}, "spec.fields.x: trait 'nope' is not defined", "(defined: orders)"),
        ({"x": "audience.nope"}, "spec.fields.x: audience 'nope' is not defined", "(defined: buyers)"),
        ({"x": "first_name"}, "spec.fields.x: 'first_name' is nothing of a profile", "attribute.NAME"),
        ({"x": "nope.a"}, "spec.fields.x: 'nope.a' is nothing of a profile", "trait.NAME"),
        ({"x": "attribute."}, "spec.fields.x: 'attribute.' is nothing", "attribute.NAME"),
        ({"x": 7}, "spec.fields.x: Expected `object`, got `int`", "`from` and `direction`"),
        ({"x": {"from": "trait.orders", "direction": "both"}}, "spec.fields.x: traits are computed", "direction: out"),
        ({"x": {"from": "attribute.a", "direction": "up"}}, "spec.fields.x: Invalid enum value 'up'", "`direction`"),
        ({"x": {"from": "attribute.a", "rule": 1}}, "spec.fields.x: Object contains unknown field `rule`", "`from`"),
        ({"email": "attribute.email"}, "spec.fields.email: a contact's address is always written", "leave it out"),
        ({"x": "attribute.a", "y": "attribute.a"}, "spec.fields: attribute 'a' is mapped to x and y", "direction: out"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_its_place(fields: Any, place: str, advice: str) -> None:
    message = told(document("connection", "crm", {"crm": "hubspot", "fields": fields}))

    assert message.startswith("crm.yml: ")
    assert place in message
    assert advice in message


@pytest.mark.parametrize(
    ("kind", "spec", "place"),
    [
        ("connection", {"fields": {}}, "spec: Object missing required field `crm`"),
        ("template", WELCOME | {"subject": "Hello\nBcc: everybody@example.com"}, "spec.subject: a header has no line"),
        ("template", WELCOME | {"from": "a@example.com\r\nX: y"}, "spec.from: a header has no line break"),
        ("template", WELCOME | {"from": "nobody"}, "spec.from: 'nobody' is no address"),
        ("template", WELCOME | {"subject": " "}, "spec.subject: it is empty"),
        ("template", {"subject": "a", "from": "a@b.c"}, "spec: there is nothing to read"),
        ("template", WELCOME | {"html": "x"}, "spec: Object contains unknown field `html`"),
        ("campaign", {"trigger": "left buyers", "template": "welcome"}, "spec.trigger: 'left buyers' is no trigger"),
        ("campaign", {"trigger": "entered", "template": "welcome"}, "spec.trigger: 'entered' is no trigger"),
        ("campaign", {"trigger": "entered nope", "template": "welcome"}, "spec.trigger: audience 'nope' is not"),
        ("campaign", {"trigger": "entered buyers", "template": "nope"}, "spec.template: template 'nope' is not"),
    ],
)
def test_what_goes_out_and_cannot_be_is_refused_with_its_place(kind: str, spec: Any, place: str) -> None:
    message = told(document(kind, "bad", spec))

    assert message.startswith("bad.yml: ")
    assert place in message


def test_a_template_has_a_sender_with_or_without_a_name() -> None:
    definitions = defined(document("template", "bare", WELCOME | {"from": "shop@example.com"}))

    assert [(one.sender_name, one.sender) for one in definitions.templates] == [
        ("The Shop", "shop@example.com"),
        ("", "shop@example.com"),
    ]


TEMPLATE = "{version: obverse/v1, kind: template, metadata: {name: w}, spec: {subject: S, from: a@b.c, mjml_file: %s}}"
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section></mj-body></mjml>"


def test_mjml_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "emails").mkdir()
    (tmp_path / "emails" / "w.yml").write_text(TEMPLATE % "w.mjml")
    (tmp_path / "emails" / "w.mjml").write_text(MJML % "é", encoding="utf-8")

    assert read_folder(tmp_path, {}).templates[0].mjml == MJML % "é"


@pytest.mark.parametrize(
    ("name", "told"), [("nope.mjml", "cannot be read"), ("../out.mjml", "beneath"), ("/etc/passwd", "beneath")]
)
def test_mjml_elsewhere_or_nowhere_is_refused(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.mjml").write_text("<mjml/>")
    (tmp_path / "in" / "w.yml").write_text(TEMPLATE % name)

    with pytest.raises(BadDefinition, match=rf"w\.yml:1:103: OB031 spec\.mjml_file: .*{told}"):
        read_folder(tmp_path / "in", {})

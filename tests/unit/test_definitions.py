"""Definitions are read from YAML; a mistake is told with its file, its place and what to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from definition_steps import BUYERS, SPENT
from obverse.adapters.definition_files import read_folder
from obverse.core.definitions import NOTHING, BadDefinition, Definitions, Trait, define
from obverse.core.documents import read
from obverse.core.events import Event
from obverse.core.identity import LIMITS, PRESETS, IdentityRules, Kind, Limit
from obverse.core.traits.collections import MostFrequent
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.moments import First
from obverse.core.traits.numbers import Count, Sum

KINDS: Mapping[str, TraitKind] = {"count": Count(), "sum": Sum(), "first": First(), "most_frequent": MostFrequent()}
KEY = "0123456789abcdef" * 4

ORDERS = """\
version: obverse/v1
kind: trait
metadata: {name: orders, description: Completed orders.}
spec: {aggregate: count, event: Order Completed}
"""
WEB = f"""\
version: obverse/v1
kind: source
metadata: {{name: web, labels: {{team: shop}}}}
spec: {{enabled: true, write_key_hashes: [{KEY}]}}
"""
BLOCKED = """\
version: obverse/v1
kind: identity
metadata: {name: rules}
spec: {blocked: [test-user]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (
        ("traits/orders.yml", ORDERS),
        ("audiences/all.yaml", BUYERS),
        ("sources/web.yml", WEB),
        ("identity.yml", BLOCKED),
        ("notes.txt", "no definition"),
    ):
        write(tmp_path, name, text)
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def told(folder: Path) -> str:
    """Return what is said of a folder that cannot be used."""
    with pytest.raises(BadDefinition) as caught:
        read_folder(folder, KINDS)
    return str(caught.value)


def event(name: str | None, type_: str = "track") -> Event:
    return Event(type=type_, message_id="m", source="web", received_at=1, timestamp=1, name=name)


# What is read.


def test_a_folder_of_files_is_read_whole(folder: Path) -> None:
    definitions = read_folder(folder, KINDS)
    (trait,) = definitions.traits
    assert (trait.name, trait.kind, trait.event, trait.description) == (
        "orders",
        KINDS["count"],
        "Order Completed",
        "Completed orders.",
    )
    assert [audience.name for audience in definitions.audiences] == ["buyers"]
    assert definitions.source_of_key[KEY].name == "web"
    assert definitions.identity.blocked == {"test-user"}
    assert definitions.watchers["trait", "orders"] == definitions.audiences


def test_a_file_may_hold_several_documents(tmp_path: Path) -> None:
    write(tmp_path, "all.yml", f"---\n{ORDERS}---\n{SPENT}---\n# nothing but a remark\n---\n{BUYERS}")
    definitions = read_folder(tmp_path, KINDS)
    assert [trait.name for trait in definitions.traits] == ["orders", "spent"]
    assert len(definitions.audiences) == 1


def test_a_folder_that_does_not_exist_defines_nothing(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "none", KINDS) == Definitions()


def test_identity_rules_add_up(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", BLOCKED)
    write(tmp_path, "b.yml", BLOCKED.replace("rules", "more").replace("test-user", "demo"))
    assert read_folder(tmp_path, KINDS).identity.blocked == {"test-user", "demo"}


def test_what_one_profile_may_have_is_said_by_kind(tmp_path: Path) -> None:
    assert read_folder(tmp_path, KINDS).identity == IdentityRules()
    limits = "{email: {values: 2, within_days: 30}, anonymous_id: none}"
    write(tmp_path, "a.yml", BLOCKED.replace("blocked: [test-user]", f"limits: {limits}, merges: 20, identifiers: 200"))
    rules = read_folder(tmp_path, KINDS).identity
    assert rules.limits == {
        kind: Limit(2, 30 * 24 * 3600) if kind == "email" else limit
        for kind, limit in LIMITS.items()
        if kind != "anonymous_id"
    }
    assert (rules.merges, rules.identifiers, rules.blocked) == (20, 200, frozenset())


def test_the_rules_that_the_page_shows_are_rules(tmp_path: Path) -> None:
    page = Path("docs/identity.md").read_text(encoding="utf-8")
    write(tmp_path, "a.yml", page.partition("```yaml\n")[2].partition("```")[0])
    rules = read_folder(tmp_path, KINDS).identity
    assert rules.merges == 20
    assert {"phone", "loyalty_card"} <= set(rules.kinds)
    assert rules.apart == {("email:office@example.com", "user_id:42")}


def test_a_preset_is_taken_and_changed_in_part(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", BLOCKED.replace("blocked: [test-user]", "preset: unique_user_id, kinds: {card: {}}"))
    rules = read_folder(tmp_path, KINDS).identity
    assert (sorted(rules.unique), dict(rules.limits), rules.isolated) == (["user_id"], {}, False)
    more = "unique: [card], limits: {email: {values: 3}}, shared: none, merges: 0"
    write(tmp_path, "b.yml", BLOCKED.replace("rules", "more").replace("blocked: [test-user]", more))
    rules = read_folder(tmp_path, KINDS).identity
    assert (sorted(rules.unique), dict(rules.limits), rules.merges) == (["card", "user_id"], {"email": Limit(3)}, 0)
    assert (rules.shared, rules.added) == (None, (Kind("card"),))
    for name, rules in PRESETS.items():
        write(tmp_path / name, "a.yml", BLOCKED.replace("blocked: [test-user]", f"preset: {name}"))
        assert read_folder(tmp_path / name, KINDS).identity == rules


def test_a_changed_trait_has_a_state_of_its_own(tmp_path: Path) -> None:
    keys = set()
    for text in (SPENT, SPENT.replace("revenue", "total"), SPENT.replace("event: Order Completed, ", "")):
        write(tmp_path, "spent.yml", text)
        keys.add(read_folder(tmp_path, KINDS).traits[0].key)
    assert len(keys) == 3
    for text in (SPENT.replace("name: spent", "name: spent, description: New words"), SPENT + "  \n"):
        write(tmp_path, "spent.yml", text)
        assert read_folder(tmp_path, KINDS).traits[0].key in keys
    write(tmp_path, "spent.yml", SPENT.replace("aggregate: sum", "aggregate: sum, type: track"))
    assert read_folder(tmp_path, KINDS).traits[0].key in keys  # it says what was so before


def test_an_events_plan_holds_the_traits_that_it_moves(tmp_path: Path) -> None:
    for name, text in (
        ("orders", ORDERS),
        ("spent", SPENT),
        ("tracks", ORDERS.replace("orders", "tracks").replace(", event: Order Completed", "")),
        ("pages", ORDERS.replace("orders", "pages").replace("event: Order Completed", "type: page")),
    ):
        write(tmp_path, f"{name}.yml", text)
    definitions = read_folder(tmp_path, KINDS)

    def moved(one: Event) -> set[str]:
        return {name for name, *_ in definitions.plan(one).moves if name is not None}

    assert moved(event("Order Completed")) == {"orders", "spent", "tracks"}
    assert moved(event("Other")) == {"tracks"}
    assert moved(event("Order Completed", "page")) == {"pages"}
    assert moved(event(None, "identify")) == set()
    plan = definitions.plan(event("Order Completed"))
    for properties, revenue in (
        (b'{"revenue":12.50,"x":[1]}', Decimal("12.50")),
        (b"{}", None),
        (b'{"revenue":1e99999999999999999999}', None),
    ):
        values = plan.values(replace(event("Order Completed"), properties=properties))
        assert {name: values[place] for name, _, place, *_ in plan.moves}["spent"] == revenue
        assert values[NOTHING] is None


def test_a_property_that_cannot_be_computed_with_takes_no_other_with_it(tmp_path: Path) -> None:
    for name, text in (("spent", SPENT), ("paid", SPENT.replace("spent", "paid").replace("revenue", "price"))):
        write(tmp_path, f"{name}.yml", text)
    plan = read_folder(tmp_path, KINDS).plan(event("Order Completed"))
    told = b'{"price": 1e99999999999999999999, "revenue": 2.50}'

    values = plan.values(replace(event("Order Completed"), properties=told))

    assert {name: values[place] for name, _, place, *_ in plan.moves} == {"paid": None, "spent": Decimal("2.50")}


# Mistakes.


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        (ORDERS.replace("event:", "evnt:"), "spec", "`evnt`; did you mean `event`?; a trait has `aggregate`"),
        (ORDERS.replace("description:", "descr:"), "metadata", "unknown field `descr`"),
        (ORDERS + "extra: 1\n", "the document", "unknown field `extra`; a document has `version: obverse/v1`"),
        (ORDERS.replace("obverse/v1", "obverse/v2"), "version", "'obverse/v2'; did you mean `obverse/v1`?"),
        (ORDERS.replace("version: obverse/v1\n", ""), "the document", "missing required field `version`"),
        (
            ORDERS.replace("kind: trait", "kind: trate"),
            "kind",
            "(trait, audience, source, identity, connection",
        ),
        (ORDERS.replace("name: orders, ", ""), "metadata", "missing required field `name`"),
        (ORDERS.replace("name: orders", "name: yes"), "metadata.name", "Expected `str`, got `bool`"),
        ("- a list\n", "the document", "Expected `object`, got `array`"),
        ("just text\n", "the document", "Expected `object`, got `str`"),
        ("a: 6\n", "the document", "a document has"),
        (ORDERS.replace("count", "cuont"), "spec.aggregate", "use one of count, first, most_frequent, sum"),
        (ORDERS.replace("aggregate: count, ", ""), "spec", "missing required field `aggregate`"),
        (ORDERS.replace("event:", "type: trak, event:"), "spec.type", "use one of alias, group, identify"),
        (SPENT.replace(", property: revenue", ""), "spec", "`sum` needs a value: give `property: NAME`"),
        (SPENT.replace("property:", "field: timestamp, property:"), "spec", "and not both"),
        (SPENT.replace("property: revenue", "field: arrival"), "spec.field", "`field: timestamp`"),
        (SPENT.replace("revenue", "5"), "spec.property", "got `int`"),
        (SPENT.replace("revenue", "'the \"price\"'"), "spec.property", "has a quote"),
        (ORDERS.replace("event:", "property: x, event:"), "spec", "`count` takes no value"),
        (WEB.replace(KEY, "wk_the_key_itself"), "spec.write_key_hashes[0]", "`obverse source add NAME` writes it"),
        (WEB.replace("true", "maybe"), "spec.enabled", "a source may have"),
        (BLOCKED.replace("[test-user]", "test-user"), "spec.blocked", "a list of texts"),
        (
            BLOCKED.replace("blocked: [test-user]", "limits: {phone: none}"),
            "spec.limits",
            "'phone' is no kind of identifier; use one of android.id, ",
        ),
        (BLOCKED.replace("blocked: [test-user]", "limits: {email: few}"), "spec.limits.email", "each `none`"),
        (BLOCKED.replace("blocked: [test-user]", "limits: {email: {values: 0}}"), "spec.limits.email.values", ">= 1"),
        (BLOCKED.replace("blocked: [test-user]", "limits: {email: {within_days: 3}}"), "spec.limits.email", "`values`"),
        (BLOCKED.replace("blocked: [test-user]", "merges: -1"), "spec.merges", "how many one profile may have"),
        (BLOCKED.replace("blocked: [test-user]", "shared: 1"), "spec.shared", ">= 2"),
        (BLOCKED.replace("blocked: [test-user]", "preset: strict"), "spec.preset", "profile_conversion"),
        (BLOCKED.replace("blocked: [test-user]", "unique: [card]"), "spec.unique", "name it under `kinds`"),
        (BLOCKED.replace("blocked: [test-user]", "apart: [[user_id:1]]"), "spec.apart[0]", "pairs of identifiers"),
        (BLOCKED.replace("blocked: [test-user]", "apart: [[user_id:1, x]]"), "spec.apart[0]", "'x' is no identifier"),
        (BLOCKED.replace("blocked: [test-user]", "apart: [['a:1', 'user_id:']]"), "spec.apart[0]", "'a:1' is no"),
        (BLOCKED.replace("blocked: [test-user]", "kinds: {Card: {}}"), "spec.kinds", "small letters"),
        (BLOCKED.replace("blocked: [test-user]", "kinds: {email: {}}"), "spec.kinds", "'email' means something"),
        (
            BLOCKED.replace("blocked: [test-user]", "kinds: {card: {spelling: sha}}"),
            "spec.kinds.card.spelling",
            "phone",
        ),
        (BLOCKED.replace("blocked: [test-user]", "kinds: {card: {region: GB}}"), "spec.kinds.card", "`region` is for"),
        (BLOCKED.replace("blocked: [test-user]", "kinds: {phone: {region: XX}}"), "spec.kinds.phone.region", "as GB"),
        (BUYERS.replace("where:", "were:"), "spec", "an audience has `where`"),
        (BUYERS.replace("gte", "=>"), "spec.where.op", "use one of and, or, not"),
    ],
)
def test_a_mistake_is_told_with_its_file_its_place_and_what_to_write(
    tmp_path: Path, text: str, place: str, advice: str
) -> None:
    write(tmp_path, "good.yml", ORDERS.replace("orders", "good"))
    write(tmp_path, "sub/bad.yml", text)
    message = told(tmp_path)
    assert re.match(rf"{re.escape(str(tmp_path / 'sub/bad.yml'))}:\d+:\d+: OB\d{{3}} {re.escape(place)}: ", message)
    assert advice in message


def test_a_key_that_stands_where_its_hash_should_is_not_repeated(tmp_path: Path) -> None:
    write(tmp_path, "web.yml", WEB.replace(KEY, "wk_secret"))
    assert "wk_secret" not in told(tmp_path)


def test_one_document_of_several_is_named(tmp_path: Path) -> None:
    write(tmp_path, "all.yml", f"{ORDERS}---\n{SPENT.replace('sum', 'smu')}")
    assert told(tmp_path).startswith(f"{tmp_path / 'all.yml'}:9:19: OB016 spec.aggregate: 'smu'")


@pytest.mark.parametrize("text", [ORDERS, BUYERS.replace("orders", "spent"), WEB])
def test_one_name_twice_is_told_with_both_places(tmp_path: Path, text: str) -> None:
    write(tmp_path, "spent.yml", SPENT)
    write(tmp_path, "a.yml", text)
    write(tmp_path, "b.yml", text)
    message = told(tmp_path)
    assert message.startswith(f"{tmp_path / 'b.yml'}:3:18: OB020 ")
    assert f"is defined in {tmp_path / 'a.yml'}:3 too; rename or remove one" in message


def test_an_audience_over_an_unknown_trait_is_told(tmp_path: Path) -> None:
    write(tmp_path, "spent.yml", SPENT)
    write(tmp_path, "buyers.yml", BUYERS)
    assert told(tmp_path) == (
        f"{tmp_path / 'buyers.yml'}:5:27: OB021 "
        "audience 'buyers' looks at trait 'orders', which is not defined (defined: spent)"
    )


def test_definitions_made_in_code_are_checked_too() -> None:
    trait = Trait("orders", Count(), "count:orders:1", "track", None, None, None)
    with pytest.raises(BadDefinition, match="two definitions of trait 'orders'"):
        define(traits=[trait, trait])
    with pytest.raises(BadDefinition, match="'orders', which is not defined"):
        define(audiences=read([("x", _tree(ORDERS)), ("y", _tree(BUYERS))], KINDS).audiences)


def _tree(text: str) -> Any:
    import yaml  # noqa: PLC0415 - for this one place

    return yaml.safe_load(text)

"""Every mistake that a person can write is told with its file, its line, its column, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from definition_steps import BUYERS, ORDERS, PLAN, SPENT, flaws_of, put
from obverse.adapters.definition_files.yaml_documents import read_documents
from obverse.core.flaws import RULES

CONNECTION = """\
version: obverse/v1
kind: connection
metadata: {name: hub}
spec:
  crm: hubspot
  settings:
    token: ${env:TOKEN}
    client_secret: ${file:secrets/hubspot}
  fields: {orders: trait.orders}
"""
PAID = SPENT.replace("spent", "paid")
CAMPAIGN = """\
version: obverse/v1
kind: campaign
metadata: {name: welcome}
spec:
  trigger: entered buyers
  template: hello
"""
TEMPLATE = """\
version: obverse/v1
kind: template
metadata: {name: hello}
spec: {subject: Hi, from: shop@example.com, text: Hello}
"""
SOURCE = """\
version: obverse/v1
kind: source
metadata: {name: web}
spec:
  tracking_plan: {name: shop}
"""


@pytest.mark.parametrize(
    ("text", "line", "column", "rule", "advice"),
    [
        # The file.
        (ORDERS.replace("\n", "\n\t", 1), 2, 1, "OB003", "a tab indents this line; use spaces"),
        (ORDERS.replace("{name: orders}", "{name: orders"), 4, 5, "OB002", "look at this line and the one before it"),
        (ORDERS.replace("orders", "&a [*a]"), 3, 22, "OB005", "`*a` stands in what it names; write it out"),
        (ORDERS.replace("orders", "*a"), 3, 18, "OB002", "`*a` names nothing; write `&a` before it"),
        (ORDERS + "kind: audience\n", 5, 1, "OB004", "`kind` stands here twice, first in line 2; remove one"),
        (ORDERS.replace("count,", "count, aggregate: sum,"), 4, 26, "OB004", "first in line 4; remove one"),
        (ORDERS.replace("event:", "on:"), 4, 26, "OB006", "takes this for true or false; put it in quotes"),
        (BUYERS.replace("1}", "2024-01-01}"), 5, 42, "OB006", "is a date to YAML; put it in quotes"),
        (BUYERS.replace("1}", ".inf}"), 5, 42, "OB006", "'.inf' is no number of JSON; put it in quotes"),
        (BUYERS.replace("1}", f"{10**60}}}"), 5, 42, "OB006", "60 digits at most; put a longer one in quotes"),
        (BUYERS.replace("1}", "!secret x}"), 5, 42, "OB006", "the tag '!secret' means nothing here; remove it"),
        ("# nothing yet\n", 1, 1, "OB007", "there is no document in this file; write one, or remove the file"),
        ("", 1, 1, "OB007", "write one, or remove the file"),
        ("---\n---\n", 1, 1, "OB007", "write one, or remove the file"),
        # The document.
        ("- a list\n", 1, 1, "OB014", "Expected `object`, got `array`; a document has `version: obverse/v1`"),
        (ORDERS.replace("v1", "v2"), 1, 10, "OB010", "Invalid enum value 'obverse/v2'; did you mean `obverse/v1`?"),
        (ORDERS.replace("trait", "trate"), 2, 7, "OB011", "Invalid enum value 'trate'; did you mean `trait`?"),
        (ORDERS.replace("kind: trait\n", ""), 1, 1, "OB013", "missing required field `kind`"),
        (ORDERS.replace("}\nspec", ", lables: {}}\nspec"), 3, 26, "OB012", "`lables`; did you mean `labels`?"),
        (ORDERS.replace("orders", "'my orders'"), 3, 18, "OB015", "use letters (a-z), digits"),
        (ORDERS.replace("orders", "5"), 3, 18, "OB014", "metadata.name: Expected `str`, got `int`"),
        # The spec.
        (ORDERS.replace("event:", "evnt:"), 4, 26, "OB012", "unknown field `evnt`; did you mean `event`?"),
        (ORDERS.replace("aggregate: count, ", ""), 4, 7, "OB013", "missing required field `aggregate`"),
        (ORDERS.replace("Order Completed", "[a]"), 4, 33, "OB014", "spec.event: Expected `str | null`, got `array`"),
        (ORDERS.replace("count", "cuont"), 4, 19, "OB016", "use one of average, count, "),
        (ORDERS.replace("count", "cuont"), 4, 19, "OB016", "did you mean `count`?"),
        (SPENT.replace("sum,", "percentile, percentle: 95,"), 4, 31, "OB012", "did you mean `percentile`?"),
        (PAID.replace("sum,", "percentile, percentile: 195,"), 4, 43, "OB016", "195 is no number from"),
        (SPENT.replace("revenue", "revenue, window: {lst: 7 days}"), 4, 76, "OB012", "did you mean `last`?"),
        (BUYERS.replace("gte", "gtee"), 5, 15, "OB016", "(did you mean gte?); use one of"),
        (SOURCE.replace("shop", "shop, mode: blok"), 5, 37, "OB014", "did you mean `block`?"),
        (
            PLAN.replace('"1.0"', "1.0"),
            5,
            12,
            "OB014",
            "spec.version: Expected `str`, got `float`; a tracking plan has",
        ),
        (
            TEMPLATE.replace("Hello", "'{{ customer.'"),
            4,
            7,
            "OB016",
            "close it: write }} where it ends, as in {{",
        ),
        (TEMPLATE.replace("Hello", "'{% for a in trigger.b %}'"), 4, 7, "OB016", "write {% endfor %} where it ends"),
        (TEMPLATE.replace("Hello", "'{% if %}x{% endif %}'"), 4, 7, "OB016", "as in {% if customer.orders > 1 %}"),
        (TEMPLATE.replace("Hello", "'{% iff customer.orders %}'"), 4, 51, "OB016", "correct its name, or take it out"),
        (TEMPLATE.replace("Hello", "'{{ customer.a b }}'"), 4, 7, "OB016", "write {{ name }}, or {{ name | filter"),
        (TEMPLATE.replace("text: Hello", "mjml_file: no.mjml"), 4, 56, "OB031", "write it beside"),
        # Secrets.
        (CONNECTION.replace("${env:TOKEN}", "pat-1"), 7, 12, "OB030", "spec.settings.token: a secret is not written"),
        (CONNECTION.replace("${env:TOKEN}", "12345"), 7, 12, "OB030", "write `${env:NAME}` for a variable"),
        (CONNECTION.replace("${env:TOKEN}", "Bearer ${env:T}"), 7, 12, "OB030", "a secret is not written down"),
        (CONNECTION.replace("env:TOKEN", "ENV:TOKEN"), 7, 12, "OB030", "what stands in `${…}` names no secret"),
        (CONNECTION.replace("token: ${env", "base_url: 'https://u:p@x'\n    b: ${env"), 7, 15, "OB030", "password"),
        (CONNECTION.replace("token: ", "pin: x\n    b: "), 7, 10, "OB030", "spec.settings.pin: a secret is not"),
        (CONNECTION.replace("token: ${env:TOKEN}", "more: {tokens: [abc]}"), 7, 21, "OB030", "`${file:PATH}`"),
        (
            CONNECTION.replace("crm: hubspot", "crm: hubspt").replace(".orders", ".spent"),
            5,
            8,
            "OB021",
            "did you mean `hubspot`?",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(  # noqa: PLR0917 - a case's parts
    tmp_path: Path, text: str, line: int, column: int, rule: str, advice: str
) -> None:
    put(tmp_path, good=SPENT, sub__bad=text, orders=ORDERS.replace("name: orders", "name: orders_too"))

    found = [one for one in flaws_of(tmp_path) if one.rule != "OB021" or one.rule == rule]

    assert [(one.file, one.line, one.column, one.rule) for one in found] == [("sub/bad.yml", line, column, rule)]
    assert advice in found[0].what
    assert str(found[0]).startswith(f"sub/bad.yml:{line}:{column}: {rule} ")


@pytest.mark.parametrize(
    ("text", "line", "column", "rule", "advice"),
    [
        (BUYERS.replace("orders", "ordrs"), 5, 27, "OB021", "(did you mean orders?) (defined: orders, spent)"),
        (CONNECTION.replace("trait.orders", "trait.order"), 9, 20, "OB021", "did you mean `orders`?"),
        (CONNECTION.replace("trait.orders", "audience.all"), 9, 20, "OB021", "audience 'all' is not defined"),
        (CAMPAIGN.replace("entered buyers", "entered buyrs"), 5, 12, "OB021", "did you mean `buyers`?"),
        (CAMPAIGN.replace("hello", "hullo"), 6, 13, "OB021", "did you mean `hello`?"),
        (SOURCE.replace("shop", "shp"), 5, 25, "OB021", "tracking plan 'shp', which is not defined"),
        (SOURCE.replace("shop", 'shop, version: "3.0"'), 5, 25, "OB021", "(defined: shop 1.0)"),
        (
            PLAN.replace("1.0", "1.1").replace("[order_id]", "[order_id, total]"),
            7,
            5,
            "OB023",
            "asks for 'total', which turns away what version 1.0 accepts; undo it, or make it version 2.0",
        ),
        (ORDERS.replace("count", "sum, property: x"), 3, 18, "OB020", "orders is defined in "),
        (PLAN.replace("1.0", "01.00"), 3, 18, "OB020", "tracking plan shop 1.0 is defined in "),
    ],
)
def test_what_does_not_fit_the_rest_is_told_with_its_place(  # noqa: PLR0917 - a case's parts
    tmp_path: Path, text: str, line: int, column: int, rule: str, advice: str
) -> None:
    put(tmp_path, a=ORDERS, b=SPENT, c=TEMPLATE, d=PLAN)
    if text.partition("metadata")[2].partition("}")[0] != BUYERS.partition("metadata")[2].partition("}")[0]:
        put(tmp_path, e=BUYERS)

    (found,) = flaws_of(put(tmp_path, zz=text))

    assert (found.file, found.line, found.column, found.rule) == ("zz.yml", line, column, rule)
    assert advice in found.what


def test_all_flaws_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    conditions = "{op: or, of: [{op: =>, trait: a, value: 1}, {op: eq, attribute: x, value: 1}, {op: gt, trait: b}]}"
    put(
        tmp_path,
        a=ORDERS.replace("v1", "v2").replace("count, event", "count, evnt").replace("name: orders", "nmae: x"),
        b=BUYERS.replace("{op: gte, trait: orders, value: 1}", conditions),
        c=CAMPAIGN,
        d=f"{SPENT.replace('sum', 'smu')}---\n{CONNECTION.replace('trait.orders', 'nothing')}",
        e="a: [",
    )
    assert [f"{one.file}:{one.line}:{one.column} {one.rule}" for one in flaws_of(tmp_path)] == [
        "a.yml:1:10 OB010",
        "a.yml:3:11 OB013",
        "a.yml:3:12 OB012",
        "a.yml:4:26 OB012",
        "b.yml:5:29 OB016",
        "b.yml:5:88 OB016",
        "c.yml:6:13 OB021",
        "d.yml:4:19 OB016",
        "d.yml:14:20 OB016",
        "e.yml:2:1 OB002",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # The meaning of what is of another shape elsewhere: of conditions, of names, of queries.
        (
            BUYERS.replace("v1", "v2").replace("gte", "gtee").replace("name: buyers", "nmae: buyers"),
            ["1:10 OB010", "3:11 OB013", "3:12 OB012", "5:15 OB016"],
        ),
        (BUYERS.replace("spec:", "spec:\n  note: x").replace("orders", "ordrs"), ["5:3 OB012", "6:27 OB021"]),
        (BUYERS.replace("buyers", "'my buyers'").replace("orders", "ordrs"), ["3:18 OB015", "5:27 OB021"]),
        (BUYERS.replace("buyers}", "buyers, labels: 5}").replace("gte", "gtee"), ["3:34 OB014", "5:15 OB016"]),
        (
            SPENT.replace("event:", "evnt:").replace("revenue", "revenue, where: {op: x}, window: {last: soon}"),
            ["4:24 OB012", "4:78 OB016"],
        ),
        (
            SPENT.replace("aggregate: sum, event: Order Completed, property: revenue", "sql: select 1, evry: 1 hour"),
            ["4:7 OB013", "4:13 OB016", "4:23 OB012"],
        ),
        (CONNECTION.replace("crm: hubspot", "crm: hubspt\n  more: 1"), ["5:8 OB021", "6:3 OB012", "10:20 OB021"]),
        (CONNECTION.replace("${env:TOKEN}", "pat-1"), ["7:12 OB030", "9:20 OB021"]),
        (
            CAMPAIGN.replace("template: hello", "template: hello\n  tirgger: x"),
            ["5:12 OB021", "6:13 OB021", "7:3 OB012"],
        ),
        # What may come of the first flaw is not told beside it.
        (SPENT.replace("property:", "column:"), ["4:48 OB012"]),
        (SPENT.replace("revenue", "[5]"), ["4:58 OB014"]),
        (SPENT.replace("aggregate: sum, ", ""), ["4:7 OB013"]),
        (SPENT.replace("property:", "proprty:"), ["4:48 OB012"]),
        (BUYERS.replace("where:", "were:"), ["5:3 OB012", "5:3 OB013", "5:26 OB021"]),
        (PLAN.replace('version: "1.0"', "version: 1.0"), ["5:12 OB014"]),
        (PLAN.replace("schema:", "shcema:"), ["8:7 OB012"]),
    ],
)
def test_the_meaning_is_looked_at_where_the_shape_is_flawed_too(tmp_path: Path, text: str, told: list[str]) -> None:
    found = flaws_of(put(tmp_path, bad=text))
    assert sorted(f"{one.line}:{one.column} {one.rule}" for one in found) == sorted(told)


def test_a_flawed_document_is_read_beside_others_of_its_name(tmp_path: Path) -> None:
    again = ORDERS.replace("event:", "evnt:")
    found = flaws_of(put(tmp_path, a=ORDERS, b=again, c=again, d=BUYERS))
    assert [f"{one.file} {one.rule}" for one in found] == ["b.yml OB012", "c.yml OB012"]


def test_a_place_in_a_list_is_told_as_it_was_written(tmp_path: Path) -> None:
    tests = "{op: and, of: [{op: x}, {op: exists, trait: orders}, {op: y}, {op: or, of: [{op: z}, {op: a}]}]}"
    put(tmp_path, a=ORDERS, b=BUYERS.replace("{op: gte, trait: orders, value: 1}", tests))
    assert [one.what.partition(":")[0] for one in flaws_of(tmp_path)] == [
        "spec.where.of[0].op",
        "spec.where.of[2].op",
        "spec.where.of[3].of[0].op",
        "spec.where.of[3].of[1].op",
    ]


def test_every_name_that_is_not_defined_is_told(tmp_path: Path) -> None:
    tests = ", ".join(f"{{op: exists, trait: {name}}}" for name in ("one", "orders", "two"))
    put(tmp_path, a=ORDERS, b=BUYERS.replace("{op: gte, trait: orders, value: 1}", f"{{op: and, of: [{tests}]}}"))
    assert [(one.line, one.column) for one in flaws_of(tmp_path)] == [(5, 45), (5, 100)]


def test_audiences_in_a_circle_are_told_where_it_begins(tmp_path: Path) -> None:
    def looks_at(name: str, other: str) -> str:
        return BUYERS.replace("buyers", name).replace("gte, trait: orders, value: 1", f"member, audience: {other}")

    put(tmp_path, a=looks_at("one", "two"), b=looks_at("two", "three"), c=looks_at("three", "one"))
    (flaw,) = flaws_of(tmp_path)
    assert (flaw.file, flaw.line, flaw.column, flaw.rule) == ("a.yml", 5, 33, "OB024")
    assert "looks at itself: one -> two -> three -> one; take one of these conditions out" in flaw.what


def test_who_refers_to_what_has_a_flaw_is_not_to_blame(tmp_path: Path) -> None:
    put(tmp_path, a=ORDERS.replace("count", "cuont"), b=BUYERS, c=PLAN.replace("order_id", "5"), d=SOURCE)
    assert [one.file for one in flaws_of(tmp_path)] == ["a.yml", "c.yml"]


def test_a_secret_is_not_repeated_where_it_is_told(tmp_path: Path) -> None:
    hidden = CONNECTION.replace("${env:TOKEN}", "pat-na1-hidden").replace(
        "${file:secrets/hubspot}", "https://a:hidden@b"
    )
    source = SOURCE.replace("tracking_plan: {name: shop}", "write_key_hashes: [wk_hidden]")
    told = flaws_of(put(tmp_path, a=hidden, b=source, c=ORDERS))
    assert len(told) == 3
    assert "hidden" not in "".join(map(str, told))


def test_a_secret_that_is_named_is_none(tmp_path: Path) -> None:
    settings = "token: '${env:A}${file:b}'\n    base_url: https://u:${env:P}@host\n    requests: 5\n    secret: ''"
    assert flaws_of(put(tmp_path, a=CONNECTION.replace("token: ${env:TOKEN}", settings), b=ORDERS)) == []


def test_places_are_those_of_characters_and_aliases_are_told_where_they_are_used(tmp_path: Path) -> None:
    text = ORDERS.replace("name: orders", "description: 'Ünïcödé 😀', name: orders, naem: x")
    (found,) = flaws_of(put(tmp_path, a=text))
    assert (found.line, found.column) == (3, 52)
    text = BUYERS.replace("{op: gte, trait: orders, value: 1}", "{op: and, of: [&a {op: exists, trait: x}, *a]}")
    (found,) = flaws_of(put(tmp_path, a=text))
    assert (found.line, found.column) == (5, 48)


def test_a_file_with_a_byte_order_mark_and_windows_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbf" + ORDERS.replace("\n", "\r\n").encode())
    assert flaws_of(tmp_path) == []


def test_a_terminal_is_told_nothing_that_it_obeys(tmp_path: Path) -> None:
    put(tmp_path, a=ORDERS.replace("event:", '"\\e[31m\\n":'))
    (flaw,) = flaws_of(tmp_path)
    assert "unknown field `\\x1b[31m\\n`" in str(flaw)
    assert str(flaw).isprintable()


def test_the_page_of_definitions_tells_every_rule() -> None:
    page = Path("docs/definitions.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("| OB")] == [
        f"| {rule} | {what} |" for rule, what in RULES.items()
    ]


def test_what_is_no_utf_8_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(ORDERS.encode().replace(b"Completed", b"Compl\xe9t\xe9"))
    (found,) = flaws_of(tmp_path)
    assert (found.line, found.column, found.rule) == (4, 44, "OB001")
    assert found.what == "the byte 0xe9 is no UTF-8; save the file as UTF-8"
    (tmp_path / "a.yml").write_bytes(ORDERS.encode("utf-16"))
    (found,) = flaws_of(tmp_path)
    assert (found.line, found.column, found.rule) == (1, 1, "OB001")


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    put(tmp_path, b=TEMPLATE.replace("text: Hello", "mjml_file: c.mjml"))
    for name in ("a.yml", "c.mjml"):
        (tmp_path / name).symlink_to(name)
    first, second = flaws_of(tmp_path)
    assert str(first).startswith("a.yml:1:1: OB001 cannot be read (Too many levels of symbolic links)")
    assert str(second).startswith("b.yml:4:56: OB031 spec.mjml_file: 'c.mjml' cannot be read")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.yml").mkdir()
    assert [(one.file, one.rule) for one in flaws_of(tmp_path)] == [("folder.yml", "OB001"), ("gone.yml", "OB001")]


def test_aliases_and_merges_are_read_as_they_mean() -> None:
    text = """\
version: obverse/v1
kind: source
metadata: {name: web, labels: &mine {team: shop, tier: one}}
spec:
  allowed_origins: &all [https://a.example]
---
version: obverse/v1
kind: source
metadata:
  labels: {<<: {team: shop, tier: one}, tier: two}
  name: app
spec: {}
"""
    documents, flaws = read_documents(text.encode(), "a.yml")
    assert not flaws
    assert documents[1].tree["metadata"]["labels"] == {"tier": "two", "team": "shop"}

"""The audience builder in Chromium, over the demo: by mouse and keyboard, as a tree and as SQL; and reasons."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Final

import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect
from playwright.sync_api import Error as PlaywrightError

from console_steps import DESK, PATIENCE, PHONE, Demo, Visitor, serious, take_picture, visiting
from obverse.core.conditions import Condition, Not, parse
from obverse.core.conditions.sql.reading import parse_sql

pytestmark = pytest.mark.service

WHOLE: Final = (
    "(trait.orders >= 2 OR did('Order Completed', where => (property.revenue > 100.50 AND property.currency = 'GBP'), "
    "at_least => 2, at_most => 9, within => '52 weeks')) AND NOT (audience.refunded OR group.acme) "
    "AND NOT trait.refunds IN (3, 4) AND attribute.country IN ('France', 'Germany') AND attribute.made = TRUE "
    "AND contains(trait.favourite_product, 'x') AND starts_with(identifier.email, 'a') AND consent.newsletter <> TRUE "
    "AND trait.last_order_at > now() - INTERVAL '30 days' AND trait.first_order_at IS NOT NULL "
    "AND attribute.\"007\" = '007' AND did(type => 'identify', exactly => 0) "
    "AND did('Home', type => 'page', at_most => 3) AND "
    "sequence(step('Product Added', times => 2, within => '1 hour'), absence('Order Completed', within => '2 days')"
    ", step('Order Refunded', where => (property.reason = 'late')), within => '7 days')"
)
"""Every kind of condition."""
NOTHING: Final = "\N{EN DASH}"


def _reach(page: Page) -> Locator:
    return page.get_by_role("region", name="People").get_by_role("status")


def _tree(page: Page) -> Locator:
    return page.get_by_role("region", name="Condition", exact=True)


def _panel(page: Page, title: str) -> Locator:
    return page.locator(".panel", has=page.get_by_role("heading", name=title, exact=True))


def _shown(page: Page) -> Condition:
    """The condition of the definition that is shown, as our own reader understands it."""
    text = page.get_by_role("region", name="The definition as YAML").inner_text()
    return parse(yaml.safe_load(text)["spec"]["where"])


def test_a_condition_is_built_by_mouse_and_counted_node_by_node(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/audiences")
    page.get_by_role("link", name="New audience").click()
    page.get_by_role("heading", name="New audience").wait_for()
    tree = _tree(page)
    expect(tree.get_by_text("not whole yet")).to_be_visible()
    expect(_panel(page, "Definition")).to_contain_text("1 condition is not whole yet")
    expect(_reach(page)).to_have_text(NOTHING)

    tree.get_by_label("Trait", exact=True).click()
    page.get_by_role("option", name="orders", exact=True).click()
    tree.get_by_label("Comparison").select_option("is at least")
    tree.get_by_label("Value", exact=True).fill("2")
    expect(_reach(page)).to_have_text("316", timeout=PATIENCE)
    expect(page.get_by_text("22.6 % of 1,398 people")).to_be_visible()
    expect(page.get_by_label("SQL", exact=True)).to_have_value("trait.orders >= 2")
    expect(_panel(page, "Some of them").get_by_role("link")).to_have_count(10)
    overlaps = _panel(page, "Also in other audiences")
    expect(overlaps).to_contain_text("115 / 199", timeout=PATIENCE)

    tree.get_by_role("button", name="Group", exact=True).click()
    group = tree.locator(".builderGroup .builderGroup")
    group.get_by_label("Looks at").select_option("in audience")
    group.get_by_label("Audience").fill("refunded")
    group.get_by_label("not").check()
    expect(group.get_by_label("1,089 people")).to_be_visible(timeout=PATIENCE)
    expect(group.get_by_label("309 people")).to_be_visible()
    expect(tree.get_by_label("316 people")).to_have_count(1)
    expect(_reach(page)).to_have_text("189", timeout=PATIENCE)
    assert page.get_by_label("SQL", exact=True).input_value() == "trait.orders >= 2 AND NOT audience.refunded"
    assert serious(page) == []
    take_picture(page, "/builder", "light", DESK)

    _panel(page, "Some of them").get_by_role("link").first.click()
    page.wait_for_url("**/profiles/*")
    page.go_back()
    expect(_reach(page)).to_have_text("189", timeout=PATIENCE)
    assert visitor.wrong == []


def test_a_condition_is_built_by_keyboard_alone(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/audiences/new")
    tree = _tree(page)
    tree.get_by_label("Looks at").focus()
    page.keyboard.type("did")
    event = tree.get_by_label("Event", exact=True)
    for _ in range(3):
        if event.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(event).to_be_focused()
    page.keyboard.type("Order Completed")
    page.keyboard.press("Tab")
    expect(tree.get_by_label("How often")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("5")
    sql = page.get_by_label("SQL", exact=True)
    expect(sql).to_have_value("did('Order Completed', at_least => 5)", timeout=PATIENCE)
    few = _reach(page).inner_text()

    tree.get_by_role("button", name="Only with certain properties").focus()
    page.keyboard.press("Enter")
    properties = page.get_by_role("region", name="Properties of the event")
    properties.get_by_label("Property", exact=True).focus()
    page.keyboard.type("revenue")
    properties.get_by_label("Comparison").focus()
    page.keyboard.type("is more")
    page.keyboard.press("Tab")
    page.keyboard.type("100")
    expect(sql).to_have_value(
        "did('Order Completed', where => (property.revenue > 100), at_least => 5)", timeout=PATIENCE
    )
    expect(_reach(page)).not_to_have_text(few, timeout=PATIENCE)
    assert serious(page) == []
    assert visitor.wrong == []


def test_sql_becomes_the_tree_and_the_tree_sql(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/audiences/new")
    sql = page.get_by_label("SQL", exact=True)
    sql.fill(WHOLE)
    expect(_tree(page).get_by_label("Step 3", exact=True)).to_be_visible(timeout=PATIENCE)
    assert _shown(page) == parse_sql(WHOLE), "nothing is lost on the way to the tree"
    assert sql.input_value() == WHOLE, "what one writes is left alone"
    assert serious(page) == []

    # Each row was drawn from the tree: what is written of them says the same.
    _tree(page).locator(".builderHead").first.get_by_label("not").check()
    expect(sql).to_have_value(re.compile("^NOT "), timeout=PATIENCE)
    assert parse_sql(sql.input_value()) == _shown(page) == Not(parse_sql(WHOLE))
    assert visitor.wrong == []


def test_a_mistake_in_the_sql_is_shown_where_it_is(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/audiences/new?sql=trait.orders >= 2")
    expect(_reach(page)).to_have_text("316", timeout=PATIENCE)
    sql = page.get_by_label("SQL", exact=True)
    sql.fill("trait.orders >= 2\n  AND color = 'red'")
    flaw = page.get_by_role("alert")
    expect(flaw).to_contain_text("Line 2, column 7", timeout=PATIENCE)
    expect(flaw.locator("mark")).to_have_text("color")
    expect(flaw).to_contain_text("is nothing to look at")
    expect(_tree(page).get_by_label("Trait", exact=True)).to_have_value("orders")
    expect(_reach(page)).to_have_text(NOTHING)
    expect(page.get_by_role("button", name="Copy the YAML")).to_have_count(0)
    assert serious(page) == []
    take_picture(page, "/builder-mistake", "light", DESK)
    flaw.get_by_role("button", name="Go there").click()
    assert sql.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)") == "color"

    sql.fill("trait.orderz >= 2")
    expect(flaw).to_contain_text("did you mean orders?", timeout=PATIENCE)
    sql.fill("")
    expect(flaw).to_have_count(0)
    expect(page.get_by_text("Nothing to count yet").first).to_be_visible()
    sql.fill("trait.orders >= 3")
    expect(_reach(page)).to_have_text(re.compile(r"\d"), timeout=PATIENCE)
    assert [one for one in visitor.wrong if "400" not in one] == []


def test_a_late_answer_is_never_taken_for_that_of_now(visitor: Visitor) -> None:
    page = visitor.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "slow" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/audiences/preview", hold)
    visitor.open("/audiences/new")
    sql = page.get_by_label("SQL", exact=True)
    sql.fill("attribute.slow = 1")
    visitor.until(lambda: len(held) == 1)
    sql.fill("trait.orders >= 2")
    expect(_reach(page)).to_have_text("316", timeout=PATIENCE)
    with suppress(PlaywrightError):  # the page has given it up
        held[0].continue_()
    expect(_tree(page).get_by_label("Trait", exact=True)).to_have_value("orders")
    sql.fill("trait.orders >= 2 AND trait.orders < 9")
    expect(_reach(page)).not_to_have_text("316", timeout=PATIENCE)
    expect(_reach(page)).not_to_have_text("0")
    assert sql.input_value() == "trait.orders >= 2 AND trait.orders < 9"


def test_a_copy_is_edited_named_copied_and_downloaded(visitor: Visitor) -> None:
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open("/audiences/one_time_buyers")
    page.get_by_role("link", name="Edit a copy").click()
    expect(_reach(page)).to_have_text("834", timeout=PATIENCE)
    expect(page.get_by_label("Name", exact=True)).to_have_value("one_time_buyers_copy")
    page.get_by_label("Name", exact=True).fill("yes")
    page.get_by_label("Description").fill('a: "b" # c')
    _tree(page).get_by_label("Value", exact=True).fill("7")
    page.get_by_role("button", name="Copy the YAML").click()
    copied = yaml.safe_load(page.evaluate("navigator.clipboard.readText()"))
    assert copied == {
        "version": "obverse/v1",
        "kind": "audience",
        "metadata": {"name": "yes", "description": 'a: "b" # c'},
        "spec": {"where": {"op": "eq", "trait": "orders", "value": 7}},
    }
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "yes.yml"
    assert yaml.safe_load(download.value.path().read_text()) == copied
    assert visitor.wrong == []


def test_a_condition_of_another_release_is_kept_and_breaks_nothing(visitor: Visitor) -> None:
    page = visitor.page
    odd = [{"op": "resembles", "face": 7}, None, 5, {"op": "and", "of": {}}, {"op": "did"}, {"op": "in", "trait": "x"}]
    known = {"op": "gte", "trait": "orders", "value": 2}
    audience = {"name": "odd", "description": "", "members": 0, "condition": {"op": "and", "of": [*odd, known]}}
    body = json.dumps({"audiences": [audience]})
    page.route("**/v1/audiences", lambda route: route.fulfill(body=body, content_type="application/json"))
    for path in ("/audiences", "/audiences/odd"):
        visitor.open(path)
        page.get_by_text("resembles").first.wait_for()
    page.get_by_role("link", name="Edit a copy").click()
    _tree(page).get_by_text("resembles").wait_for()
    expect(_tree(page).get_by_label("Trait", exact=True).last).to_have_value("orders")
    expect(page.get_by_role("alert")).to_contain_text("no operator", timeout=PATIENCE)
    assert [one for one in visitor.wrong if "400" not in one and "404" not in one] == []


def test_while_nothing_answers_the_builder_says_so_and_comes_back(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/audiences/new?sql=trait.orders >= 2")
    expect(_reach(page)).to_have_text("316", timeout=PATIENCE)
    visitor.context.set_offline(True)
    _tree(page).get_by_label("Value", exact=True).fill("3")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached", timeout=PATIENCE)
    visitor.context.set_offline(False)
    _tree(page).get_by_label("Value", exact=True).fill("2")
    expect(_reach(page)).to_have_text("316", timeout=PATIENCE)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_profile_tells_why(browser: Browser, demo: Demo, scheme: str, viewport: ViewportSize) -> None:
    with visiting(browser, demo, viewport=viewport, color_scheme=scheme) as visitor:
        page = visitor.page
        visitor.open("/profiles/user_id:17850")
        page.get_by_role("button", name="Why in big spenders?").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(re.compile(r"In big spenders since .*lifetime value.*Found: 5391.21", re.DOTALL))
        expect(dialog.get_by_role("img", name="Holds")).to_have_count(1)
        assert serious(page) == []
        take_picture(page, "/why", scheme, viewport)
        assert "why=big_spenders" in page.url
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")

        page.get_by_placeholder("Why in an audience").click()
        page.get_by_role("option", name="One time buyers").click()
        expect(dialog).to_contain_text("Not in one time buyers")
        expect(dialog).to_contain_text("Found: 34")
        expect(dialog.get_by_role("img", name="Does not hold")).to_have_count(1)
        dialog.get_by_role("link", name="Open One time buyers").click()
        page.get_by_role("heading", name="One time buyers").wait_for()

        visitor.open("/profiles/user_id:17850?why=nobody")
        expect(dialog).to_contain_text("there is no audience 'nobody'")
        assert [one for one in visitor.wrong if "404" not in one] == []


def test_reasons_name_groups_and_other_audiences(visitor: Visitor) -> None:
    page = visitor.page

    def reason(found: object, *of: object, **condition: object) -> dict[str, object]:
        return {"condition": condition, "holds": bool(found), "value": found, "changes_at": None, "of": of}

    spent = reason(1200, op="gte", trait="lifetime_value", value=1000)
    since = {"member": True, "since": "2010-12-07T10:00:00Z", "number": 1}
    parts = [
        reason(["acme", "firm"], op="member", group="acme"),
        reason([], op="member", group="other"),
        reason(since, spent, op="member", audience="big_spenders"),
        reason(since | {"member": False}, spent, op="member", audience="refunded"),
        reason(None, spent, op="member", audience="one_time_buyers"),
    ]
    told = {"audience": "big_spenders", "profile": "", "member": True, "since": None, "number": 1}
    body = json.dumps({**told, "reason": reason(None, *parts, op="or", of=[one["condition"] for one in parts])})
    page.route("**/why", lambda route: route.fulfill(body=body, content_type="application/json"))
    visitor.open("/profiles/user_id:17850?why=big_spenders")
    dialog = page.get_by_role("dialog")
    for words in ("In these groups: acme, firm", "In no group.", "In it since", "In it once; left", "Never in it."):
        expect(dialog).to_contain_text(words)
    expect(dialog.get_by_text("Found: 1")).to_have_count(3)


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_profile_leads_to_how_a_trait_is_spread(
    browser: Browser, demo: Demo, scheme: str, viewport: ViewportSize
) -> None:
    with visiting(browser, demo, viewport=viewport, color_scheme=scheme) as visitor:
        page = visitor.page
        visitor.open("/profiles/user_id:17850")
        page.get_by_role("link", name="lifetime value").click()
        page.get_by_role("heading", name="Lifetime value").wait_for()
        expect(page.get_by_text("82.3 % of 1,398 people")).to_be_visible(timeout=PATIENCE)
        spread = page.get_by_role("img", name="1150 numbers from 0.42 to 27,830; half of them are at most 326")
        expect(spread.locator("i")).to_have_count(24)
        expect(page.get_by_role("region", name="Quantiles")).to_contain_text("3401.94")
        expect(page.get_by_text("sum of revenue of Order Completed events")).to_be_visible()
        shown = yaml.safe_load(page.get_by_role("region", name="The definition as YAML").inner_text())
        assert shown["spec"] == {"aggregate": "sum", "event": "Order Completed", "property": "revenue"}
        expect(_panel(page, "Freshness")).to_contain_text("0 events", timeout=PATIENCE)
        assert serious(page) == []
        take_picture(page, "/traits/lifetime_value", scheme, viewport)

        visitor.open("/traits/favourite_product")
        values = page.get_by_role("table", name="Most frequent values")
        expect(values.get_by_role("row", name="20685")).to_contain_text("27")
        expect(page.get_by_text("and 491 others")).to_be_visible()
        visitor.open("/traits/first_order_at")
        months = page.get_by_role("table", name="Times by month")
        expect(months.get_by_role("row", name="2010-12")).to_contain_text("1,044")
        assert serious(page) == []
        assert visitor.wrong == []

"""The console in Chromium, over the demo: every page by deep link, and the counts that move by themselves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, ViewportSize, expect

from console_steps import (
    DESK,
    EVENTS,
    PATIENCE,
    PHONE,
    PICTURES,
    Demo,
    Visitor,
    pages,
    serious,
    take_picture,
    visiting,
)
from installation import kill, running
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.core import json_values

pytestmark = pytest.mark.service


def test_the_counts_move_without_a_reload(demo: Demo) -> None:
    assert demo.navigations == 0
    assert demo.counts == sorted(demo.counts)
    assert demo.counts[-1] == EVENTS
    assert len(demo.counts) > 3, demo.counts


LOOKS = [("light", DESK), ("dark", PHONE)]
"""Each scheme and each size once; pictures are taken of all four."""


@pytest.mark.parametrize(
    ("scheme", "viewport"),
    LOOKS if PICTURES is None else [(scheme, size) for scheme in ("light", "dark") for size in (DESK, PHONE)],
    ids=lambda one: one if isinstance(one, str) else "phone" if one is PHONE else "desk",
)
def test_every_page_opens_by_deep_link(browser: Browser, demo: Demo, scheme: str, viewport: ViewportSize) -> None:
    flaws: list[str] = []
    with visiting(browser, demo, viewport=viewport, color_scheme=scheme) as visitor:
        page = visitor.page
        for path, text in pages(visitor).items():
            visitor.open(path)
            shown = page.get_by_text(re.compile(re.escape(text), re.IGNORECASE)).locator("visible=true").first
            try:
                shown.wait_for(timeout=10_000)
            except Exception as error:  # noqa: BLE001 - told with the others
                flaws.append(f"{path}: {text!r} is not shown: {error}")
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            flaws += [f"{path}: {wide} px wider than the window"] if wide > 0 else []
            flaws += [f"{path}: {found}" for found in serious(page)]
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
            take_picture(page, path, scheme, viewport)
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        flaws += (
            [] if (sum(map(int, re.findall(r"\d+", dark)[:3])) < 380) == (scheme == "dark") else [f"body is {dark}"]
        )
        # What is not there is answered 404, and a browser tells of that.
        flaws += [one for one in visitor.wrong if "404" not in one]
    assert not flaws, "\n".join(flaws)


def test_a_link_signs_in_once_and_leads_where_one_wanted_to_go(browser: Browser, demo: Demo) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{demo.api}/audiences/big_spenders")
    page.get_by_role("heading", name="Sign in to Obverse").wait_for()
    page.goto(demo.link)
    page.get_by_role("heading", name="Big spenders").wait_for()
    assert "token" not in page.url
    page.get_by_role("button", name="administrator").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Obverse").wait_for()
    page.goto(demo.link)
    page.get_by_text("This link has been used or has expired").wait_for()
    assert context.request.get(f"{demo.api}/v1/overview").status == 401
    context.close()


def test_live_events_are_filtered_and_paused(visitor: Visitor, demo: Demo) -> None:
    page = visitor.page
    visitor.open("/events?q=live-test")
    page.get_by_text("Live", exact=True).wait_for()

    _track(visitor, demo, "live-test-1")
    page.get_by_text("live-test-1").wait_for()
    page.get_by_role("button", name="Pause").click()
    _track(visitor, demo, "live-test-2")
    page.get_by_role("button", name="Resume (1 waits)").wait_for()
    assert page.get_by_text("live-test-2").count() == 0
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("live-test-2").wait_for()
    _track(visitor, demo, "another")
    _track(visitor, demo, "live-test-3")
    page.get_by_text("live-test-3").wait_for()
    assert page.get_by_text("another", exact=True).count() == 0
    assert visitor.wrong == []


def _track(visitor: Visitor, demo: Demo, user: str) -> None:
    event = {"writeKey": demo.key, "userId": user, "event": "Looked", "type": "track"}
    assert visitor.context.request.post(f"{demo.collector}/v1/track", data=event).status == 200


def test_keys_lead_everywhere(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/profiles")
    page.keyboard.press("Control+k")
    page.get_by_role("textbox").last.fill("audi")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audiences")
    page.get_by_role("link", name="Big spenders").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/audiences/big_spenders")


def test_the_list_of_traits_tells_how_values_are_spread_and_how_fresh_they_are(visitor: Visitor, demo: Demo) -> None:
    def told(trait: str) -> tuple[Locator, dict[str, Any]]:
        answer = visitor.context.request.get(f"{demo.api}/v1/traits/{trait}").json()
        return visitor.page.get_by_role("row", name=trait.replace("_", " ").capitalize()), answer

    visitor.open("/traits")
    row, value = told("lifetime_value")
    row.get_by_text("half at most").wait_for()
    assert row.locator(".spark > i").count() == len(value["numbers"]["bins"]) > 1
    assert row.locator("time").get_attribute("datetime") == value["newest"]

    row, product = told("favourite_product")
    most = product["values"]["frequent"][0]
    row.get_by_text(re.compile(f"^{re.escape(most['value'])} .* %")).wait_for()
    assert visitor.wrong == []


def test_a_mail_runs_and_loads_nothing(visitor: Visitor) -> None:
    visitor.open("/inbox")
    visitor.page.locator("a.rowLink").first.click()
    frame = visitor.page.locator("iframe")
    frame.wait_for()

    assert frame.get_attribute("sandbox") == "", "nothing is allowed"
    assert "default-src 'none'" in (frame.get_attribute("srcdoc") or "")
    visitor.page.frame_locator("iframe").get_by_text("Thank you").first.wait_for()


def test_while_nothing_answers_the_page_says_so_and_comes_back(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.context.set_offline(True)
    visitor.page.get_by_text("as of a moment ago").first.wait_for(timeout=PATIENCE)
    assert visitor.page.get_by_text("52,2").first.is_visible(), "what was known stays"
    visitor.context.set_offline(False)
    visitor.page.get_by_text("as of a moment ago").first.wait_for(state="detached", timeout=PATIENCE)


def test_profiles_change_before_ones_eyes(visitor: Visitor, demo: Demo) -> None:
    visitor.open("/profiles/user_id:17850")
    body = {"writeKey": demo.key, "type": "identify", "userId": "17850", "traits": {"country": "Iceland"}}
    assert visitor.context.request.post(f"{demo.collector}/v1/identify", data=body).status == 200

    visitor.page.get_by_text("Iceland").first.wait_for(timeout=PATIENCE)


def test_the_console_comes_back_after_its_api_was_killed(visitor: Visitor, demo: Demo) -> None:
    visitor.open("/audiences")
    note = running(demo.data)
    assert note is not None
    kill(note["pids"]["api"])

    visitor.page.get_by_role("link", name="Big spenders").click()
    visitor.page.get_by_text("Members").first.wait_for(timeout=PATIENCE)
    assert own_secret(demo.data, API_KEY), "the session outlived the process"


def test_a_dead_letter_is_told_and_tried_again(visitor: Visitor, demo: Demo) -> None:
    page = visitor.page
    _identify(visitor, demo, {"email": "no address", "firstName": "Dea"})
    visitor.open("/crm/hubspot?tab=dead-letters")
    letter = page.get_by_role("button", name=re.compile("no address", re.IGNORECASE))
    letter.wait_for(timeout=PATIENCE)
    letter.click()
    page.get_by_text("What was to be written").wait_for()
    assert serious(page) == []

    page.get_by_role("button", name="Retry all").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry all").click()
    page.get_by_text("1 dead letter is queued again").wait_for(timeout=PATIENCE)
    letter.filter(has_text="2 attempts").wait_for(timeout=PATIENCE)

    _identify(visitor, demo, {"email": "dea@example.com"})
    page.get_by_text("No dead letters").wait_for(timeout=PATIENCE)


def _identify(visitor: Visitor, demo: Demo, traits: dict[str, str]) -> None:
    body = {"writeKey": demo.key, "type": "identify", "userId": "dead-letter", "traits": traits}
    assert visitor.context.request.post(f"{demo.collector}/v1/identify", data=body).status == 200


def test_a_rejected_event_is_edited_and_sent_again(visitor: Visitor, demo: Demo) -> None:
    page = visitor.page
    bad = {"writeKey": demo.key, "userId": "rejected-test", "type": "track", "properties": {"size": 3}}
    assert visitor.context.request.post(f"{demo.collector}/v1/track", data=bad).status == 200
    visitor.open("/rejected")
    page.get_by_text("a track needs the name of its event").first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name=re.compile("a track needs the name of its event")).first.click()
    editor = page.get_by_label("What is sent")
    body = json.loads(editor.input_value())
    assert body["writeKey"] == ""
    take_picture(page, "/rejected-one", "light", DESK)

    editor.fill("{")
    page.get_by_role("button", name="Send this instead").click()
    page.get_by_text("the body is not JSON").first.wait_for(timeout=PATIENCE)
    editor.fill(json.dumps({**body, "event": "Named Now"}))
    page.get_by_role("button", name="Send this instead").click()
    page.get_by_text("Sent again", exact=True).first.wait_for(timeout=PATIENCE)

    visitor.open("/profiles/user_id:rejected-test?tab=timeline")
    page.get_by_text("Named Now").first.wait_for(timeout=PATIENCE)
    visitor.open("/rejected?state=replayed&source=shop")
    page.get_by_text("invalid_json").first.wait_for()
    visitor.open("/rejected?state=open&source=shop")
    page.get_by_text("Nothing rejected is like this").wait_for()
    assert visitor.wrong == []


def test_a_profile_as_it_was_is_compared_and_restored(visitor: Visitor, demo: Demo) -> None:
    page, headers = visitor.page, {"Authorization": "", "Sec-Fetch-Site": "same-origin"}

    def tell(**traits: str) -> None:
        body = {"writeKey": demo.key, "type": "identify", "userId": "past", "traits": traits}
        assert visitor.context.request.post(f"{demo.collector}/v1/identify", data=body).status == 200

    def told() -> Any:
        answer = visitor.context.request.get(f"{visitor.api}/v1/profiles/user_id:past", headers=headers)
        return json_values.decode(answer.body()) if answer.ok else {"attributes": {}}

    tell(plan="free", city="Oslo")
    visitor.until(lambda: "plan" in told()["attributes"])
    then = told()["changed_at"]
    tell(plan="pro", shoe_size="41")
    visitor.until(lambda: "shoe_size" in told()["attributes"])

    visitor.open(f"/profiles/user_id:past?as_of={then}")
    page.get_by_text("This is the past").wait_for(timeout=PATIENCE)
    attributes = page.get_by_role("table", name="Attributes")
    expect(attributes).to_contain_text("free")
    expect(attributes).not_to_contain_text("shoe size")
    assert serious(page) == []
    take_picture(page, "/profile-as-of", "light", DESK)

    page.get_by_role("tab", name="Compare").click()
    changes = page.get_by_role("table", name="Attributes that changed (2)")
    expect(changes.get_by_role("row", name="plan")).to_contain_text(re.compile("free.*pro", re.DOTALL))
    expect(changes.get_by_role("row", name="shoe size")).to_contain_text("41")
    assert serious(page) == []

    page.get_by_role("button", name="Restore these attributes").click()
    planned = page.get_by_role("table", name="What will be written")
    expect(planned.get_by_role("row", name="plan")).to_contain_text(re.compile("pro.*free", re.DOTALL))
    assert serious(page) == []
    page.get_by_role("button", name="Write 2 values").click()
    page.get_by_text("2 values are written").wait_for(timeout=PATIENCE)

    slider = page.get_by_role("slider", name="Time")
    slider.focus()
    slider.press("End")
    page.get_by_text("This is the past").wait_for(state="detached", timeout=PATIENCE)
    page.get_by_role("tab", name="Attributes").click()
    expect(attributes.get_by_role("row", name="plan")).to_contain_text("free", timeout=PATIENCE)
    page.get_by_role("button", name=re.compile("previous values? of plan")).click()
    expect(attributes).to_contain_text("pro")
    assert [one for one in visitor.wrong if "503" not in one] == []


def test_an_edge_is_taken_back(visitor: Visitor, demo: Demo) -> None:
    page, headers = visitor.page, {"Authorization": "", "Sec-Fetch-Site": "same-origin"}

    def tell(type_: str, **fields: str) -> None:
        body = {"writeKey": demo.key, "type": type_, **fields}
        assert visitor.context.request.post(f"{demo.collector}/v1/{type_}", data=body).status == 200

    def edges() -> int:
        answer = visitor.context.request.get(f"{visitor.api}/v1/profiles/user_id:lent", headers=headers)
        return len(json_values.decode(answer.body())["edges"]) if answer.ok else -1

    tell("page", anonymousId="tablet-of-another")
    tell("page", userId="lent", anonymousId="tablet-of-another")
    visitor.until(lambda: edges() == 1)

    visitor.open("/profiles/user_id:lent?tab=graph")
    page.get_by_role("button", name="Take the edge between").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("anonymous_id:tablet-of-another")
    assert serious(page) == []
    take_picture(page, "/undo-an-edge", "light", DESK)
    dialog.get_by_label("Why").fill("lent for a day")
    dialog.get_by_role("button", name="Take it back").click()
    page.get_by_text("a profile of its own").wait_for(timeout=PATIENCE)
    dialog.wait_for(state="detached")
    page.get_by_text("One identifier alone").wait_for(timeout=PATIENCE)
    expect(page.get_by_role("table", name="Not tied")).to_contain_text("undone")
    assert edges() == 0
    visitor.open("/profiles/anonymous_id:tablet-of-another")
    page.get_by_text("tablet-of-another").first.wait_for(timeout=PATIENCE)
    assert visitor.wrong == []


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_group_leads_to_its_members_and_they_lead_back(
    browser: Browser, demo: Demo, scheme: str, viewport: ViewportSize
) -> None:
    with visiting(browser, demo, viewport=viewport, color_scheme=scheme) as visitor:
        page, name = visitor.page, f"a/c & me {scheme}"
        for traits in ({"name": "Acme Ltd", "plan": "free", "employees": 328}, {"plan": "pro"}):
            body = {"writeKey": demo.key, "type": "group", "userId": "member", "groupId": name, "traits": traits}
            assert visitor.context.request.post(f"{demo.collector}/v1/group", data=body).status == 200

        visitor.open("/groups?q=a/c")
        link = page.get_by_role("row", name=name).get_by_role("link", name="Acme Ltd")
        link.wait_for(timeout=PATIENCE)
        assert serious(page) == []
        link.click()
        page.get_by_role("heading", name="Acme Ltd").wait_for()
        attributes = page.get_by_role("table", name="Attributes")
        expect(attributes.get_by_role("row", name="plan")).to_contain_text("pro", timeout=PATIENCE)
        page.get_by_role("button", name=re.compile("previous values? of plan")).first.click()
        expect(attributes).to_contain_text("free")
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        take_picture(page, "/groups/acme", scheme, viewport)

        page.get_by_role("table", name="Members").get_by_role("link", name="member").click()
        page.get_by_role("heading", name="member").wait_for()
        groups = page.get_by_role("link", name=name)
        groups.wait_for(timeout=PATIENCE)
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        groups.click()
        page.get_by_role("heading", name="Acme Ltd").wait_for()
        assert visitor.wrong == []


def test_a_source_is_added_and_its_key_replaced(visitor: Visitor) -> None:
    page = visitor.page

    visitor.open("/sources")
    page.get_by_role("button", name="Add a source").click()
    page.get_by_label("Name").fill("Not A Name")
    page.get_by_role("button", name="Make").click()
    page.get_by_text("cannot name a source").wait_for()
    page.get_by_label("Name").fill("tills")
    page.get_by_role("button", name="Make").click()
    first = page.locator(".secret").inner_text()
    page.get_by_role("button", name="Close", exact=True).last.click()
    page.get_by_text("tills", exact=True).wait_for(timeout=PATIENCE)
    row = page.get_by_role("row", name=re.compile("tills"))
    row.get_by_role("button", name="New key").click()
    second = page.locator(".secret").inner_text()
    assert first != second
    page.get_by_role("button", name="Close", exact=True).last.click()
    row.get_by_role("button", name="Retire old key").wait_for(timeout=PATIENCE)
    assert first not in page.content()
    assert second not in page.content()
    row.get_by_role("button", name="Retire old key").click()
    page.get_by_role("dialog").get_by_role("button", name="Retire old key").click()
    page.get_by_text("Only the newest key of tills is good now").wait_for()
    row.get_by_role("button", name="Retire old key").wait_for(state="detached", timeout=PATIENCE)

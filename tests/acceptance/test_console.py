"""The console in Chromium, over the demo: every page by deep link, and the counts that move by themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

from chromium import launch
from installation import environment, kill, running
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.core import json_values

pytestmark = pytest.mark.service

EVENTS: Final = 52_228
PATIENCE: Final = 60_000.0
"""Milliseconds for anything that must happen."""
AXE: Final = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
PICTURES: Final = os.environ.get("OBVERSE_PICTURES")
"""Where `make pictures` wants them."""
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESK: Final[ViewportSize] = {"width": 1280, "height": 800}


@dataclass
class Demo:
    """The demo, played to its end and still running."""

    data: Path
    api: str
    collector: str
    key: str
    """Of the source shop."""
    link: str
    """That it printed."""
    counts: list[int]
    """Of events, as the overview showed them one after another, without a reload."""
    navigations: int


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = launch(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def demo(browser: Browser) -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="obv-"))
    folder.chmod(0o755)
    data = folder / "data"
    out, errors = folder / "out", folder / "errors"
    command = [sys.executable, "-m", "obverse.apps.cli", "demo", "--json", "--data", str(data)]
    with (
        out.open("wb") as to_out,
        errors.open("wb") as to_errors,
        subprocess.Popen(
            command, env=environment(), stdout=to_out, stderr=to_errors, start_new_session=True
        ) as process,
    ):
        try:
            yield _watched(browser, data, out, errors)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


def _watched(browser: Browser, data: Path, out: Path, errors: Path) -> Demo:
    """Look at the overview while the demo plays."""
    page = browser.new_page(viewport=DESK)

    def opened() -> bool:
        note = running(data)
        try:
            return note is not None and page.request.get(note["api"] + "/ready").ok
        except PlaywrightError:
            return False

    _until(opened, errors)
    note = running(data)
    assert note is not None
    page.goto(_new_link(data))
    page.wait_for_url(note["api"] + "/")
    navigations: list[str] = []
    page.on("framenavigated", lambda frame: navigations.append(frame.url))
    shown = page.locator(".figure", has_text="Events").first.locator(".figureValue")
    counts: list[int] = []

    def whole() -> bool:
        counts.append(int(re.sub(r"\D", "", shown.inner_text()) or 0))
        if PICTURES is not None and EVENTS * 2 // 3 < counts[-1] < EVENTS:
            page.screenshot(path=Path(PICTURES) / "while-the-demo-plays.png", animations="disabled")
        return counts[-1] == EVENTS

    _until(whole, errors)
    _until(lambda: out.read_text().endswith("\n"), errors)
    page.close()
    assert msgspec.json.decode(out.read_text())["events_accepted"] == EVENTS
    told = errors.read_text()
    key, link = (re.search(pattern, told) for pattern in (r"shown once\): (\S+)", r"signs in once\): (\S+)"))
    assert key is not None, told
    assert link is not None, told
    counts = [count for count, _ in groupby(counts)]
    return Demo(data, note["api"], note["collector"], key[1], link[1], counts, len(navigations))


def _until(condition: Callable[[], bool], errors: Path) -> None:
    end = time.monotonic() + 2 * PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end, errors.read_text()
        time.sleep(0.05)  # what is waited for is in other processes


def _new_link(data: Path) -> str:
    """By the command that people have for it."""
    command = [sys.executable, "-m", "obverse.apps.cli", "sign-in", "--data", str(data)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    found = re.search(r"http://\S+#token=\S+", done.stdout)
    assert found is not None, done.stdout
    return found[0]


@dataclass
class Visitor:
    """A browser that is signed in, and what went wrong in it."""

    context: BrowserContext
    page: Page
    api: str
    wrong: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page by its address, as from a link in a mail."""
        self.page.goto(self.api + path)
        self.page.locator("h1").first.wait_for(timeout=PATIENCE)
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0, timeout=PATIENCE)

    def note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(message.text)


@contextmanager
def visiting(browser: Browser, demo: Demo, **options: Any) -> Iterator[Visitor]:
    context = browser.new_context(viewport=options.pop("viewport", DESK), reduced_motion="reduce", **options)
    page = context.new_page()
    page.goto(_new_link(demo.data))
    page.wait_for_url(f"{demo.api}/")
    visitor = Visitor(context, page, demo.api)
    page.on("console", visitor.note)
    page.on("pageerror", lambda error: visitor.wrong.append(str(error)))
    yield visitor
    context.close()


@pytest.fixture
def visitor(browser: Browser, demo: Demo) -> Iterator[Visitor]:
    with visiting(browser, demo) as opened:
        yield opened


def test_the_counts_move_without_a_reload(demo: Demo) -> None:
    assert demo.navigations == 0
    assert demo.counts == sorted(demo.counts)
    assert demo.counts[-1] == EVENTS
    assert len(demo.counts) > 3, demo.counts


def _pages(visitor: Visitor) -> dict[str, str]:
    """Every page by its address, and a text that it shows."""
    headers = {"Authorization": "", "Sec-Fetch-Site": "same-origin"}

    def first(path: str, name: str) -> Any:
        answer = visitor.context.request.get(visitor.api + path, headers=headers)
        return json_values.decode(answer.body())[name][0]

    mail, message = first("/v1/inbox", "messages"), first("/v1/messages?status=sent", "messages")
    return {
        "/": "52,228",
        "/events": "Order Completed",
        "/events?type=identify": "identify",
        "/events?q=nobody-at-all": "No event",
        "/profiles": "@example.com",
        "/profiles?q=17850": "17850",
        "/profiles?q=nobody-at-all": "nobody-at-all",
        "/profiles/user_id:17850": "5391.21",
        "/profiles/user_id:17850?tab=timeline": "Order Completed",
        "/profiles/user_id:17850?tab=graph": "visitor-536365",
        "/profiles/user_id:nobody": "Nobody has user_id:nobody",
        "/audiences": "834",
        "/audiences/big_spenders": "lifetime value",
        "/audiences/nobody": "there is no audience",
        "/crm": "In step",
        "/crm/hubspot": "973",
        "/crm/hubspot?tab=queue": "Queue",
        "/crm/hubspot?tab=dead-letters": "Dead letters",
        "/crm/hubspot?tab=mapping": "firstname",
        "/messages": "@example.com",
        "/messages?status=waiting": "Without an address",
        "/messages?tab=campaigns": "welcome_big_spenders",
        f"/messages/{message['id']}": message["to"],
        "/inbox": "145",
        f"/inbox/{mail['id']}": mail["subject"],
        "/nothing/here": "not found",
    }


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_by_deep_link(browser: Browser, demo: Demo, scheme: str, viewport: ViewportSize) -> None:
    flaws: list[str] = []
    with visiting(browser, demo, viewport=viewport, color_scheme=scheme) as visitor:
        page = visitor.page
        for path, text in _pages(visitor).items():
            visitor.open(path)
            shown = page.get_by_text(re.compile(re.escape(text), re.IGNORECASE)).locator("visible=true").first
            try:
                shown.wait_for(timeout=10_000)
            except Exception as error:  # noqa: BLE001 - told with the others
                flaws.append(f"{path}: {text!r} is not shown: {error}")
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            flaws += [f"{path}: {wide} px wider than the window"] if wide > 0 else []
            flaws += [f"{path}: {found}" for found in _serious(page)]
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
            _picture(page, path, scheme, viewport)
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        flaws += (
            [] if (sum(map(int, re.findall(r"\d+", dark)[:3])) < 380) == (scheme == "dark") else [f"body is {dark}"]
        )
        # What is not there is answered 404, and a browser tells of that.
        flaws += [one for one in visitor.wrong if "404" not in one]
    assert not flaws, "\n".join(flaws)


def _serious(page: Page) -> list[str]:
    """What axe finds."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {json.dumps([node['target'] for node in one['nodes']][:3])}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


def _picture(page: Page, path: str, scheme: str, viewport: ViewportSize) -> None:
    telling = path in {"/", "/events", "/profiles/user_id:17850"}
    shown = (scheme == "light" and viewport is DESK) or (telling and (scheme == "dark") != (viewport is PHONE))
    if PICTURES is None or "nobody" in path or "nothing" in path or not shown:
        return
    name = re.sub(r"[^a-z0-9]+", "-", re.sub(r"[0-9a-f-]{36}", "one", path)).strip("-") or "overview"
    device = "phone" if viewport is PHONE else "desk"
    folder = Path(PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}-{scheme}-{device}.png", animations="disabled")


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
    assert _serious(page) == []

    page.get_by_role("button", name="Retry all").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry all").click()
    page.get_by_text("1 dead letter is queued again").wait_for(timeout=PATIENCE)
    letter.filter(has_text="2 attempts").wait_for(timeout=PATIENCE)

    _identify(visitor, demo, {"email": "dea@example.com"})
    page.get_by_text("No dead letters").wait_for(timeout=PATIENCE)


def _identify(visitor: Visitor, demo: Demo, traits: dict[str, str]) -> None:
    body = {"writeKey": demo.key, "type": "identify", "userId": "dead-letter", "traits": traits}
    assert visitor.context.request.post(f"{demo.collector}/v1/identify", data=body).status == 200

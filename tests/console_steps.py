"""Steps of the tests of the console: a demo that is played while a browser looks on, and visitors who are signed in."""

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
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect
from playwright.sync_api import Error as PlaywrightError

from installation import environment, running
from obverse.core import json_values

EVENTS: Final = 52_228
PATIENCE: Final = 60_000.0
"""Milliseconds for anything that must happen."""
AXE: Final = Path(__file__).parents[1] / "console/node_modules/axe-core/axe.min.js"
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


@contextmanager
def played(browser: Browser) -> Iterator[Demo]:
    """Run the demo until it has been left."""
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
    page.goto(new_link(data))
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


def new_link(data: Path) -> str:
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

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what other processes do."""
        end = time.monotonic() + PATIENCE / 1000
        while not condition():
            assert time.monotonic() < end
            self.page.wait_for_timeout(50)

    def note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(f"{message.text} {message.location['url']}")


@contextmanager
def visiting(browser: Browser, demo: Demo, **options: Any) -> Iterator[Visitor]:
    """Sign in."""
    context = browser.new_context(viewport=options.pop("viewport", DESK), reduced_motion="reduce", **options)
    page = context.new_page()
    page.goto(new_link(demo.data))
    page.wait_for_url(f"{demo.api}/")
    page.close()  # with what it was told before it was signed in
    page = context.new_page()
    visitor = Visitor(context, page, demo.api)
    page.on("console", visitor.note)
    page.on("pageerror", lambda error: visitor.wrong.append(str(error)))
    yield visitor
    context.close()


def serious(page: Page) -> list[str]:
    """What axe finds, once nothing is pale because it is being counted anew."""
    expect(page.locator("[data-stale]")).to_have_count(0, timeout=PATIENCE)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {json.dumps([node['target'] for node in one['nodes']][:3])}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


def take_picture(page: Page, path: str, scheme: str, viewport: ViewportSize) -> None:
    telling = path in {"/", "/events", "/profiles/user_id:17850"}
    shown = (scheme == "light" and viewport is DESK) or (telling and (scheme == "dark") != (viewport is PHONE))
    if PICTURES is None or "nobody" in path or "nothing" in path or not shown:
        return
    name = re.sub(r"[^a-z0-9]+", "-", re.sub(r"[0-9a-f-]{36}", "one", path)).strip("-") or "overview"
    device = "phone" if viewport is PHONE else "desk"
    folder = Path(PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}-{scheme}-{device}.png", animations="disabled")


def pages(visitor: Visitor) -> dict[str, str]:
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
        "/rejected": "Nothing was rejected",
        "/rejected?code=none-at-all": "Nothing rejected is like this",
        "/sources": "New key",
        "/loads": "No file was uploaded",
        "/profiles": "@example.com",
        "/profiles?q=17850": "17850",
        "/profiles?q=nobody-at-all": "nobody-at-all",
        "/profiles/user_id:17850": "5391.21",
        "/profiles/user_id:17850?tab=timeline": "Order Completed",
        "/profiles/user_id:17850?tab=graph": "visitor-536365",
        "/profiles/user_id:17850?tab=compare": "Between",
        "/profiles/user_id:nobody": "Nobody has user_id:nobody",
        "/shared": "No identifier was set aside",
        "/matches": "No pair waits for you",
        "/matches?state=rejected&tier=loose": "No pair is like this",
        "/audiences": "834",
        "/audiences/big_spenders": "lifetime value",
        "/audiences/nobody": "there is no audience",
        "/audiences/new": "Nothing to count yet",
        "/audiences/new?from=one_time_buyers": "834",
        "/audiences/new?from=nobody": "No audience is named nobody",
        "/profiles/user_id:17850?why=big_spenders": "In big spenders",
        "/traits": "1,150",
        "/traits/lifetime_value": "82.3 %",
        "/traits/nobody": "No trait is named nobody",
        "/definitions": "lifetime_value",
        "/definitions?kind=audience&q=spend": "big_spenders",
        "/definitions/audience/big_spenders": "trait: lifetime_value",
        "/definitions/audience/nobody": "No audience is named nobody",
        "/groups": "Accounts and companies",
        "/groups?q=nobody-at-all": "No group has an id that begins with",
        "/groups/nobody": "No group has the id nobody",
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

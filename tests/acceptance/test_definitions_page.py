"""Definitions in the console: what is in force, and audiences that are built, saved, edited and removed there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from console_steps import DESK, PATIENCE, Demo, Visitor, serious, take_picture, visiting
from installation import Installation, environment
from obverse.apps.own_secrets import API_KEY, own_secret

pytestmark = pytest.mark.service

FILES: Final = """\
version: obverse/v1
kind: trait
metadata: {name: page_orders, description: What was ordered.}
spec: {aggregate: count, event: Order Completed}
---
version: obverse/v1
kind: trait
metadata: {name: page_spent}
spec:
  every: 1 minute
  sql: |
    select user_id, sum((properties ->> 'revenue')::numeric) as value
    from person_events where event_type = 'Page Order' group by user_id
---
version: obverse/v1
kind: trait
metadata: {name: page_failing}
spec:
  every: 1 hour
  sql: |
    select user_id,
           nowhere as value from person_events
"""
NAME: Final = "page_buyers"


@pytest.fixture(scope="module")
def place(shared_installation: Installation) -> Iterator[Demo]:
    """An installation that follows these files; they are gone afterwards."""
    here = shared_installation
    file = here.data / "definitions" / "page.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(FILES, encoding="utf-8")
    yield Demo(here.data, here.note["api"], here.note["collector"], here.key, "", [], 0)
    file.unlink(missing_ok=True)
    _obverse(here.data, "apply", "--prune", "--yes")


def _obverse(data: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "obverse.apps.cli", *arguments, "--data", str(data)]
    subprocess.run(command, env=environment(), cwd=data.parent, check=True, capture_output=True, timeout=120)


@pytest.fixture
def visitor(browser: Browser, place: Demo) -> Iterator[Visitor]:
    with visiting(browser, place) as opened:
        yield opened


def _ask(visitor: Visitor, demo: Demo, path: str, *, method: str = "GET", data: Any = None, **headers: str) -> Any:
    key = {"Authorization": f"Bearer {own_secret(demo.data, API_KEY)}"}
    answer = visitor.context.request.fetch(
        demo.api + path, method=method, headers={**key, **headers}, data=None if data is None else json.dumps(data)
    )
    return answer.json() if answer.ok else None


def _save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_what_is_in_force_is_shown_and_a_run_that_failed_says_where(visitor: Visitor, place: Demo) -> None:
    page = visitor.page
    visitor.until(lambda: _ask(visitor, place, "/v1/definitions/trait/page_failing", Accept="application/json"))
    visitor.open("/definitions?kind=trait")
    table = page.get_by_role("table", name="Definitions")
    expect(table.get_by_role("row", name="page_orders")).to_contain_text("What was ordered.")
    expect(table.get_by_role("row", name="page_orders")).to_contain_text("default")
    expect(page.get_by_text("In force is what the files of")).to_be_visible(timeout=PATIENCE)
    assert serious(page) == []
    take_picture(page, "/definitions", "light", DESK)
    page.get_by_role("searchbox", name="Search definitions").fill("nothing like it")
    expect(page.get_by_text("No definition is like this")).to_be_visible()
    visitor.open("/definitions")
    table.get_by_role("link", name="page_orders").click()
    shown = yaml.safe_load(page.get_by_role("region", name="The definition as YAML").inner_text())
    assert shown["spec"] == {"aggregate": "count", "event": "Order Completed"}
    expect(page.get_by_text("Files of the project default say it")).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    assert serious(page) == []
    visitor.open("/definitions/audience/nobody")
    expect(page.get_by_text("No audience is named nobody")).to_be_visible()

    visitor.until(lambda: _ask(visitor, place, "/v1/traits/page_failing")["run"] is not None)
    visitor.open("/traits/page_failing")
    panel = page.locator(".panel", has=page.get_by_role("heading", name="Latest run"))
    expect(panel).to_contain_text("failed")
    expect(panel.get_by_role("alert")).to_contain_text(
        re.compile('^line 2, column 8: PostgreSQL says: column "nowhere"')
    )
    assert serious(page) == []
    take_picture(page, "/traits/page_failing", "light", DESK)
    visitor.until(lambda: _ask(visitor, place, "/v1/traits/page_spent")["run"] is not None)
    visitor.open("/traits/page_spent")
    expect(panel).to_contain_text("went well")
    expect(page.get_by_text("what a query gives every 1 minute")).to_be_visible()
    assert [one for one in visitor.wrong if "404" not in one] == []


def test_an_audience_is_built_saved_edited_and_removed(visitor: Visitor, place: Demo) -> None:
    page = visitor.page
    visitor.until(lambda: _ask(visitor, place, "/v1/definitions/trait/page_orders", Accept="application/json"))
    visitor.open("/audiences/new?sql=trait.page_orders >= 2")
    name = page.get_by_label("Name", exact=True).last
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled(timeout=PATIENCE)
    name.fill("page buyers!")
    _save(page)
    expect(page.get_by_role("alert")).to_contain_text("metadata.name: this cannot be a name", timeout=PATIENCE)
    assert serious(page) == []
    take_picture(page, "/audiences/new-flawed", "light", DESK)
    name.fill(NAME)
    _save(page)
    page.wait_for_url(f"**/definitions/audience/{NAME}", timeout=PATIENCE)
    shown = yaml.safe_load(page.get_by_role("region", name="The definition as YAML").inner_text())
    assert shown["spec"] == {"where": {"op": "gte", "trait": "page_orders", "value": 2}}
    assert serious(page) == []
    take_picture(page, f"/definitions/audience/{NAME}", "light", DESK)
    expect(page.get_by_role("main")).to_contain_text("console")
    assert [one for one in visitor.wrong if "400" not in one] == []

    # Another one of the name is not written over it.
    visitor.open("/audiences/new?sql=trait.page_orders >= 3")
    name.fill(NAME)
    _save(page)
    expect(page.get_by_role("alert")).to_contain_text(f"there is audience {NAME} already", timeout=PATIENCE)

    visitor.open(f"/definitions/audience/{NAME}")
    page.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Remove {NAME}?")
    assert serious(page) == []
    dialog.get_by_role("button", name="Remove").click()
    page.wait_for_url("**/definitions", timeout=PATIENCE)
    expect(page.get_by_role("table", name="Definitions")).not_to_contain_text(NAME, timeout=PATIENCE)
    assert _ask(visitor, place, f"/v1/definitions/audience/{NAME}", Accept="application/json") is None


def test_who_edits_what_somebody_else_has_changed_is_told(visitor: Visitor, place: Demo) -> None:
    page = visitor.page
    visitor.until(lambda: _ask(visitor, place, "/v1/definitions/trait/page_orders", Accept="application/json"))
    path = "/v1/definitions/audience/page_edited"
    where = {"op": "gte", "trait": "page_orders", "value": 2}
    assert _ask(visitor, place, path, method="PUT", data={"spec": {"where": where}})
    visitor.open("/definitions/audience/page_edited")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("heading", name="Edit Page edited").wait_for(timeout=PATIENCE)
    value = page.get_by_role("region", name="Condition", exact=True).get_by_label("Value", exact=True)
    expect(value).to_have_value("2", timeout=PATIENCE)
    known = _ask(visitor, place, path, Accept="application/json")
    tag = {"If-Match": f'"{known["changed_in"]}"'}
    assert _ask(visitor, place, path, method="PUT", data={"spec": {"where": {**where, "value": 7}}}, **tag)
    value.fill("5")
    _save(page)
    expect(page.get_by_role("alert")).to_contain_text(
        "was changed by administrator since it was read", timeout=PATIENCE
    )
    visitor.open("/audiences/new?edit=page_edited")
    expect(value).to_have_value("7", timeout=PATIENCE)
    value.fill("5")
    _save(page)
    page.wait_for_url("**/definitions/audience/page_edited", timeout=PATIENCE)
    expect(page.get_by_role("region", name="The definition as YAML")).to_contain_text("value: 5", timeout=PATIENCE)
    assert [one for one in visitor.wrong if "412" not in one] == []
    known = _ask(visitor, place, path, Accept="application/json")
    assert _ask(visitor, place, path, method="DELETE", **{"If-Match": f'"{known["changed_in"]}"'})

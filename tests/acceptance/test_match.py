"""`obverse match` over a running installation, and the page on which a person decides."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Page, async_playwright, expect

from chromium import QUIET, executable
from console_steps import AXE, DESK, PHONE, PICTURES, new_link
from installation import Installation, installation, start, until

pytestmark = pytest.mark.service

ADA = {"first_name": "Ada", "last_name": "Lovelace", "birthday": "1815-12-10", "phone": "+44 20 7000 0001"}
GRACE = {"first_name": "Grace", "last_name": "Hopper", "birthday": "1906-12-09", "phone": "+1 212 555 0102"}
PEOPLE: dict[str, dict[str, Any]] = {
    "ada-1": {**ADA, "address": {"street": "12 Saint James's Square", "postalCode": "SW1Y 4JH", "city": "London"}},
    "ada-2": {**ADA, "address": {"street": "12 Saint James Square", "city": "London"}},
    "grace-1": {**GRACE, "address": {"street": "3 Pine Street", "city": "New York"}},
    "grace-2": {**GRACE, "first_name": "Gracie", "birthday": "1906-09-12"},
    "alan": {"first_name": "Alan", "last_name": "Turing", "birthday": "1912-06-23", "phone": "+44 161 000 003"},
    "emmy": {"first_name": "Emmy", "last_name": "Noether", "birthday": "1882-03-23"},
}

APART = """\
version: obverse/v1
kind: identity
metadata: {name: rules}
spec: {apart: [["user_id:grace-1", "user_id:grace-2"]]}
"""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(tmp_path / "data") as here:
        (here.data / "definitions" / "apart.yml").write_text(APART)
        for user, traits in PEOPLE.items():
            await here.post("/v1/identify", {"userId": user, "traits": traits, "writeKey": here.key})
        await until(here.drained)
        yield here


async def match(here: Installation, *arguments: str, **settings: str) -> tuple[int | None, str, str]:
    process = await start(here.data, "match", *arguments, **settings)
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


async def matched(here: Installation) -> dict[str, Any]:
    status, out, errors = await match(here, "--json")
    assert status == 0, errors
    found: dict[str, Any] = msgspec.json.decode(out.splitlines()[-1])
    return found


async def test_pairs_are_found_told_and_decided_upon(here: Installation) -> None:
    status, out, errors = await match(here)
    assert status == 0, errors
    assert "6 profiles compared" in out
    assert "same birth date" in out

    again = await matched(here)
    assert (again["people"], again["open"], again["merged"], again["closed"]) == (6, 2, 0, 0)
    assert sum(again["tiers"].values()) == 2
    assert {one["tier"] for one in again["first"]} <= {"exact", "strict", "loose"}

    _, page = await here.get("/v1/proposals")
    names = [(one["one"]["name"], one["other"]["name"]) for one in page["proposals"]]
    assert names[0] == ("Ada Lovelace", "Ada Lovelace")
    assert set(names[1]) == {"Grace Hopper", "Gracie Hopper"}

    await decide_in_the_console(here)

    # What was rejected is not proposed again, and is again once something that was compared is another.
    assert await matched(here) | {"first": []} == again | {"open": 0, "decided": 2, "first": []}
    await here.post("/v1/identify", {"userId": "ada-2", "traits": {"city": "Leeds"}, "writeKey": here.key})
    await here.post("/v1/identify", {"userId": "ada-2", "traits": {"phone": "+44 20 7000 0009"}, "writeKey": here.key})
    await until(here.drained)
    assert (await matched(here))["open"] == 1


async def test_who_is_accepted_is_merged_and_can_be_parted_again(here: Installation) -> None:
    """Two user ids, of which a profile may have one: a person's word counts for more than the limit."""
    await matched(here)
    _, page = await here.get("/v1/proposals")
    (pair,) = [one for one in page["proposals"] if one["one"]["name"] == "Ada Lovelace"]
    status, accepted = await here.ask(f"/v1/proposals/{pair['id']}/accept")
    assert (status, accepted["state"]) == (200, "accepted")

    async def merged() -> bool:
        ids = [(await here.get(f"/v1/profiles/user_id:{user}"))[1]["id"] for user in ("ada-1", "ada-2")]
        return bool(ids[0] == ids[1])

    await until(merged)
    _, ada = await here.get("/v1/profiles/user_id:ada-1")
    (edge,) = ada["edges"]
    assert edge["rule"] == "accepted"
    assert ada["attributes"]["birthday"]["value"] == "1815-12-10"
    await until(here.drained)
    assert (await matched(here))["people"] == 5

    status, request = await here.ask("/v1/identity/unmerge", {"one": edge["a"], "other": edge["b"]})
    assert status == 202

    async def parted() -> bool:
        _, asked = await here.get(f"/v1/identity/requests/{request['id']}")
        return bool(asked["status"] == "done")

    await until(parted)
    assert not await merged()
    await until(here.drained)
    # What a person has decided is not asked again.
    again = await matched(here)
    assert (again["people"], again["open"], again["decided"]) == (6, 1, 1)


async def decide_in_the_console(here: Installation) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=list(QUIET))
        page = await browser.new_page(viewport=DESK)
        await page.goto(new_link(here.data))
        await page.wait_for_url(here.note["api"] + "/")
        await page.keyboard.press("g")
        await page.keyboard.press("d")
        await expect(page.get_by_role("heading", name="Matches")).to_be_visible()

        await both_are_shown(page)
        # By keyboard alone: the first pair is rejected, and the next one has the focus.
        await page.get_by_role("button", name="Two people: Ada Lovelace").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("They stay two.")).to_be_visible()
        await expect(page.locator("li.pair")).to_have_count(1)
        await expect(page.locator("li.pair button").first).to_be_focused()
        await page.get_by_role("button", name=re.compile("Loose|Strict|Exact.*Rejected")).first.wait_for()
        await page.goto(here.note["api"] + "/matches?state=rejected")
        await expect(page.get_by_text("Rejected by administrator")).to_be_visible()

        # A rule keeps the second pair apart: that somebody accepted it is told, and that nothing came of it.
        await page.goto(here.note["api"] + "/matches")
        await page.get_by_role("button", name=re.compile("Same person: Grac")).click()
        await until(lambda: was_refused(here))
        await page.goto(here.note["api"] + "/matches?state=accepted")
        await expect(page.get_by_text(re.compile("They were not merged: .*apart"))).to_be_visible()
        if PICTURES is not None:
            await page.screenshot(path=Path(PICTURES) / "matches-refused.png", animations="disabled")
        await browser.close()


async def was_refused(here: Installation) -> bool:
    _, page = await here.get("/v1/proposals?state=accepted")
    return any(one["refused"] for one in page["proposals"])


async def both_are_shown(page: Page) -> None:
    first = page.locator("li.pair").first
    await expect(first.get_by_role("link", name="Ada Lovelace")).to_have_count(2)
    await expect(first).to_contain_text("same birth date")
    await expect(first.get_by_role("row", name=re.compile("^Street"))).to_contain_text("12 saint james s sq")
    for viewport in (PHONE, DESK):
        await page.set_viewport_size(viewport)
        await page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
        if PICTURES is not None:
            device = "phone" if viewport is PHONE else "desk"
            await page.screenshot(path=Path(PICTURES) / f"matches-light-{device}.png", animations="disabled")
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [one["id"] for one in found["violations"] if one["impact"] in {"serious", "critical"}] == []


async def test_a_definition_that_cannot_be_used_changes_nothing(here: Installation) -> None:
    path = here.data / "definitions" / "matching.yml"
    path.write_text("version: obverse/v1\nkind: matching\nmetadata: {name: shop}\nspec: {tiers: {loose: 2}}\n")

    status, out, errors = await match(here)

    assert (status, "profiles compared" in out) == (0, True)
    assert "Traceback" not in errors
    path.unlink()


async def test_a_stopped_installation_is_matched_too(tmp_path: Path) -> None:
    async with installation(tmp_path / "data") as here:
        for user, traits in PEOPLE.items():
            await here.post("/v1/identify", {"userId": user, "traits": traits, "writeKey": here.key})
        await until(here.drained)
    process = await start(tmp_path / "data", "match")
    out, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert "6 profiles compared" in out.decode()


async def test_without_an_installation_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    process = await start(tmp_path / "data", "match")
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert "start `obverse up`" in errors.decode()
    assert "Traceback" not in errors.decode()

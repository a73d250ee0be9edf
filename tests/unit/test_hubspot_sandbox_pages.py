"""What a person sees and does beneath /sandbox."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from hubspot_steps import Account, account, assert_refused

HERE = {"sec-fetch-site": "same-origin"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def hubspot(tmp_path: Path) -> AsyncIterator[Account]:
    async with account(tmp_path) as opened:
        yield opened


async def test_the_page_lists_contacts_and_escapes_what_they_say(hubspot: Account) -> None:
    await hubspot.create(email="a@b.co", firstname="<script>alert(1)</script>", company='"&')
    page = await hubspot.send("GET", "/sandbox")
    html = page.body.decode()
    assert page.status == 200
    assert "a@b.co" in html
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert '<html lang="en">' in html
    assert "prefers-color-scheme: dark" in html
    # Nothing comes from elsewhere, and nothing may.
    assert not re.findall(r'(?:src|href)="https?:', html)
    style = re.search(r"<style>(.*)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_every_field_of_the_form_has_a_label(hubspot: Account) -> None:
    await hubspot.define("notes", "string", "textarea")
    number = await hubspot.create(email="a@b.co", lifecyclestage="lead", notes="\nsecond line")
    html = (await hubspot.send("GET", f"/sandbox/contacts/{number}")).body.decode()
    fields = re.findall(r"<(?:input|select|textarea) id=\"([^\"]+)\"", html)
    assert fields
    assert all(f'<label for="{one}">' in html for one in fields)
    assert '<option value="lead" selected>' in html
    assert ">\n\nsecond line</textarea>" in html


async def test_the_form_saves_what_changed_as_a_person(hubspot: Account) -> None:
    number = await hubspot.create(email="a@b.co", firstname="A", phone="1")
    body = urlencode({"firstname": "B", "phone": "1", "lastname": "", "unknown": "x"}).encode()
    answer = await hubspot.send("POST", f"/sandbox/contacts/{number}", body=body, headers={**FORM, **HERE})
    assert (answer.status, answer.headers["location"]) == (303, f"/sandbox/contacts/{number}?saved")
    told = await hubspot.ask("GET", f"/crm/v3/objects/contacts/{number}?propertiesWithHistory=firstname,phone")
    history = told.json["propertiesWithHistory"]
    assert [(one["value"], one["sourceType"]) for one in history["firstname"]] == [
        ("B", "CRM_UI"),
        ("A", "INTEGRATION"),
    ]
    assert len(history["phone"]) == 1
    assert "Saved." in (await hubspot.send("GET", answer.headers["location"])).body.decode()


async def test_a_form_that_cannot_be_saved_comes_back_with_the_reason(hubspot: Account) -> None:
    number = await hubspot.create(email="a@b.co", firstname="A")
    body = urlencode({"email": "<nope>", "firstname": "B"}).encode()
    answer = await hubspot.send("POST", f"/sandbox/contacts/{number}", body=body, headers={**FORM, **HERE})
    html = answer.body.decode()
    assert answer.status == 400
    assert 'role="alert"' in html
    assert "Email address &lt;nope&gt; is invalid" in html
    assert 'value="&lt;nope&gt;"' in html
    assert (await hubspot.properties(number, "firstname"))["firstname"] == "A"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (HERE, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "http://127.0.0.1:8080"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8080"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9090"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_a_form_of_another_origin_is_refused(hubspot: Account, headers: dict[str, str], status: int) -> None:
    number = await hubspot.create(email="a@b.co", firstname="A")
    answer = await hubspot.send("POST", f"/sandbox/contacts/{number}", body=b"firstname=B", headers={**FORM, **headers})
    assert answer.status == status
    assert (await hubspot.properties(number, "firstname"))["firstname"] == ("B" if status == 303 else "A")


@pytest.mark.parametrize("path", ["/sandbox/webhooks", "/sandbox/contacts/1"])
async def test_a_page_of_another_origin_cannot_put_either(hubspot: Account, path: str) -> None:
    headers = {"content-type": "application/json", "origin": "http://evil.example"}
    assert_refused(await hubspot.send("PUT", path, body=b"{}", headers=headers), 403, "BANNED")


async def test_fifty_contacts_a_page_and_one_by_address(hubspot: Account) -> None:
    for at in range(51):
        await hubspot.create(email=f"p{at:02}@b.co")
    html = (await hubspot.send("GET", "/sandbox")).body.decode()
    assert ("p49@b.co" in html, "p50@b.co" in html) == (True, False)
    following = re.search(r'href="(/sandbox\?after=\d+)"', html)
    assert following
    assert "p50@b.co" in (await hubspot.send("GET", following[1])).body.decode()
    found = (await hubspot.send("GET", "/sandbox?email=P50%40b.co")).body.decode()
    assert ("p50@b.co" in found, "p49@b.co" in found) == (True, False)
    assert "No contact has the address &lt;b&gt;" in (await hubspot.send("GET", "/sandbox?email=%3Cb%3E")).body.decode()


async def test_links_and_forms_lead_to_where_the_sandbox_is_mounted(hubspot: Account) -> None:
    for at in range(51):
        await hubspot.create(email=f"p{at:02}@b.co")
    mounted = Starlette(routes=[Mount("/hubspot", hubspot.sandbox.app)])
    paths = ["/hubspot/sandbox", "/hubspot/sandbox?email=p00%40b.co", "/hubspot/sandbox/contacts/7"]
    pages = [await hubspot.send("GET", path, app=mounted) for path in paths]
    found = re.search(r'href="([^"]+/contacts/\d+)"', pages[1].body.decode())
    assert found
    pages.append(await hubspot.send("GET", found[1], app=mounted))
    assert [page.status for page in pages] == [200, 200, 404, 200]
    led = {one for page in pages for one in re.findall(r'(?:href|action)="([^"]+)"', page.body.decode())}
    assert {one for one in led if not one.startswith("/hubspot/sandbox")} == set()
    assert {(await hubspot.send("GET", one, app=mounted)).status for one in led} == {200}
    saved = await hubspot.send("POST", found[1], body=b"firstname=B", headers={**FORM, **HERE}, app=mounted)
    assert "Saved." in (await hubspot.send("GET", saved.headers["location"], app=mounted)).body.decode()


@pytest.mark.parametrize("path", ["/sandbox/contacts/7", "/sandbox/contacts/x"])
async def test_a_contact_that_is_not_there_has_no_page(hubspot: Account, path: str) -> None:
    answer = await hubspot.send("GET", path)
    assert (answer.status, "resource not found" in answer.body.decode()) == (404, True)


async def test_figures_start_at_nothing(hubspot: Account) -> None:
    names = ("contacts", "requests", "throttled", "webhooks_sent", "webhooks_waiting")
    assert await hubspot.figures() == dict.fromkeys(names, 0)


async def test_an_edit_by_a_person_over_json(hubspot: Account) -> None:
    number = await hubspot.create(email="a@b.co")
    path = f"/sandbox/contacts/{number}"
    answer = await hubspot.ask("PUT", path, {"properties": {"firstname": "B"}}, token="none needed")
    assert (answer.status, answer.json["properties"]["firstname"]) == (200, "B")
    assert_refused(await hubspot.ask("PUT", path, {"properties": {"email": "x"}}), 400, "VALIDATION_ERROR")
    assert_refused(await hubspot.ask("PUT", "/sandbox/contacts/7", {"properties": {}}), 404, "OBJECT_NOT_FOUND")
    assert_refused(await hubspot.ask("PUT", path, {}), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("url", ["ftp://a.b", "a.b/c", "http://", "http://a b/", "http://[", "http://a:b/", 7, ["x"]])
async def test_a_target_that_is_none_is_refused(hubspot: Account, url: object) -> None:
    assert_refused(await hubspot.ask("PUT", "/sandbox/webhooks", {"url": url}), 400, "VALIDATION_ERROR")

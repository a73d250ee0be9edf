"""What a person sees of the inbox. Mails are hostile: nothing of one may run, load or reach the page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inbox_steps import Box, box, letter

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    '<a href="javascript:alert(1)">x</a>',
    '<img src="https://evil.example/pixel.gif">',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "</iframe></main><script>alert(1)</script>",
    "</title></style></textarea></pre><script>alert(1)</script>",
    "<base href=https://evil.example/><link rel=stylesheet href=https://evil.example/x.css>",
    "' onmouseover='alert(1)",
    "<!--",
    "&lt;script&gt;",
]


class Seen(HTMLParser):
    """The tags of a page, and what its attributes say."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_tame(html: str) -> Seen:
    """A page of ours: nothing runs, nothing is from elsewhere."""
    seen = Seen(html)
    assert not {tag for tag, _ in seen.tags} & {"script", "img", "svg", "base", "link", "object", "embed"}
    assert [one.get("name") for one in seen.all("meta") if "charset" not in one] == ["viewport"]
    for _, attributes in seen.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "action"):
            assert not re.match(r"\s*(?:[a-z]+:|//|/)", attributes.get(name) or "", re.IGNORECASE)
    return seen


def directives(policy: str) -> dict[str, str]:
    return {name: values for name, _, values in (one.strip().partition(" ") for one in policy.split(";"))}


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Box]:
    async with box(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_of_a_mail_becomes_part_of_a_page(inbox: Box, attack: str) -> None:
    raw = (
        letter(
            message_id=f"<{attack}@x>",
            **{"subject": attack, "from": f"{attack} <a@b>", "to": f"{attack} <c@d>", "x-more": attack},
            content_type="multipart/mixed; boundary=b",
        )
        + f"--b\r\n\r\n{attack}\r\n--b\r\nContent-Type: text/html\r\n\r\n{attack}\r\n".encode()
        + f"--b\r\nContent-Disposition: attachment; filename*=utf-8''{attack}\r\n\r\nx".encode()
    )
    number = await inbox.keep(raw, to=(f"{attack}@x",))
    for page in ("/", f"/mail/{number}"):
        answer = await inbox.ask(page)
        assert answer.status == 200
        seen = assert_tame(answer.body.decode())
        # It is there, as words.
        assert " ".join(attack.split()) in " ".join(seen.text.split())
    (frame,) = seen.all("iframe")
    assert (frame["sandbox"], frame["src"]) == ("", f"{number}/html")


async def test_what_a_search_asked_for_is_no_part_of_the_page_either(inbox: Box) -> None:
    answer = await inbox.ask("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&to=%22%20onfocus=alert(1)%20x=")
    seen = assert_tame(answer.body.decode())
    values = {one.get("id"): one.get("value") for one in seen.all("input")}
    assert values == {"q": '"><script>alert(1)</script>', "to": '" onfocus=alert(1) x='}
    assert "No mail matches" in seen.text


async def test_pages_have_a_policy_that_lets_nothing_run_or_load(inbox: Box) -> None:
    await inbox.keep(letter())
    for page in ("/", "/mail/1", "/mail/2", "/?limit=x"):
        answer = await inbox.ask(page)
        policy = directives(answer.headers["content-security-policy"])
        style = re.search(r"<style>(.*)</style>", answer.body.decode(), re.DOTALL)
        assert style
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert policy == {
            "default-src": "'none'",
            "style-src": f"'sha256-{digest}'",
            "frame-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("attack", [*ATTACKS, "<\x00script>alert(1)</script>", "<META\nHTTP-EQUIV=refresh>"])
async def test_the_html_of_a_mail_stands_alone_where_nothing_runs_loads_or_leads_away(inbox: Box, attack: str) -> None:
    number = await inbox.keep(letter(attack, content_type="text/html; charset=utf-8"))
    answer = await inbox.ask(f"/mail/{number}/html")
    policy = directives(answer.headers["content-security-policy"])
    assert policy == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "sandbox": "",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    seen = Seen(answer.body.decode())
    # The policy stops the rest; these do their harm in spite of it.
    assert not {tag for tag, _ in seen.tags} & {"script", "base", "link"}
    assert [one.get("name") for one in seen.all("meta")] == ["color-scheme"]


@pytest.mark.parametrize("target", ["/messages", "/messages/1", "/messages/1/raw", "/by-message-id/x", "/nowhere"])
async def test_what_is_no_page_is_never_shown_as_one(inbox: Box, target: str) -> None:
    await inbox.keep(letter(subject="<script>alert(1)</script>", x_header="a\r\nSet-Cookie: b"))
    answer = await inbox.ask(target)
    assert answer.headers["content-type"] in {"application/json", "message/rfc822", "application/problem+json"}
    assert "sandbox" in directives(answer.headers["content-security-policy"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


async def test_the_list_can_be_read_by_everybody(inbox: Box) -> None:
    for at in range(51):
        await inbox.keep(letter(subject=f"number {at}."))
    html = (await inbox.ask("/")).body.decode()
    seen = assert_tame(html)
    assert seen.all("html") == [{"lang": "en"}]
    assert "prefers-color-scheme: dark" in html
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in seen.all("meta")
    labels = {one["for"] for one in seen.all("label")}
    assert {one["id"] for one in seen.all("input")} == labels == {"q", "to"}
    assert len(seen.all("h1")) == len(seen.all("main")) == 1
    assert "51 mails in the inbox" in seen.text
    assert "number 50." in seen.text
    assert "number 0." not in seen.text
    (older,) = [one["href"] for one in seen.all("a") if one.get("rel") == "next"]
    assert "number 0." in (await inbox.ask(f"/{older}")).body.decode()


async def test_the_list_says_which_addresses_misbehave(inbox: Box) -> None:
    text = Seen((await inbox.ask("/")).body.decode()).text
    for name in ("hang-after-dot", "defer", "refuse", "drop", "lost", "refuse-data"):
        assert f"{name}@…" in text
    assert "No mail has come yet" in text


async def test_a_search_keeps_to_its_words_on_the_next_page(inbox: Box) -> None:
    for at in range(60):
        await inbox.keep(letter(subject="a&b" if at else "other"))
    seen = Seen((await inbox.ask("/?q=a%26b")).body.decode())
    assert "59 mails found" in seen.text
    (older,) = [one["href"] for one in seen.all("a") if one.get("rel") == "next"]
    assert len(Seen((await inbox.ask(f"/{older}")).body.decode()).all("time")) == 9


async def test_a_mail_without_anything_has_a_page(inbox: Box) -> None:
    number = await inbox.keep(b"", sender="")
    seen = assert_tame((await inbox.ask(f"/mail/{number}")).body.decode())
    assert "(no subject)" in seen.text
    assert not seen.all("iframe")
    assert "<> to ada@example.com" in seen.text


@pytest.mark.parametrize("path", ["/mail/7", "/mail/x", "/mail/7/html"])
async def test_a_mail_that_is_not_there_has_a_page_that_says_so(inbox: Box, path: str) -> None:
    answer = await inbox.ask(path)
    seen = assert_tame(answer.body.decode())
    assert answer.status == 404
    assert "there is no mail" in seen.text
    assert "What to do: take an id from /messages" in seen.text

"""The inbox's answers: lists, single mails, questions by Message-ID, and what goes wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import asgi
from inbox_steps import Box, box, letter
from obverse.sandboxes.inbox import open_inbox
from obverse.sandboxes.inbox.store import Arrival


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Box]:
    async with box(tmp_path) as opened:
        yield opened


async def test_an_empty_inbox_says_so(inbox: Box) -> None:
    assert await inbox.json("/messages") == {"messages": [], "next": None, "total": 0, "distinct": 0}
    assert await inbox.json("/figures") == {"messages": 0, "distinct": 0}
    assert await inbox.json("/health") == {"status": "ok"}


async def test_a_mail_is_told_in_the_list_and_whole(inbox: Box) -> None:
    raw = letter("Hello Ada", message_id="<one@x>", **{"from": "=?utf-8?q?Zo=C3=AB?= <zoe@example.com>"})
    number = await inbox.keep(raw, sender="bounces@example.com", to=("ada@example.com", "bcc@example.com"))
    told = {
        "id": number,
        "message_id": "<one@x>",
        "from": "Zoë <zoe@example.com>",
        "to": ["ada@example.com"],
        "subject": "Hello",
        "received_at": "2023-11-14T22:13:20.123Z",
        "bytes": len(raw),
        "preview": "Hello Ada",
    }
    assert await inbox.json("/messages") == {"messages": [told], "next": None, "total": 1, "distinct": 1}
    assert await inbox.json(f"/messages/{number}") == {
        **told,
        "headers": [
            ["From", "Zoë <zoe@example.com>"],
            ["To", "ada@example.com"],
            ["Subject", "Hello"],
            ["Message-Id", "<one@x>"],
        ],
        "text": "Hello Ada\n",
        "html": None,
        "attachments": [],
        "envelope_from": "bounces@example.com",
        "envelope_to": ["ada@example.com", "bcc@example.com"],
    }


async def test_a_mail_is_saved_as_it_came(inbox: Box) -> None:
    raw = b"Subject: \xff\x00\r\nno end of headers\r\n\x00\xfe\n\r"
    answer = await inbox.ask(f"/messages/{await inbox.keep(raw)}/raw")
    assert answer.body == raw
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"] == 'attachment; filename="message-1.eml"'
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pages_go_from_the_newest_to_the_oldest_whatever_comes_between(inbox: Box) -> None:
    numbers = [await inbox.keep(letter(subject=f"m{at}")) for at in range(7)]
    seen: list[str] = []
    target = "/messages?limit=3"
    while True:
        page = await inbox.json(target)
        seen += [one["id"] for one in page["messages"]]
        await inbox.keep(letter(subject="newer"))
        if page["next"] is None:
            break
        target = f"/messages?limit=3&after={page['next']}"
    assert seen == numbers[::-1]
    assert (await inbox.json("/messages?limit=7"))["total"] == 10


async def test_a_page_that_is_just_full_is_the_last(inbox: Box) -> None:
    for _ in range(3):
        await inbox.keep(letter())
    assert (await inbox.json("/messages?limit=3"))["next"] is None
    assert (await inbox.json("/messages?limit=2"))["next"] is not None


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"to": "ada@example.com"}, ["3", "1"]),
        ({"to": "ADA@Example.com"}, ["3", "1"]),
        ({"to": "Ada <ada@example.com>"}, ["3", "1"]),
        ({"to": "hidden@example.com"}, ["2"]),
        ({"to": "copied@example.com"}, ["1"]),
        ({"to": "example.com"}, []),
        ({"q": "WELCOME"}, ["2", "1"]),
        ({"q": "grüSSe"}, ["3"]),
        ({"q": "%"}, []),
        ({"q": "bob@"}, ["2"]),
        ({"q": "welcome", "to": "ada@example.com"}, ["1"]),
    ],
)
async def test_mails_are_found_by_recipient_and_text(inbox: Box, filters: dict[str, str], found: list[str]) -> None:
    await inbox.keep(letter("one", subject="Welcome, Ada", cc="copied@example.com"))
    await inbox.keep(letter("Be welcome", to="Bob <bob@example.com>"), to=("bob@example.com", "hidden@example.com"))
    await inbox.keep(letter("Viele Grüße"))
    page = await inbox.json(f"/messages?{urlencode(filters)}")
    assert [one["id"] for one in page["messages"]] == found
    assert page["total"] == page["distinct"] == len(found)


async def test_the_same_mail_twice_is_kept_twice_and_counted_once_as_distinct(inbox: Box) -> None:
    for name in ("a", "a", "b"):
        await inbox.keep(letter(message_id=f"<{name}@x>"))
    for _ in range(2):
        await inbox.keep(letter())
    assert await inbox.figures() == (5, 4)
    page = await inbox.json("/messages?limit=1")
    assert (page["total"], page["distinct"]) == (5, 4)
    found = await inbox.json("/by-message-id/a%40x")
    assert (found["count"], [one["id"] for one in found["messages"]]) == (2, ["2", "1"])


@pytest.mark.parametrize("name", ["a@x", "a/b?c=d#e@x", "100%25@x", "Zoë+1@x", "..", "a\\b@x", "=?utf-8?q?a?=@x"])
async def test_a_mail_is_found_by_its_message_id_with_and_without_brackets(inbox: Box, name: str) -> None:
    number = await inbox.keep(letter(message_id=f"<{name}>"))
    await inbox.keep(letter(message_id="<other@x>"))
    for asked in (name, f"<{name}>"):
        found = await inbox.json(f"/by-message-id/{quote(asked, safe='')}")
        assert (found["count"], [one["id"] for one in found["messages"]]) == (1, [number])


async def test_a_message_id_that_never_came_counts_none(inbox: Box) -> None:
    await inbox.keep(letter())
    for name in ("never@x", "%3C%3E", "%00"):
        assert await inbox.json(f"/by-message-id/{name}") == {"count": 0, "messages": []}


async def test_an_emptied_inbox_keeps_nothing_and_uses_no_id_again(tmp_path: Path) -> None:
    async with box(tmp_path) as inbox:
        for _ in range(20):
            await inbox.keep(letter("Wilhelmina " * 1000))
    assert b"Wilhelmina" in everything_in(tmp_path)
    async with box(tmp_path) as inbox:
        answer = await inbox.ask("/messages", method="DELETE")
        assert (answer.status, answer.body) == (204, b"")
        assert await inbox.figures() == (0, 0)
        assert b"Wilhelmina" not in everything_in(tmp_path)
        assert len(everything_in(tmp_path)) < 150_000
        assert (await inbox.ask("/messages/1")).status == 404
        assert await inbox.keep(letter()) == "21"


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_the_oldest_make_room(tmp_path: Path) -> None:
    async with box(tmp_path, keep=3) as inbox:
        for at in range(5):
            await inbox.keep(letter(message_id=f"<{at}@x>"))
        page = await inbox.json("/messages")
        assert ([one["id"] for one in page["messages"]], page["total"]) == (["5", "4", "3"], 3)
        assert (await inbox.ask("/messages/2/raw")).status == 404
        assert (await inbox.json("/messages?to=ada@example.com"))["total"] == 3


async def test_all_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    async with box(tmp_path) as inbox:
        await inbox.keep(letter(message_id="<a@x>"))
    async with box(tmp_path) as inbox:
        assert await inbox.keep(letter()) == "2"
        assert (await inbox.json("/by-message-id/a@x"))["count"] == 1


def assert_problem(answer: asgi.Answer, status: int, *words: str) -> Any:
    """RFC 9457, with what to do."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"].startswith("urn:obverse:problem:")
    assert problem["remedy"]
    for word in words:
        assert word in problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("target", "status", "word"),
    [
        ("/messages?limit=0", 400, "limit"),
        ("/messages?limit=501", 400, "limit"),
        ("/messages?limit=x", 400, "limit"),
        ("/messages?limit=", 400, "limit"),
        ("/messages?after=-1", 400, "after"),
        ("/messages?after=9223372036854775808", 400, "after"),
        ("/messages/1", 404, "no mail '1'"),
        ("/messages/x", 404, "no mail 'x'"),
        ("/messages/0", 404, "no mail '0'"),
        ("/messages/9223372036854775808", 404, "no mail"),
        ("/messages/1/raw", 404, "no mail '1'"),
        ("/nowhere", 404, "nothing at this address"),
        ("/messages/", 404, "nothing at this address"),
    ],
)
async def test_what_cannot_be_had_is_told(inbox: Box, target: str, status: int, word: str) -> None:
    assert_problem(await inbox.ask(target), status, word)


async def test_a_method_that_an_address_does_not_take_is_told_with_those_that_it_does(inbox: Box) -> None:
    answer = await inbox.ask("/messages", method="PUT")
    assert "DELETE" in assert_problem(answer, 405)["remedy"]
    assert {one.strip() for one in answer.headers["allow"].split(",")} == {"GET", "HEAD", "DELETE"}


async def test_a_damaged_file_is_told(inbox: Box) -> None:
    await inbox.keep(letter())
    await inbox.inbox._commits.alone(lambda: inbox.inbox._writer._db.execute("DROP TABLE recipients"))
    problem = assert_problem(await inbox.ask("/messages?to=a@b"), 503, "recipients")
    assert "disk" in problem["remedy"]


async def test_a_disk_that_is_full_keeps_what_it_has_and_takes_more_when_there_is_room(inbox: Box) -> None:
    await inbox.keep(letter(message_id="<a@x>"))
    await inbox.grow_to(1)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await inbox.keep(letter("x" * 100_000))
    assert await inbox.figures() == (1, 1)
    await inbox.grow_to(1_000_000)
    assert await inbox.keep(letter(message_id="<b@x>")) == "2"


async def test_a_mail_that_cannot_be_kept_is_no_reason_to_refuse_those_beside_it(inbox: Box) -> None:
    await inbox.keep(letter("x" * 20_000))
    await inbox.ask("/messages", method="DELETE")
    await inbox.grow_to(20)
    commits = inbox.inbox._commits
    sizes = (10, 1_000_000, 20, 30)
    waiting = [commits.keep(Arrival(letter("x" * size), "a@b", ("c@d",), 0)) for size in sizes]
    for kept, size in zip(waiting, sizes, strict=True):
        if size == 1_000_000:
            with pytest.raises(sqlite3.OperationalError, match="full"):
                await kept
        else:
            await kept
    assert await inbox.figures() == (3, 3)


async def test_a_mail_is_kept_whole_or_not_at_all(inbox: Box) -> None:
    await inbox.inbox._commits.alone(lambda: inbox.inbox._writer._db.execute("ALTER TABLE raws RENAME TO gone"))
    with pytest.raises(sqlite3.OperationalError, match="raws"):
        await inbox.keep(letter(message_id="<a@x>"))
    assert await inbox.figures() == (0, 0)
    await inbox.inbox._commits.alone(lambda: inbox.inbox._writer._db.execute("ALTER TABLE gone RENAME TO raws"))
    assert await inbox.keep(letter(message_id="<a@x>")) == "1"


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"most_bytes": 0}])
async def test_an_inbox_that_could_keep_nothing_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give at least 1"):
        await open_inbox(tmp_path, **wrong)


async def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        await open_inbox(tmp_path)


async def test_it_works_beneath_another_address(inbox: Box) -> None:
    number = await inbox.keep(letter(message_id="<a@x>"))
    app = Starlette(routes=[Mount("/inbox", inbox.inbox.app)])
    assert (await asgi.ask(app, "/inbox/by-message-id/a@x")).json["count"] == 1
    assert (await asgi.ask(app, f"/inbox/messages/{number}")).status == 200
    page = (await asgi.ask(app, "/inbox/")).body.decode()
    assert f'href="mail/{number}"' in page
    assert 'href="/' not in page
    missing = await asgi.ask(app, "/inbox/mail/7")
    assert (missing.status, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")

"""Mails are read however broken they are, and what SMTP adds to them is taken away."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_steps import letter
from obverse.sandboxes.inbox.letters import Letter
from obverse.sandboxes.inbox.mime import normal_message_id, read_mail
from obverse.sandboxes.inbox.words import text_of_html

MAILS = Path(__file__).parents[1] / "data" / "mails"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("=?utf-8?q?Zo=C3=AB?=", "Zoë"),
        ("=?UTF-8?B?5L2g5aW9?= =?utf-8?b?8J+YgA==?=", "你好\U0001f600"),
        # One character, a half of it in each word.
        ("=?utf-8?b?8J8=?= =?utf-8?b?mIA=?=", "\U0001f600"),
        ("=?iso-8859-1*de?q?Gr=FC=DFe?= an alle", "Grüße an alle"),
        ("Re: =?utf-8?q?a?= b =?utf-8?q?c?=", "Re: a b c"),
        ("=?nonsense-99?q?caf=C3=A9?=", "café"),
        ("=?utf-8?q?Subject=0D=0ABcc=3A_x=40y.z?=", "Subject  Bcc: x@y.z"),
        ("=?utf-8?b?!!!?= stays", "=?utf-8?b?!!!?= stays"),
        ("Zoë, written as it is", "Zoë, written as it is"),
        ("folded\r\n over lines", "folded over lines"),
        ("turned \u202egnp.exe", "turned gnp.exe"),
    ],
)
def test_a_subject_is_told_as_people_read_it(written: str, told: str) -> None:
    assert read_mail(letter(subject=written)).subject == told


def test_octets_that_are_no_text_in_their_charset_are_some_text() -> None:
    raw = b"Subject: caf\xe9 \xff\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nna\xefve\x00\r\n"
    content = read_mail(raw)
    assert content.subject == "café ÿ"
    assert content.text == "naïve\ufffd\n"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"no headers at all, only words\r\n", "no headers at all, only words\n"),
        (b"\r\nbody\r\n", "body\n"),
        (b"\x00\x00\x00", "\ufffd\ufffd\ufffd"),
        (b"Content-Type: text/plain; charset=\xff\r\n\r\nx", "x"),
        (b"Content-Type: text/plain; charset=punycode\r\n\r\nx\xff", "xÿ"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nnot base64 at all!", None),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", "no boundary"),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nunfinished", "unfinished"),
    ],
)
def test_what_is_hardly_a_mail_is_shown(raw: bytes, text: str | None) -> None:
    content = read_mail(raw)
    if text is None:
        assert content.text
    else:
        assert content.text == text
    assert content.message_id is None


NESTED = b"""\
From: =?utf-8?q?Ada=2C_the_first?= <ada@example.com>
To: "Bob, jr." <bob@example.com>, =?utf-8?q?Zo=C3=AB?= <ZOE@example.com>
Cc: team:a@example.com, b@example.com;
Subject: all parts
Message-ID:
 <nested@example.com>
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/related; boundary=middle

--middle
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PGI+R3LDvMOfZTwvYj4=
--inner--
--middle
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-ID: <pic>

iVBORw0KGgo=
--middle--
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename*=utf-8''R%C3%A9sum%C3%A9.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQ=
--outer
Content-Type: text/plain; name="notes.txt"
Content-Disposition: attachment

later
--outer
Content-Type: message/rfc822

Subject: inside

another mail
--outer--
""".replace(b"\n", b"\r\n")


def test_nested_parts_are_told_apart() -> None:
    content = read_mail(NESTED)
    assert (content.text, content.html) == ("Grüße", "<b>Grüße</b>")
    assert [(one.name, one.type, one.bytes) for one in content.attachments] == [
        ("", "image/png", 8),
        ("Résumé.pdf", "application/pdf", 8),
        ("notes.txt", "text/plain", 5),
        ("", "message/rfc822", 29),
    ]
    assert content.sender == "Ada, the first <ada@example.com>"
    assert content.to == ("Bob, jr. <bob@example.com>", "Zoë <ZOE@example.com>")
    assert content.cc == ("a@example.com", "b@example.com")
    assert content.message_id == "<nested@example.com>"


@pytest.mark.parametrize(
    ("name", "subject", "message_id", "words"),
    [
        ("broken-mime", "Undeliverable Mail", "<11207092237.AA1808414764@example.com>", "Delivery failed 10 attempts"),
        ("delayed-broken", "", None, None),
        (
            "delayed",
            "Returned mail: Cannot send message for 5 days",
            "<199407072116.RAA14128@CS.EXAMPLE.COM>",
            "Message could not be delivered for 5 days",
        ),
        ("gmail-no-dns", "Delivery Status Notification (Failure)", None, "DNS Error: Domain name not found"),
        ("zed", "Undelivered Mail Returned to Sender", "<20090708054739.270231E8B13@mail.example.com>", "I'm sorry"),
    ],
)
def test_bounces_as_they_come(name: str, subject: str, message_id: str | None, words: str | None) -> None:
    content = read_mail((MAILS / f"{name}.eml").read_bytes())
    assert (content.subject, content.message_id) == (subject, message_id)
    assert (words or "") in (content.text or "")
    assert (content.text is None) == (words is None)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("<a@b>", "<a@b>"),
        ("  a@b ", "<a@b>"),
        ("<a@b> (a comment)", "<a@b>"),
        # Inside of its brackets nothing is encoded; who encodes, encodes all.
        ("<=?utf-8?q?a?=@b>", "<=?utf-8?q?a?=@b>"),
        ("=?utf-8?b?PMO8QGI+?=", "<ü@b>"),
        ("<ü@b>", "<ü@b>"),
        ("<>", None),
    ],
)
def test_a_message_id_is_known_however_it_is_written(written: str, told: str | None) -> None:
    assert read_mail(letter(message_id=written)).message_id == told
    assert normal_message_id(told or "") == told


def test_of_two_message_ids_the_first_counts() -> None:
    assert read_mail(b"Message-ID: <a@b>\r\n" + letter(message_id="<c@d>")).message_id == "<a@b>"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>Ada</b></p>", "Hello Ada"),
        ("<style>p{}</style><script>x('<p>no</p>')</script>yes", "yes"),
        ("a <!-- no <b>no</b> --> b", "a b"),
        ("1 < 2 &amp; 3 &gt; 2", "1 < 2 & 3 > 2"),
        ("<title>no</title>&lt;b&gt;", "<b>"),
    ],
)
def test_html_is_read_as_text(html: str, text: str) -> None:
    assert " ".join(text_of_html(html).split()) == text


def test_the_preview_is_short_and_on_one_line() -> None:
    preview = read_mail(letter("one\r\n\r\n  two\t" + "word " * 100)).preview()
    assert preview.startswith("one two word word")
    assert preview.endswith("…")
    assert len(preview) <= 140


PIECES = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: text/html; charset=",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: uuencode\r\n",
        b"Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=\"\xff\r\n",
        b"Content-Disposition: attachment; filename==?utf-8?b?/w==?=\r\n",
        b"Message-ID: ",
        b"From: ",
        b'To: a@b, "\xff" <',
        b"=?utf-8?b?7aCA?=",
        b"--b\r\n",
        b"--b--\r\n",
        b"\r\n",
        b"begin 644 x\r\n",
        b"((((",
        b"\x00",
        "Zoë\u202e\U0001f600".encode(),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=30))
@settings(max_examples=300, deadline=None)
def test_nothing_that_comes_cannot_be_told_as_json(pieces: list[bytes]) -> None:
    content = read_mail(b"".join(pieces))
    told = json.loads(msgspec.json.encode(content))
    # SQLite keeps what UTF-8 can write, and no more.
    (content.readable() + content.preview() + str(told)).encode()
    assert all("\n" not in value and "\r" not in value for _, value in content.headers)


@pytest.mark.parametrize(
    "raw",
    [
        letter(to="(" * 200_000),
        letter(to='"' * 200_001),
        letter(to="a@b," * 100_000),
        letter(subject="=?a?q?" * 50_000),
        letter("<!--" * 100_000, content_type="text/html"),
        letter("<" * 200_000, content_type="text/html"),
        b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(400)),
        b"x: " + b"\r\n y" * 100_000,
    ],
    ids=["comment", "quotes", "addresses", "words", "comments", "tags", "nesting", "folds"],
)
def test_a_mail_that_is_made_to_be_slow_is_not(raw: bytes) -> None:
    began = process_time()
    content = read_mail(raw)
    content.preview()
    assert process_time() - began < 2


# What SMTP adds.


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        # A dot on a line of its own ends a mail only if the lines end as SMTP says: nobody smuggles one in another.
        (b"a\n.\nb\r.\rc\r\n.\nd\n.\r\n\r\n.\r\n", b"a\n.\nb\r.\rc\r\n\nd\n.\r\n\r\n"),
        (b"\x00\xff" + b"x" * 100_000 + b"\r\n.\r\n", b"\x00\xff" + b"x" * 100_000 + b"\r\n"),
    ],
)
def test_a_mail_ends_at_its_last_dot_however_it_is_cut(sent: bytes, kept: bytes) -> None:
    sizes = (1, 2, 3, 5, 7, 1000) if len(sent) < 1000 else (999, 65_536)
    for size in sizes:
        taken = Letter(1 << 20)
        stream = sent + b"QUIT\r\n"
        at, rest = 0, None
        while rest is None:
            rest = taken.feed(stream[at : at + size])
            at += size
        assert taken.content() == kept
        assert rest + stream[at:] == b"QUIT\r\n"


@given(st.binary(max_size=60), st.lists(st.integers(1, 20), min_size=1))
def test_what_is_sent_is_what_is_kept(body: bytes, cuts: list[int]) -> None:
    body = body.replace(b"\xff", b"\r\n.")
    raw = body + b"\r\n"
    stream = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in raw.split(b"\r\n")) + b".\r\n"
    taken = Letter(1000)
    rest = None
    for cut in cuts * len(stream):
        rest = taken.feed(stream[:cut])
        stream = stream[cut:]
        if rest is not None:
            break
    assert rest == b""
    assert taken.content() == raw


@pytest.mark.parametrize(("size", "too_large"), [(99, False), (100, False), (101, True), (100_000, True)])
def test_a_mail_is_weighed_without_the_dots_that_smtp_adds(size: int, *, too_large: bool) -> None:
    for line in (b"." * 8, b"x" * 8):
        body = (line + b"\r\n") * (size // 10 + 1)
        body = body[: size - 2] + b"\r\n"
        sent = b"".join(b"." + one if one.startswith(b".") else one for one in body.splitlines(keepends=True))
        taken = Letter(100)
        for at in range(0, len(sent), 17):
            assert taken.feed(sent[at : at + 17]) is None
        assert taken.feed(b".\r\nMORE") == b"MORE"
        assert taken.too_large == too_large
        assert too_large or taken.content() == body
        assert len(taken._held) < 300

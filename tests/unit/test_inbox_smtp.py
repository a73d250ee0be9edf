"""The inbox takes mail over real SMTP, from clients that are not ours, and keeps what it answers for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import smtplib
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiosmtplib
import pytest
import uvloop

from inbox_steps import Box, box, letter, running_box, until
from obverse.sandboxes.inbox.sessions import Session

pytestmark = pytest.mark.service

SENDER, ADA = "shop@example.com", "ada@example.com"


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path, most_bytes=100_000) as opened:
        yield opened


@contextlib.asynccontextmanager
async def line(inbox: Box) -> AsyncIterator[aiosmtplib.SMTP]:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=inbox.port, timeout=5)
    await client.connect()
    await client.ehlo()
    try:
        yield client
    finally:
        client.close()


async def talk(inbox: Box, *said: bytes) -> list[str]:
    """Say all of it, each when the one before is answered; what was answered, the greeting left out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
    answers: list[str] = []
    try:
        async with asyncio.timeout(5):
            await reader.readline()
            for one in said:
                writer.write(one)
                commands = 1 if one.startswith(b"Subject") else one.count(b"\r\n")
                answers += [await _answer(reader) for _ in range(commands)]
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answers


async def _answer(reader: asyncio.StreamReader) -> str:
    while (told := (await reader.readline()).decode())[3:4] == "-":
        pass
    return told.rstrip()


async def give(client: aiosmtplib.SMTP, raw: bytes, *to: str, options: Sequence[str] = ()) -> None:
    await client.mail(SENDER, options=options)
    for one in (ADA, *to):
        await client.rcpt(one)
    await client.data(raw)


async def count(inbox: Box, name: str) -> int:
    told: int = (await inbox.json(f"/by-message-id/{name}"))["count"]
    return told


async def test_it_says_what_it_can(inbox: Box) -> None:
    async with line(inbox) as client:
        assert {"size", "8bitmime", "smtputf8", "pipelining"} <= set(client.esmtp_extensions)
        assert client.esmtp_extensions["size"] == "100000"


async def test_a_mail_is_kept_as_it_was_sent(inbox: Box) -> None:
    raw = letter("\r\n".join(["..", ".", "", "x" * 5000, "Zoë \x00"]), message_id="<a@x>")
    async with line(inbox) as client:
        errors, told = await client.sendmail(SENDER, [ADA, "zoë@bücher.example"], raw, mail_options=["SMTPUTF8"])
    assert (errors, told.startswith("2.0.0 kept as 1")) == ({}, True)
    assert (await inbox.ask("/messages/1/raw")).body == raw
    mail = await inbox.json("/messages/1")
    assert (mail["envelope_from"], mail["envelope_to"]) == (SENDER, [ADA, "zoë@bücher.example"])


async def test_the_standard_librarys_client_is_content_too(inbox: Box) -> None:
    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", inbox.port, timeout=5) as client:
            client.sendmail("", [ADA], letter(message_id="<a@x>"))
            return client.sendmail(SENDER, [ADA, "refuse@example.com"], letter(message_id="<a@x>"))

    refused = await asyncio.to_thread(send)
    assert refused["refuse@example.com"][0] == 550
    assert await count(inbox, "a@x") == 2
    assert (await inbox.json("/messages/1"))["envelope_from"] == ""


async def test_many_send_at_once(inbox: Box) -> None:
    async def send(name: str) -> None:
        async with line(inbox) as client:
            for at in range(5):
                await client.sendmail(SENDER, [ADA], letter(message_id=f"<{name}-{at}@x>"))

    await asyncio.gather(*(send(f"c{at}") for at in range(30)))
    assert await inbox.figures() == (150, 150)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"RCPT TO:<nobody>", "553"),
        (b"RCPT TO:<@x>", "553"),
        (b"RCPT TO:<a b@x>", "553"),
        (b"RCPT TO:<a@x", "553"),
        (b"RCPT TO:<a@-x>", "553"),
        (b"RCPT TO:<>", "553"),
        (b"RCPT TO:", "501"),
        (b"RCPT TO:<a@\xff>", "553"),
        ("RCPT TO:<zoë@x>".encode(), "553"),
        (b"RCPT TO:<a@x> NOTIFY=NEVER", "555"),
        (b"DATA", "503"),
        (b"RCPT TO:<a@x>", "250"),
        (b'RCPT TO:<"a b"@x.y>', "250"),
        (b"RCPT TO:<a+b=c/d@[127.0.0.1]>", "250"),
        (b"RCPT TO: a@x", "250"),
        (b"RCPT TO:<postmaster>", "250"),
        (b"RCPT TO:<defer@x>", "451"),
        (b"RCPT TO:<DEFER+more@x>", "451"),
        (b"RCPT TO:<refuse@x>", "550"),
        (b"RCPT TO:<refused@x>", "250"),
        (b"RCPT TO:<x@refuse.example>", "250"),
    ],
)
async def test_an_address_is_taken_or_told_what_is_wrong(inbox: Box, said: bytes, code: str) -> None:
    answers = await talk(inbox, b"EHLO me\r\n", b"MAIL FROM:<a@x>\r\n", said + b"\r\n")
    assert answers[1].startswith("250")
    assert answers[2].startswith(code)


async def test_commands_may_come_all_at_once(inbox: Box) -> None:
    begin = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<defer@x>\r\nDATA\r\n"
    answers = await talk(inbox, b"EHLO me\r\n", begin, b"Subject: x\r\n.\r\n", b"NOOP\r\n" + begin)
    assert [one[:3] for one in answers] == ["250", "250", "250", "451", "354", "250", "250", "250", "250", "451", "354"]
    assert await inbox.figures() == (1, 1)


@pytest.mark.parametrize("told", [True, False])
async def test_a_mail_that_is_too_large_is_refused_and_the_next_is_taken(inbox: Box, *, told: bool) -> None:
    raw = letter("x" * 100_000)
    async with line(inbox) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await give(client, raw, options=[f"SIZE={len(raw)}"] if told else [])
        assert caught.value.code == 552
        await client.rset()
        await client.sendmail(SENDER, [ADA], letter())
    assert await inbox.figures() == (1, 1)


async def test_mails_that_are_hardly_any_are_kept(inbox: Box) -> None:
    raws = [
        b"\r\n",
        b"\x00\r\n",
        b"\xff\xfe no headers\r\n",
        b"Content-Type: multipart/mixed; boundary=\xff\r\n\r\n--\r\n",
    ]
    async with line(inbox) as client:
        for raw in raws:
            await give(client, raw)
    kept = [(await inbox.ask(f"/messages/{at}/raw")).body for at in range(1, len(raws) + 1)]
    assert kept == raws
    for at in range(1, len(raws) + 1):
        await inbox.json(f"/messages/{at}")


async def test_a_mail_that_breaks_off_is_not_kept(inbox: Box) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
    writer.write(b"EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
    async with asyncio.timeout(5):
        while not (await reader.readline()).startswith(b"354"):
            pass
    writer.write(b"Message-ID: <a@x>\r\n\r\nhalf of it\r\n")
    writer.close()
    await writer.wait_closed()
    await until(lambda: not sessions(inbox))
    assert await count(inbox, "a@x") == 0


def sessions(inbox: Box) -> Sequence[Session]:
    return list(inbox.inbox._reception._sessions)


@pytest.mark.parametrize(("name", "kept"), [("drop", 1), ("lost", 0), ("hang-after-dot", 1)])
async def test_an_address_is_treated_as_it_asks(inbox: Box, name: str, kept: int) -> None:
    async with line(inbox) as client:
        client.timeout = 0.2
        gone = aiosmtplib.SMTPTimeoutError if name == "hang-after-dot" else aiosmtplib.SMTPServerDisconnected
        with pytest.raises(gone):
            await give(client, letter(message_id="<a@x>"), f"{name}+1@example.com")
        assert await count(inbox, "a@x") == kept


async def test_a_refusal_after_the_last_dot_keeps_nothing_and_the_session_goes_on(inbox: Box) -> None:
    async with line(inbox) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, ["refuse-data@example.com"], letter())
        assert caught.value.code == 554
        await client.sendmail(SENDER, [ADA], letter())
    assert await inbox.figures() == (1, 1)


async def test_a_disk_that_is_full_is_told_as_not_now(inbox: Box) -> None:
    await inbox.grow_to(1)
    async with line(inbox) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, [ADA], letter("x" * 90_000, message_id="<a@x>"))
        assert (caught.value.code, "make room" in caught.value.message) == (451, True)
        assert await count(inbox, "a@x") == 0
        await inbox.grow_to(1_000_000)
        await client.sendmail(SENDER, [ADA], letter("x" * 90_000, message_id="<a@x>"))
    assert await count(inbox, "a@x") == 1


async def test_a_question_waits_for_a_mail_whose_last_dot_was_sent(inbox: Box) -> None:
    await hand_over_and_ask(inbox)


async def hand_over_and_ask(inbox: Box) -> None:
    for at in range(20):
        async with handed_over(inbox, f"m{at}@x"):
            assert await count(inbox, f"m{at}@x") == 1


@contextlib.asynccontextmanager
async def handed_over(inbox: Box, name: str) -> AsyncIterator[None]:
    """The client has given its system the whole of a mail, and the inbox had no time to look at it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
    writer.write(b"EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
    async with asyncio.timeout(5):
        while not (await reader.readline()).startswith(b"354"):
            pass
    writer.write(letter("x" * 50_000, message_id=f"<{name}>") + b".\r\n")
    yield
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_question_that_cannot_be_answered_yet_is_not_answered_with_no(inbox: Box) -> None:
    patience, inbox.inbox._reception._patience = inbox.inbox._reception._patience, -1
    async with handed_over(inbox, "a@x"):
        answer = await inbox.ask("/by-message-id/a@x")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["remedy"]
        inbox.inbox._reception._patience = patience
        assert await count(inbox, "a@x") == 1


async def test_a_question_waits_for_a_commit(inbox: Box) -> None:
    free = threading.Event()
    held = asyncio.ensure_future(inbox.inbox._commits.alone(lambda: free.wait(10)))
    async with line(inbox) as client:
        sending = asyncio.ensure_future(client.sendmail(SENDER, [ADA], letter(message_id="<a@x>")))
        await until(lambda: bool(inbox.inbox._commits._pending))
        asking = asyncio.ensure_future(count(inbox, "a@x"))
        done, _ = await asyncio.wait([asking, sending], timeout=0.1)
        assert not done
        free.set()
        assert await asking == 1
        await sending
    await held


async def test_a_client_that_only_waits_holds_no_question_up(inbox: Box) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
    writer.write(b"EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nSubject: half")
    async with asyncio.timeout(5):
        while not (await reader.readline()).startswith(b"354"):
            pass
        assert await count(inbox, "a@x") == 0
    writer.close()
    await writer.wait_closed()


async def test_sessions_end_in_good_order(tmp_path: Path) -> None:
    async with running_box(tmp_path) as inbox:
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", inbox.port)
        await idle_reader.readline()
        async with line(inbox) as client, asyncio.timeout(5):
            free = threading.Event()
            held = asyncio.ensure_future(inbox.inbox._commits.alone(lambda: free.wait(10)))
            sending = asyncio.ensure_future(client.sendmail(SENDER, [ADA], letter(message_id="<a@x>")))
            await until(lambda: bool(inbox.inbox._commits._pending))
            (work,) = [one for one in asyncio.all_tasks() if "serve_smtp" in repr(one.get_coro())]
            work.cancel()
            assert (await idle_reader.readline()).startswith(b"421 ")
            assert await idle_reader.read() == b""
            free.set()
            # What was handed over is answered before the goodbye.
            assert (await sending)[1].startswith("2.0.0 kept")
            await held
        idle.close()
        await idle.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", inbox.port)
        assert await count(inbox, "a@x") == 1


def test_the_loop_that_our_processes_run_on_does_all_of_it_too(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with running_box(tmp_path) as inbox:
            await hand_over_and_ask(inbox)
            for name, kept in (("drop", 1), ("lost", 0), ("hang-after-dot", 1)):
                async with line(inbox) as client:
                    client.timeout = 0.2
                    with contextlib.suppress(aiosmtplib.SMTPException):
                        await give(client, letter(message_id=f"<{name}@x>"), f"{name}@example.com")
                assert await count(inbox, f"{name}@x") == kept
            async with line(inbox) as client:
                await client.sendmail(SENDER, [ADA], letter())
        assert await asyncio.open_connection("127.0.0.1", inbox.port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(ConnectionRefusedError):
        runner.run(all_of_it())


SERVE = """
import sys
from pathlib import Path
from obverse.apps import http_door, processes
from obverse.sandboxes.inbox import open_inbox
async def serve():
    inbox = await open_inbox(Path(sys.argv[1]))
    door = http_door.listen("127.0.0.1", 0, "test")
    print(door.getsockname()[1], flush=True)
    await inbox.serve_smtp(door)
processes.run(serve())
"""


async def test_every_mail_that_was_answered_survives_a_kill_exactly_once(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    answered: list[str] = []
    sent = 0
    for turn in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, str(folder), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))

        async def send(name: str, port: int = port) -> None:
            nonlocal sent
            async with line(Box(None, port)) as client:  # type: ignore[arg-type]  # only its port is asked for
                at = 0
                with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                    while True:
                        sent += 1
                        await client.sendmail(SENDER, [ADA], letter("x" * 3000, message_id=f"<{name}-{at}@x>"))
                        answered.append(f"{name}-{at}@x")
                        at += 1

        sending = [asyncio.ensure_future(send(f"t{turn}c{one}")) for one in range(4)]
        before = len(answered)
        await until(lambda before=before: len(answered) > before + 60)  # type: ignore[misc]  # mypy knows no lambda with a default
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*sending)
    async with box(folder) as inbox:
        assert [await count(inbox, name) for name in answered] == [1] * len(answered)
        messages, distinct = await inbox.figures()
    # Those that were not answered may be there, but no more than once.
    assert len(answered) > 120
    assert len(answered) <= messages == distinct <= sent

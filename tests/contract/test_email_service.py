"""Every mail service keeps its promises."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from inbox_steps import running_box, serving
from obverse.adapters.memory.email_service import MemoryPost, MemoryServiceSettings, open_email_service
from obverse.adapters.runtime.system import open_runtime
from obverse.adapters.smtp import SmtpSettings, open_smtp
from obverse.adapters.smtp.local_inbox import LocalInboxSettings, open_local_inbox
from obverse.contracts.email_service import MAIL, Arrived, EmailServiceContract, Fate, Trouble, to
from obverse.core.mails import BadMail, Mail
from obverse.ports.email_service import EmailService, Outcome
from obverse.ports.outcomes import AccessRefused, Deferred, Done, Refused, Unknown, Unreachable
from relay import Relay, running

FATES: dict[str, Outcome] = {
    "refused@example.com": Refused("nobody of that name"),
    "deferred@example.com": Deferred("come back later"),
    "doubted@example.com": Unknown("no answer"),
    "lost@example.com": Unknown("no answer"),
}


class TestMemory(EmailServiceContract):
    can_be_asked = True

    async def open_service(self) -> EmailService:
        self.post = MemoryPost(fate=lambda mail: FATES.get(mail.to), loses=lambda mail: mail.to.startswith("lost@"))
        settings = MemoryServiceSettings(post=self.post, can_be_asked=self.can_be_asked)
        return await open_email_service(settings, open_runtime())

    async def open_troubled(self, trouble: Trouble) -> EmailService | None:
        if trouble == "wrong_key":
            return None
        post = MemoryPost(trouble=Unreachable(trouble, after=2))
        return await open_email_service(MemoryServiceSettings(post=post), open_runtime())

    async def arrived(self) -> Sequence[Arrived]:
        return [
            Arrived(
                message_id=mail.message_id,
                sender=f"{mail.sender_name} <{mail.sender}>",
                to=mail.to,
                subject=mail.subject,
                html=mail.html,
                text=mail.text,
                headers={name.lower(): value for name, value in mail.headers.items()},
            )
            for mail in self.post.mails
        ]

    def doomed(self, fate: Fate) -> Mail | None:
        return to(fate)


class TestMemoryThatCannotBeAsked(TestMemory):
    can_be_asked = False


class TestSmtp(EmailServiceContract):
    @pytest.fixture(autouse=True)
    async def running_relay(self) -> AsyncIterator[None]:
        async with running(Relay()) as self.relay, running(Relay(login=("shop", "secret"))) as self.guarded:
            yield

    async def open_service(self) -> EmailService:
        return await self.at(self.relay.port)

    async def at(self, port: int, **other: Any) -> EmailService:
        settings = SmtpSettings(host="127.0.0.1", port=port, tls="none", timeout=5.0)
        return await open_smtp(replace(settings, **other), open_runtime())

    async def open_troubled(self, trouble: Trouble) -> EmailService | None:
        if trouble == "wrong_key":
            return await self.at(self.guarded.port, username="shop", password="wrong")
        door = socket.create_server(("127.0.0.1", 0))
        self.doors = [door]
        port: int = door.getsockname()[1]
        if trouble == "gone":
            door.close()
        return await self.at(port, timeout=0.2)

    @pytest.fixture(autouse=True)
    def closed_doors(self) -> Iterator[None]:
        self.doors = list[socket.socket]()
        yield
        for door in self.doors:
            door.close()

    async def arrived(self) -> Sequence[Arrived]:
        return [_arrived(mail) for mail in self.relay.mails]

    def doomed(self, fate: Fate) -> Mail | None:
        return to(fate)

    async def test_one_connection_carries_a_batch_and_another_follows_one_that_broke(self) -> None:
        service = await self.open_service()

        await service.send([to("one"), to("refused"), to("two")])
        assert self.relay.sessions == 1
        outcomes = await service.send([to("doubted"), to("three"), to("closing"), to("four")])

        assert [type(one) for one in outcomes] == [Unknown, Done, Deferred, Done]
        assert self.relay.sessions == 4
        assert self.relay.recipients == [f"{name}@example.com" for name in ("one", "two", "doubted", "three", "four")]

    async def test_a_relay_that_hangs_after_the_last_dot_leaves_a_doubt(self) -> None:
        service = await self.at(self.relay.port, timeout=0.3)

        outcomes = await service.send([to("hung"), to("one")])

        assert [type(one) for one in outcomes] == [Unknown, Done]

    async def test_what_it_refuses_after_reading_is_refused(self) -> None:
        (outcome,) = await (await self.open_service()).send([to("content")])

        assert isinstance(outcome, Refused)
        assert "554" in outcome.reason

    async def test_what_a_relay_says_in_another_encoding_is_text_all_the_same(self) -> None:
        outcomes = await (await self.open_service()).send([to("latin"), to("thanks")])

        assert outcomes == [
            Refused("550 Empf\N{REPLACEMENT CHARACTER}nger unbekannt\N{REPLACEMENT CHARACTER}"),
            Done("angekommen, sch\N{REPLACEMENT CHARACTER}n"),
        ]

    async def test_it_signs_in(self) -> None:
        service = await self.at(self.guarded.port, username="shop", password="secret")

        assert [type(one) for one in await service.send([MAIL])] == [Done]

    async def test_a_relay_that_wants_us_to_sign_in_refuses_us_and_no_mail(self) -> None:
        service = await self.at(self.guarded.port)

        with pytest.raises(AccessRefused, match="530"):
            await service.send([to("one"), to("two")])

    async def test_what_is_on_the_wire_is_seven_bits_wide_and_its_lines_are_short(self) -> None:
        await (await self.open_service()).send([replace(MAIL, subject="Zoë " * 100, text="ü" * 3000, html="")])

        (raw,) = self.relay.raw
        assert raw.isascii()
        assert max(map(len, raw.split(b"\r\n"))) <= 998
        assert b"\n" not in raw.replace(b"\r\n", b"")

    async def test_domains_in_other_scripts_are_written_as_every_relay_takes_them(self) -> None:
        service = await self.open_service()

        done, refused = await service.send(
            [replace(MAIL, to="ada@bücher.example"), replace(MAIL, to="zoë@example.com")]
        )

        assert isinstance(done, Done)
        assert isinstance(refused, Refused)
        assert self.relay.recipients == ["ada@xn--bcher-kva.example"]

    async def test_a_password_is_not_sent_in_clear(self) -> None:
        with pytest.raises(ValueError, match="in clear"):
            await self.at(25, host="mail.example.com", password="secret")


@pytest.mark.service
class TestLocalInbox(EmailServiceContract):
    """The real inbox, over real SMTP and HTTP."""

    @pytest.fixture(autouse=True)
    async def running_inbox(self, tmp_path: Path) -> AsyncIterator[None]:
        async with running_box(tmp_path) as self.box, serving(self.box.inbox.app) as self.url:
            yield

    async def open_service(self) -> EmailService:
        return await self.at()

    async def at(self, **other: Any) -> EmailService:
        settings = LocalInboxSettings(inbox_port=self.box.port, inbox_url=self.url, timeout=5.0)
        return await open_local_inbox(replace(settings, **other), open_runtime())

    async def open_troubled(self, trouble: Trouble) -> EmailService | None:
        if trouble == "wrong_key":
            return None  # it knows no logins
        port = self.closed_port() if trouble == "gone" else self.hung_door.getsockname()[1]
        return await self.at(inbox_port=port, timeout=0.2)

    @pytest.fixture(autouse=True)
    def door_that_hangs(self) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", 0)) as self.hung_door:
            yield

    def closed_port(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as door:
            port: int = door.getsockname()[1]
        return port

    async def arrived(self) -> Sequence[Arrived]:
        numbers = [one["id"] for one in (await self.box.json("/messages?limit=500"))["messages"]]
        return [_arrived(await self.mail(number)) for number in reversed(numbers)]

    async def mail(self, number: str) -> EmailMessage:
        answer = await self.box.ask(f"/messages/{number}/raw")
        mail = message_from_bytes(answer.body, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        return mail

    def doomed(self, fate: Fate) -> Mail | None:
        names = {"refused": "refuse", "deferred": "defer", "doubted": "drop", "lost": "lost"}
        return to(names[fate])

    async def kept(self) -> list[str]:
        return [mail.to for mail in await self.arrived()]

    @pytest.mark.parametrize(
        ("name", "there"), [("drop", True), ("lost", False), ("hang-after-dot", True), ("drop+2", True)]
    )
    async def test_a_doubt_is_resolved_by_asking(self, name: str, *, there: bool) -> None:
        service = await self.at(timeout=0.5)

        outcomes = await service.send([to("one"), to(name), to("two")])

        assert [type(one) for one in outcomes] == [Done, Unknown, Done]
        assert service.limits.can_be_asked
        asked = [to(one).message_id for one in ("two", name, "never", "one")]
        assert list(await service.sent(asked)) == [True, there, False, True]
        assert (await self.kept()).count(to(name).to) == there

    async def test_what_is_refused_after_the_last_dot_is_refused_and_not_kept(self) -> None:
        service = await self.open_service()

        (outcome,) = await service.send([to("refuse-data")])

        assert isinstance(outcome, Refused)
        assert "554" in outcome.reason
        assert list(await service.sent([to("refuse-data").message_id])) == [False]

    async def test_a_mail_that_is_being_committed_is_waited_for(self) -> None:
        service = await self.at(timeout=0.3)
        commits = self.box.inbox._commits
        writing = threading.Event()
        held = asyncio.ensure_future(commits.alone(lambda: writing.wait(10)))

        (outcome,) = await service.send([to("one")])
        assert isinstance(outcome, Unknown)
        patient = await self.at(timeout=5.0)
        asking = asyncio.ensure_future(patient.sent([to("one").message_id]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asking), 0.1)
        writing.set()

        assert list(await asking) == [True]
        await held

    @pytest.mark.parametrize(
        "message_id", ["<a/b?c=d#e@x>", "<100%25@x>", "<=?utf-8?q?a?=@x>", f"<{'long' * 100}@x>", "<a b@x>", "a@x"]
    )
    async def test_any_message_id_is_known_again(self, message_id: str) -> None:
        service = await self.open_service()

        await service.send([replace(MAIL, message_id=message_id)])

        assert list(await service.sent([message_id])) == [True]

    async def test_a_mail_sent_twice_is_there_twice(self) -> None:
        service = await self.open_service()
        await service.send([MAIL])
        await service.send([MAIL])

        assert await self.kept() == [MAIL.to] * 2

    async def test_where_nothing_listens_nothing_was_sent_and_nothing_is_known(self) -> None:
        port = self.closed_port()
        service = await self.at(inbox_port=port, inbox_url=f"http://127.0.0.1:{port}")

        with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
            await service.send([to("one"), to("two")])
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port}.*see that it runs"):
            await service.sent([MAIL.message_id])
        assert await self.kept() == []

    async def test_an_inbox_that_hangs_when_it_is_asked_leaves_the_doubt(self) -> None:
        port = self.hung_door.getsockname()[1]
        service = await self.at(inbox_url=f"http://127.0.0.1:{port}", timeout=0.2)

        with pytest.raises(Unreachable):
            await service.sent([MAIL.message_id])

    async def test_something_else_at_the_address_needs_a_person(self) -> None:
        service = await self.at(inbox_url=f"{self.url}/messages")

        with pytest.raises(AccessRefused, match=r"email_service\.local_inbox\.inbox_url"):
            await service.sent([MAIL.message_id])

    async def test_a_disk_that_is_full_defers_and_nothing_is_kept(self) -> None:
        service = await self.open_service()
        await self.box.grow_to(1)

        (outcome,) = await service.send([replace(MAIL, text="x" * 100_000)])

        assert isinstance(outcome, Deferred)
        assert "make room" in outcome.reason
        assert list(await service.sent([MAIL.message_id])) == [False]


def _arrived(mail: EmailMessage) -> Arrived:
    parts = {kind: mail.get_body((kind,)) for kind in ("html", "plain")}
    html, text = (str(part.get_content()) if part is not None else "" for part in parts.values())
    return Arrived(
        message_id=mail["message-id"],
        sender=mail["from"],
        to=mail["to"],
        subject=mail["subject"],
        html=html,
        text=text,
        headers={name.lower(): str(value) for name, value in mail.items()},
    )


GIVEN = {"message_id": "<a@b>", "sender": "a@example.com", "to": "b@example.com", "subject": "Hello", "text": "Hi"}


@pytest.mark.parametrize(
    ("flaw", "told"),
    [
        ({"subject": "Hello\r\nBcc: all@example.com"}, "subject has a line break"),
        ({"sender_name": "Shop\nX: y"}, "sender_name has a line break"),
        ({"message_id": "<a\n@b>"}, "message_id has a line break"),
        ({"headers": {"X-A": "1\r\n\r\nbody"}}, "headers.X-A has a line break"),
        ({"headers": {"X A:": "1"}}, "no name of a header"),
        ({"to": "b@example.com\r\nRCPT TO:<c@example.com>"}, "to: .* is no address"),
        ({"to": "a@example.com, b@example.com"}, "to: .* is no address"),
        ({"sender": "nobody"}, "sender: .* is no address"),
        ({"text": ""}, "both empty"),
    ],
)
def test_a_mail_that_cannot_be_sent_to_anybody_is_no_mail(flaw: dict[str, object], told: str) -> None:
    with pytest.raises(BadMail, match=told):
        Mail(**{**GIVEN, **flaw})  # type: ignore[arg-type]  # the point of the test

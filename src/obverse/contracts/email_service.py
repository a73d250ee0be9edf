"""What every mail service must prove: each mail once, as it was given, and a doubt told as a doubt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import pytest

from obverse.core.mails import Mail
from obverse.ports.email_service import EmailService
from obverse.ports.outcomes import AccessRefused, Deferred, Done, Refused, Unknown, Unreachable

MAIL: Final = Mail(
    message_id="<one@mail.example.com>",
    sender="shop@example.com",
    sender_name="The Shop",
    to="ada@example.com",
    subject="Welcome, Ada",
    html="<p>Hello <b>Ada</b></p>",
    text="Hello Ada",
    headers={"List-Unsubscribe": "<https://example.com/leave?who=1>", "List-ID": "shop <shop.example.com>"},
)

Trouble = Literal["wrong_key", "gone", "hung"]
"""A login that it does not know; nobody listens; it takes the call and says nothing at all."""

Fate = Literal["refused", "deferred", "doubted", "lost"]
"""What the service makes of a mail: says no; says not now; takes it and never says so; loses it and says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A mail as it arrived, headers decoded."""

    message_id: str
    sender: str
    """Name and address, as in the header."""
    to: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    """By name in lower case."""


def to(name: str, mail: Mail = MAIL) -> Mail:
    """The mail to somebody else."""
    return replace(mail, to=f"{name}@example.com", message_id=f"<{name}@mail.example.com>")


class EmailServiceContract:
    """Subclass, answer the questions, and every promise is tested."""

    @abstractmethod
    async def open_service(self) -> EmailService:
        """A connection to a service that has sent nothing."""

    @abstractmethod
    async def open_troubled(self, trouble: Trouble) -> EmailService | None:
        """A connection to one that has this trouble; None if there is no such trouble with it."""

    @abstractmethod
    async def arrived(self) -> Sequence[Arrived]:
        """What the service of `open_service` has sent, in the order of sending, read without the adapter."""

    @abstractmethod
    def doomed(self, fate: Fate) -> Mail | None:
        """A mail of which that service makes this; None if it never does."""

    async def test_a_mail_arrives_as_it_was_given(self) -> None:
        service = await self.open_service()

        (outcome,) = await service.send([MAIL])

        assert isinstance(outcome, Done)
        (mail,) = await self.arrived()
        assert (mail.message_id, mail.to, mail.subject) == (MAIL.message_id, MAIL.to, MAIL.subject)
        assert "The Shop" in mail.sender
        assert MAIL.sender in mail.sender
        assert (mail.html.strip(), mail.text.strip()) == (MAIL.html, MAIL.text)
        for name, value in MAIL.headers.items():
            assert mail.headers[name.lower()] == value

    @pytest.mark.parametrize(
        "text",
        [
            "Zoë, 你好 \U0001f600 \u2014 ñ",
            "." * 3 + "\n.\n..\nstill here",
            "x" * 5000,
            "line one\n\nline three  \n\ttab",
            "=E2=80=93 ?= =?utf-8?q?no?=",
            "From the start of a line\nFrom here too",
        ],
    )
    async def test_any_text_arrives_whole(self, text: str) -> None:
        service = await self.open_service()
        subject = " ".join(text.split())[:180]

        (outcome,) = await service.send([replace(MAIL, subject=subject, text=text, html=f"<p>{text}</p>")])

        assert isinstance(outcome, Done)
        (mail,) = await self.arrived()
        assert mail.subject == subject
        assert mail.text.replace("\r\n", "\n").strip() == text.strip()
        assert mail.html.replace("\r\n", "\n").strip() == f"<p>{text}</p>"

    @pytest.mark.parametrize("part", ["html", "text"])
    async def test_one_part_is_enough(self, part: str) -> None:
        service = await self.open_service()
        alone = replace(MAIL, text="", html=MAIL.html) if part == "html" else replace(MAIL, html="")

        (outcome,) = await service.send([alone])

        assert isinstance(outcome, Done)
        (mail,) = await self.arrived()
        assert mail.html.strip() == alone.html
        if alone.text:
            assert mail.text.strip() == alone.text

    async def test_one_refusal_hides_no_other_fate(self) -> None:
        service = await self.open_service()
        refused = self.doomed("refused")
        if refused is None:
            pytest.skip("never: this service refuses nothing")

        outcomes = await service.send([to("one"), refused, to("two")])

        assert [type(outcome) for outcome in outcomes] == [Done, Refused, Done]
        assert isinstance(outcomes[1], Refused)
        assert outcomes[1].reason
        assert [mail.to for mail in await self.arrived()] == ["one@example.com", "two@example.com"]

    async def test_not_now_is_told_and_nothing_went_out(self) -> None:
        service = await self.open_service()
        deferred = self.doomed("deferred")
        if deferred is None:
            pytest.skip("never: this service defers nothing")

        outcomes = await service.send([deferred, to("one")])

        assert [type(outcome) for outcome in outcomes] == [Deferred, Done]
        assert [mail.to for mail in await self.arrived()] == ["one@example.com"]

    @pytest.mark.parametrize("fate", ["doubted", "lost"])
    async def test_what_was_not_answered_is_unknown_and_sent_once(self, fate: Fate) -> None:
        service = await self.open_service()
        doubted = self.doomed(fate)
        if doubted is None:
            pytest.skip("never: this service answers always")

        outcomes = await service.send([to("one"), doubted, to("two")])

        assert [type(outcome) for outcome in outcomes] == [Done, Unknown, Done]
        mails = [mail.to for mail in await self.arrived()]
        assert mails.count(doubted.to) == (fate == "doubted")
        assert {"one@example.com", "two@example.com"} <= set(mails)

    async def test_who_can_be_asked_tells_what_it_has(self) -> None:
        service = await self.open_service()
        await service.send([to("one")])
        if not service.limits.can_be_asked:
            with pytest.raises(NotImplementedError):
                await service.sent(["<one@mail.example.com>"])
            return
        doubted, lost = self.doomed("doubted"), self.doomed("lost")
        asked = ["<never@mail.example.com>", "<one@mail.example.com>"]
        expected = [False, True]
        for mail, there in ((doubted, True), (lost, False)):
            if mail is not None:
                await service.send([mail])
                asked.append(mail.message_id)
                expected.append(there)

        assert list(await service.sent(asked)) == expected

    async def test_a_full_batch_is_taken_and_a_larger_one_is_not(self) -> None:
        service = await self.open_service()
        most = service.limits.batch_size
        mails = [to(f"p{one}") for one in range(most + 1)]

        outcomes = await service.send(mails[:most])

        assert [type(outcome) for outcome in outcomes] == [Done] * most
        assert [mail.to for mail in await self.arrived()] == [mail.to for mail in mails[:most]]
        with pytest.raises(ValueError, match=str(most)):
            await service.send(mails)

    @pytest.mark.parametrize("trouble", ["gone", "hung"])
    async def test_a_service_that_is_away_says_so(self, trouble: Trouble) -> None:
        service = await self.open_troubled(trouble)
        if service is None:
            pytest.skip(f"never: this service is not {trouble}")

        with pytest.raises(Unreachable) as caught:
            await service.send([MAIL])

        assert caught.value.after > 0

    async def test_a_login_that_it_does_not_know_needs_a_person(self) -> None:
        service = await self.open_troubled("wrong_key")
        if service is None:
            pytest.skip("never: this service knows no logins")

        with pytest.raises(AccessRefused):
            await service.send([MAIL])

    async def test_nothing_is_sent_for_nothing(self) -> None:
        service = await self.open_service()

        assert list(await service.send([])) == []
        assert list(await self.arrived()) == []

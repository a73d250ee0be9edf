"""Every mail service keeps its promises."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from obverse.adapters.memory.email_service import MemoryPost, MemoryServiceSettings, open_email_service
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.email_service import Arrived, EmailServiceContract, Fate, Trouble, to
from obverse.core.mails import BadMail, Mail
from obverse.ports.email_service import EmailService, Outcome
from obverse.ports.outcomes import Deferred, Refused, Unknown, Unreachable

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

"""Writing: a message becomes a mail to one person, with what is known of them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obverse.core import json_values, mapping, profiles
from obverse.core.definitions import Definitions
from obverse.core.identity import id_text
from obverse.core.mails import BadMail, Mail
from obverse.core.messages import Message
from obverse.core.outgoing import Campaign, Template
from obverse.core.profiles import Profile
from obverse.core.templates import BadTemplate, CannotFillIn, CompiledTemplate
from obverse.flows.current_profiles import CurrentProfiles

NO_ADDRESS: Final = "the profile has no address yet"
SOON: Final = 0.3
"""Seconds until a profile that is still being folded is looked at again."""


class NotYet(Exception):
    """It cannot be written now, but in `SOON`; the message says what it waits for."""


class NoAddress(Exception):
    """Its person has no address yet."""


class Unwritable(Exception):
    """It can never be written; the message says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message and its mail."""

    message: Message
    mail: Mail


class Writer:
    """Fills templates in. A template is compiled once, as long as its definition stays."""

    def __init__(self, people: CurrentProfiles, definitions: Callable[[], Definitions]) -> None:
        self._people = people
        self._definitions = definitions
        self._compiled: dict[str, CompiledTemplate] = {}

    async def people_of(self, messages: Sequence[Message]) -> tuple[Mapping[bytes, Profile], Mapping[bytes, str]]:
        """
        Return whom these messages are to, by their ids; and why others cannot be read.

        Raises:
            Unreachable, AccessRefused: they cannot be read.
        """
        return await self._people.read({one.profile for one in messages if one.profile is not None})

    def write(self, message: Message, people: Mapping[bytes, Profile]) -> Written:
        """
        Write the mail of a message to one of these people.

        Raises:
            NotYet, NoAddress, Unwritable: as they say.
        """
        definitions = self._definitions()
        compiled = self._compile(message.template)
        profile = self._profile(message, people, definitions)
        to = message.to or (None if profile is None else mapping.address(profile))
        if to is None:
            raise NoAddress(NO_ADDRESS)
        customer = {} if profile is None else _customer(profile, definitions)
        try:
            filled = compiled.fill_in({**customer, "email": to}, self._trigger(message, definitions))
            mail = Mail(
                message_id=message.message_id,
                sender=compiled.template.sender,
                sender_name=compiled.template.sender_name,
                to=to,
                subject=filled.subject,
                html=filled.html,
                text=filled.text,
            )
        except (CannotFillIn, BadMail) as error:
            raise Unwritable(f"template {message.template!r}: {error}") from error
        return Written(message, mail)

    def _profile(self, message: Message, people: Mapping[bytes, Profile], definitions: Definitions) -> Profile | None:
        if message.profile is None:
            return None
        profile = people.get(message.profile)
        if message.campaign is None:
            return profile
        campaign = self._campaign(message, definitions)
        standing = None if profile is None else profile.audiences.get(campaign.audience)
        if standing is None or standing.number < message.number:
            # After a crash the profile is as old as the last checkpoint, until it is folded anew.
            raise NotYet("the profile is being folded anew")
        return profile

    @staticmethod
    def _campaign(message: Message, definitions: Definitions) -> Campaign:
        for one in definitions.campaigns:
            if one.name == message.campaign:
                return one
        raise Unwritable(f"campaign {message.campaign!r} is not defined any more; define it, and send the message anew")

    def _trigger(self, message: Message, definitions: Definitions) -> dict[str, Any]:
        if message.campaign is not None:
            return {"audience": self._campaign(message, definitions).audience}
        data: dict[str, Any] = json_values.decode(message.data)
        return data

    def _template(self, name: str) -> Template | None:
        return next((one for one in self._definitions().templates if one.name == name), None)

    def _compile(self, name: str) -> CompiledTemplate:
        template = self._template(name)
        if template is None:
            raise Unwritable(f"template {name!r} is not defined any more; define it, and send the message anew")
        known = self._compiled.get(name)
        if known is None or known.template != template:
            try:
                known = self._compiled[name] = CompiledTemplate(template)
            except BadTemplate as error:
                raise Unwritable(f"template {name!r}: {error}") from error
        return known


def _customer(profile: Profile, definitions: Definitions) -> dict[str, Any]:
    """What templates may say of a person; where an attribute and a trait share a name, the trait."""
    return {
        **{name: json_values.lenient(written[0].value) for name, written in profile.attributes.items()},
        **profiles.computed_traits(profile, definitions),
        "id": id_text(profile.id),
    }

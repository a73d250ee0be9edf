"""What stands in the context of an event: the sender's address, and what their browser calls itself."""

from __future__ import annotations

from typing import Final

import msgspec

from obverse.core.events import Event
from obverse.core.wire.body import ABSENT, Message, Raw, object_decoder

_encode = msgspec.json.encode


def placed(context: bytes, message: Message) -> bytes:
    """The context with the sender's IP address, if a person's own device sends, and it has none yet."""
    # `find`, not `in`: see `identity.identifiers`.
    if not message.address or not (message.browser or context.find(b'"direct"') >= 0):
        return context
    fields = object_decoder.decode(context)
    if "ip" in fields or not (message.browser or bytes(fields.get("direct", ABSENT)) == b"true"):
        return context
    return b'{"ip":' + _encode(message.address) + (b"," + context[1:] if fields else b"}")


CONSENT_UPDATED: Final = "Segment Consent Preference Updated"
"""The event by which a person's consent is told, and nothing else: without it, it says nothing."""


class _Preferences(msgspec.Struct, gc=False):
    categoryPreferences: dict[str, Raw]  # noqa: N815 - the wire's own name


class _Consent(msgspec.Struct, gc=False):
    consent: _Preferences


_consent = msgspec.json.Decoder(_Consent)


def tells_consent(context: bytes) -> bool:
    """Whether a context has the object that says what a person allows; it may name no purpose."""
    try:
        _consent.decode(context)
    except msgspec.ValidationError:
        return False
    return True


class _Agent(msgspec.Struct, gc=False):
    userAgent: str | None = None  # noqa: N815 - the wire's own name


_agent = msgspec.json.Decoder(_Agent)


def agent_of(event: Event) -> str:
    """What the person's browser calls itself, as the event says; empty if it does not."""
    try:
        return _agent.decode(event.context).userAgent or ""
    except msgspec.MsgspecError:
        return ""

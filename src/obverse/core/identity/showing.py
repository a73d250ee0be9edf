"""Showing: which identifiers an event shows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from obverse.core.events import Event
from obverse.core.identity.rules import IdentityRules, is_blocked


def identifiers(event: Event, rules: IdentityRules) -> tuple[str, ...]:
    """The identifiers that an event shows, as `kind:value`, the strongest kind first; none that is blocked."""
    user, texts = event.user_id, event.properties + event.context
    # A cheap look first: most events carry no address. JSON may spell a key with escapes.
    # `in` would raise and catch an error at each look, to learn that it is not asked for a number.
    addressed = texts.find(b'email"') >= 0 or texts.find(b"\\u00") >= 0
    if user is not None and not addressed and event.anonymous_id is None and event.previous_id is None:
        return () if is_blocked(user, rules) else ("user_id:" + user,)
    shown = []
    if user is not None and not is_blocked(user, rules):
        shown.append("user_id:" + user)
    if addressed:
        # As it was written, too: `NaN` and `[object Object]` are blocked in this spelling alone.
        shown.extend(
            "email:" + address.lower()
            for address in _emails(event)
            if not is_blocked(address, rules) and not is_blocked(address.lower(), rules)
        )
    if event.anonymous_id is not None and not is_blocked(event.anonymous_id, rules):
        shown.append("anonymous_id:" + event.anonymous_id)
    if event.type == "alias" and event.previous_id is not None and not is_blocked(event.previous_id, rules):
        # The spec leaves open what kind a previous id is; analytics.js sends the anonymous one.
        shown.append("anonymous_id:" + event.previous_id)
    return tuple(dict.fromkeys(shown))


class _Carrier(msgspec.Struct, gc=False):
    email: msgspec.Raw = msgspec.Raw(b"null")


class _Context(msgspec.Struct, gc=False):
    traits: msgspec.Raw = msgspec.Raw(b"null")


_carrier = msgspec.json.Decoder(_Carrier)
_context = msgspec.json.Decoder(_Context)
_text = msgspec.json.Decoder(str)


def _emails(event: Event) -> Iterator[str]:
    """Addresses in the properties or traits, then in the context's traits; trimmed."""
    # A group's traits tell of the account, not of the person.
    carriers: list[Any] = [] if event.type == "group" else [event.properties]
    with contextlib.suppress(msgspec.MsgspecError, RecursionError):  # a context that is no object shows nothing
        carriers.append(_context.decode(event.context).traits)
    for carrier in carriers:
        try:
            address = _text.decode(_carrier.decode(carrier).email).strip()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if address and "\0" not in address:
            yield address
